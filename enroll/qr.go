package enroll

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is how many light modules are around a QR code (ISO/IEC 18004 section 6.3.8).
const quietZone = 4

// traced is a QR code as an SVG path, for whoever makes the picture.
type traced struct {
	Size int    `json:"size"` // modules a side, with the quiet zone
	Path string `json:"path"` // the dark ones, as the d of a path
}

// traceQR draws a text as a QR code of error correction level M. Dark modules side by side are one
// rectangle, so that there are no seams between them.
func traceQR(text string) (traced, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return traced{}, fmt.Errorf("QR code: %w", err)
	}
	side := code.Bounds().Dx()
	dark := func(x, y int) bool {
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var b strings.Builder
	for y := range side {
		for x := 0; x < side; x++ {
			begin := x
			for x < side && dark(x, y) {
				x++
			}
			if n := x - begin; n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", begin+quietZone, y+quietZone, n, n)
			}
		}
	}
	return traced{Size: side + 2*quietZone, Path: b.String()}, nil
}
