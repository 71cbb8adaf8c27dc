package console_test

import (
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
