package console_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"otpgate/cmd/internal/console"
)

// What is marked stays marked, however it is wrapped, and the error is still the one that it was.
func TestMarksSurviveWrapping(t *testing.T) {
	err := fmt.Errorf("while something: %w", console.Usage(console.WithHint(console.Silent(io.EOF), "close %s", "it")))
	hint, ok := console.Hint(err)
	if !console.IsUsage(err) || !console.IsSilent(err) || !ok || hint != "close it" || !errors.Is(err, io.EOF) || err.Error() != "while something: EOF" {
		t.Errorf("%v %q %v", err, hint, ok)
	}
	if hint, ok := console.Hint(io.EOF); ok || hint != "" || console.IsUsage(io.EOF) || console.IsSilent(io.EOF) {
		t.Errorf("nothing was said about it: %q", hint)
	}
	if console.WithHint(nil, "nothing is wrong") != nil {
		t.Error("a hint made an error")
	}
}

func TestWhatCameFromOutsideDoesNothingToATerminal(t *testing.T) {
	for s, want := range map[string][2]string{
		"phone": {"phone", "phone"}, "blue phone": {`"blue phone"`, "blue phone"}, "\x1b[2J": {`"\x1b[2J"`, `\x1b[2J`}, `a"b`: {`"a\"b"`, `a"b`},
	} {
		if got := [2]string{console.Quoted(s), console.Printable(s)}; got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"stop a: x\nstop b: y": "stop a: x\nstop b: y", "a\x1b[2J\r\nb": `a\x1b[2J\r` + "\nb", "\x9b2J\u202e\x07": `\x9b2J\u202e\a`,
		`no such account: CORP\alice`: `no such account: CORP\alice`, `--code: "\x1b"`: `--code: "\x1b"`, "\\\x1b": `\\x1b`,
	} {
		if got := console.Lines(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
