package console_test

import (
	"strings"
	"testing"

	"otpgate/cmd/internal/console"
)

func TestStatesHaveOneShape(t *testing.T) {
	for word, want := range map[string]console.State{
		"ok": console.Ready, "ready": console.Ready, "degraded": console.Degraded,
		"not ready": console.NotReady, "not_ready": console.NotReady, "no such word": console.NotReady, "": console.NotReady,
	} {
		if got := console.StateOf(word); got != want {
			t.Errorf("%q: %s", word, got)
		}
	}
	if got := console.Worst([]console.Finding{{State: console.Degraded}, {State: console.Ready}}); got != console.Degraded || console.Worst(nil) != console.Ready {
		t.Errorf("%s", got)
	}
}

// A directory's own words are in what is found of it.
func TestWhatAPeerSaysStaysInItsColumn(t *testing.T) {
	var out strings.Builder
	err := console.PrintFindings(&out, []console.Finding{
		{Name: "directory", State: console.Degraded, Detail: "\x1b[2Jgone\r\tor \"not\"\nready", Hint: "see \x1b[1m"},
		{Name: "store", State: console.Ready},
	})
	const want = `directory  degraded  \x1b[2Jgone\r\tor "not"\nready
                     hint: see \x1b[1m
store      ready     
`
	if err != nil || out.String() != want {
		t.Errorf("%v %q, want %q", err, out.String(), want)
	}
}
