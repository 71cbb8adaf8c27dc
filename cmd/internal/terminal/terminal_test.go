package terminal_test

import (
	"bytes"
	"strings"
	"testing"

	"otpgate/cmd/internal/terminal"
)

func TestATerminalSaysThatItKnowsUTF8(t *testing.T) {
	for want, locales := range map[bool][]map[string]string{
		true:  {{"LANG": "pt_PT.UTF-8"}, {"LC_CTYPE": "C.utf8", "LANG": "C"}, {"LC_ALL": "C.UTF-8", "LANG": "C"}},
		false: {{}, {"LANG": "C"}, {"LC_ALL": "C", "LANG": "C.UTF-8"}, {"LC_CTYPE": "POSIX", "LANG": "C.UTF-8"}},
	} {
		for _, locale := range locales {
			if terminal.UTF8(func(name string) (string, bool) { s, ok := locale[name]; return s, ok }) != want {
				t.Errorf("%v: %v", locale, !want)
			}
		}
	}
}

// A pipe, a file and a buffer are looked at by nobody.
func TestOnlyATerminalIsLookedAt(t *testing.T) {
	if terminal.Is(new(bytes.Buffer)) {
		t.Error("a buffer is a terminal")
	}
}

func TestAQRCodeHasItsQuietZoneAndIsSquare(t *testing.T) {
	var out bytes.Buffer
	if err := terminal.PrintQR(&out, "otpauth://totp/x"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, line := range lines {
		modules := strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[30;107m"), "\x1b[0m")
		if n := len([]rune(modules)); (n+1)/2 != len(lines) {
			t.Fatalf("line %d has %d modules of %d lines", i, n, len(lines))
		}
		if !strings.HasPrefix(modules, "    ") || !strings.HasSuffix(modules, "    ") || i < 2 && strings.TrimSpace(modules) != "" {
			t.Errorf("line %d has no quiet zone: %q", i, modules)
		}
	}
}
