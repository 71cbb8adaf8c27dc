package radius

import (
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
		read := func(secret string) request {
			k := newKey([]byte(secret), nil)
			var r request
			r.read(q.Octets(), admitted{key: k, signed: true}, &client{keys: []*key{k}})
			return r
		}
		r := read(testSecret)
		if got := string(r.password); c.ok && got != c.password || !c.ok && got != "" {
			t.Errorf("%s: %q became %q", c.name, c.password, got)
		}
		r = read("another secret")
		if c.ok && string(r.password) == c.password {
			t.Errorf("%s: revealed with another secret", c.name)
		}
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
