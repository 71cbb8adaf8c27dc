//go:build !race

package audit_test

import (
	"context"
	"testing"

	"otpgate/otp/audit"
)

// TestAllocations bounds what a record allocates. How much depends on how many the writer beside it takes at a time.
// The race detector allocates by itself, so `make unit` runs this without it.
func TestAllocations(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir()})
	e, most := event(1), 2.0
	if got := testing.AllocsPerRun(300, func() { _ = l.Record(context.Background(), e) }); got > most {
		t.Errorf("an event: %v allocations, %v at most", got, most)
	}
}
