package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// UTF8 reports whether the locale is one of UTF-8: POSIX has LC_ALL before LC_CTYPE before LANG.
// lookupEnv is os.LookupEnv.
func UTF8(lookupEnv func(string) (string, bool)) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale, _ := lookupEnv(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// quiet is how many light modules a QR code needs around it (ISO/IEC 18004 section 6.3.8).
const quiet = 4

// PrintQR draws a QR code with two modules to a character, dark on light whatever the terminal's
// colours are.
func PrintQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) int {
		if x < 0 || y < 0 || x >= size || y >= size {
			return 0
		}
		if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
			return 1
		}
		return 0
	}
	for y := -quiet; y < size+quiet; y += 2 {
		var line strings.Builder
		line.WriteString("\x1b[30;107m") // black on white
		for x := -quiet; x < size+quiet; x++ {
			line.WriteString([]string{" ", "▄", "▀", "█"}[dark(x, y)*2+dark(x, y+1)])
		}
		line.WriteString("\x1b[0m")
		if _, err := fmt.Fprintln(w, line.String()); err != nil {
			return err
		}
	}
	return nil
}

// Is reports whether a person may be looking at w.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
