package pace

import (
	"testing"
	"time"
)

// forms are a pause as the system gives it, and one where no timer is left.
func forms(t *testing.T) map[string]*Pause {
	t.Helper()
	whole, without := New(), &Pause{timer: time.NewTimer(time.Hour)}
	t.Cleanup(func() { whole.Close(); without.Close() })
	return map[string]*Pause{"of the kernel's": whole, "of the runtime's": without}
}

// TestNoneIsShorter: it takes at least as long as was asked for, time and again, and returns.
func TestNoneIsShorter(t *testing.T) {
	for name, p := range forms(t) {
		for _, d := range []time.Duration{time.Nanosecond, 100 * time.Microsecond, 3 * time.Millisecond, 50 * time.Microsecond} {
			before := time.Now()
			p.For(d)
			if spent := time.Since(before); spent < d || spent > 5*time.Second {
				t.Errorf("%s: %s instead of %s", name, spent, d)
			}
		}
	}
}

// TestNothingToWaitFor: what is over already takes no time, and leaves nothing behind for the next one.
func TestNothingToWaitFor(t *testing.T) {
	for name, p := range forms(t) {
		p.For(0)
		p.For(-time.Hour)
		before := time.Now()
		p.For(2 * time.Millisecond)
		if spent := time.Since(before); spent < 2*time.Millisecond {
			t.Errorf("%s: %s", name, spent)
		}
	}
}

// TestShorterThanTheRuntime is what this package is for: of many pauses of a tenth of a millisecond one at least ends
// before a whole one has passed. With the runtime's timer none would, on a processor that has nothing else to do.
func TestShorterThanTheRuntime(t *testing.T) {
	p := New()
	defer p.Close()
	if p.file == nil {
		t.Fatal("no timer of the kernel's")
	}
	least := time.Hour
	for range 100 {
		before := time.Now()
		p.For(100 * time.Microsecond)
		least = min(least, time.Since(before))
	}
	if least >= time.Millisecond {
		t.Errorf("none took less than %s", least)
	}
}

// TestAClosedOne still pauses: its owner may be about to end.
func TestAClosedOne(t *testing.T) {
	p := New()
	p.Close()
	before := time.Now()
	p.For(time.Millisecond)
	if spent := time.Since(before); spent < time.Millisecond {
		t.Errorf("%s", spent)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	p := New()
	defer p.Close()
	if n := testing.AllocsPerRun(20, func() { p.For(time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
