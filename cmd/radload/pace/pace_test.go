package pace

import (
	"slices"
	"testing"
	"time"
)

// TestSleep holds that no sleep ends early, and that most end soon after.
func TestSleep(t *testing.T) {
	for name, s := range map[string]Sleeper{"exact": New(), "timer": timer{}} {
		t.Run(name, func(t *testing.T) {
			defer s.Close()
			const long = 2 * time.Millisecond
			took := make([]time.Duration, 51)
			for i := range took {
				began := time.Now()
				s.Sleep(long)
				if took[i] = time.Since(began); took[i] < long {
					t.Errorf("slept %s, not %s", took[i], long)
				}
			}
			if slices.Sort(took); took[0] > 10*long {
				t.Errorf("slept %s at least, not %s", took[0], long)
			}
		})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	s := New()
	defer s.Close()
	if n := testing.AllocsPerRun(10, func() { s.Sleep(time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
