package radius

import (
	"bytes"
	"strings"
	"testing"

	"otpgate/radius/probe"
)

func TestUserPasswordIsRevealed(t *testing.T) {
	for _, c := range []struct {
		name, password string
		ok             bool
	}{
		{"a code", testCode, true},
		{"a block", strings.Repeat("a", 16), true},
		{"a block and one", strings.Repeat("a", 17), true},
		{"the most", strings.Repeat("b", 128), true},
		{"too much", strings.Repeat("b", 129), false},
		{"UTF-8", "grüße123456", true},
		{"octets", "\xff\xfe\x80\x01", true},
		{"a NUL inside", "ab\x00cd", false},
		{"a NUL first", "\x00abcd", false},
		{"nothing", "", false},
	} {
		q := probe.NewRequest(probe.AccessRequest, testSecret).Password(c.password)
		r, err := readRequest(q.Octets(), []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.password); c.ok && got != c.password || !c.ok && got != "" {
			t.Errorf("%s: %q became %q", c.name, c.password, got)
		}
		r, _ = readRequest(q.Octets(), []byte("another secret"))
		if c.ok && string(r.password) == c.password {
			t.Errorf("%s: revealed with another secret", c.name)
		}
	}
	for _, n := range []int{0, 1, 15, 17, 31, 129, 144, 253} {
		if got := reveal(make([]byte, n), []byte(testSecret), [16]byte{}); got != nil {
			t.Errorf("User-Password of %d octets became %q", n, got)
		}
	}
}

func TestTextIsUTF8OrLatin1(t *testing.T) {
	for octets, want := range map[string]string{
		"plain":        "plain",
		"grün":         "grün",
		"gr\xfcn":      "grün",
		"\x80\xff":     "\u0080ÿ",
		"\xc3\xbc":     "ü",
		"\xc3\xbc\xc3": "Ã¼Ã",
		"":             "",
	} {
		if got := latin1([]byte(octets)); got != want {
			t.Errorf("%q became %q, want %q", octets, got, want)
		}
	}
}

func TestTheCodeIsAtTheEnd(t *testing.T) {
	p := codeAtEnd("geheim123456")
	for code, want := range map[string]bool{
		"123456": true, "654321": false, "23456": true, "geheim123456": true, "xgeheim123456": false, "m123456": true,
	} {
		if p.Match([]byte(code)) != want {
			t.Errorf("code %q: %v", code, !want)
		}
	}
	for digits, want := range map[int]string{6: "geheim", 8: "gehe", 12: "", 13: ""} {
		if got := p.password(digits); got != want {
			t.Errorf("%d digits leave %q, want %q", digits, got, want)
		}
	}
	if !bytes.Equal(p.Octets(), []byte("geheim123456")) {
		t.Error("Octets is not the whole proof")
	}
}

func TestPrintableTextHasNoControls(t *testing.T) {
	for text, want := range map[string]string{
		"00-11-22-33-44-55":       "00-11-22-33-44-55",
		"a\nb\x1b[31m":            "a?b?[31m",
		"\xff\xfe":                "??",
		"müller":                  "müller",
		strings.Repeat("x", 1000): strings.Repeat("x", 253),
	} {
		if got := printable(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
