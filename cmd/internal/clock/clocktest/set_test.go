package clocktest

import (
	"testing"
	"time"
)

func TestSet(t *testing.T) {
	first := time.Now()
	for _, by := range []time.Duration{0, 1, -1, time.Second, -time.Second, 90 * time.Minute, -90 * time.Minute, 24 * 365 * time.Hour} {
		second := time.Now()
		set := Set(second, by)
		if wall := set.Round(0).Sub(second.Round(0)); wall != by {
			t.Errorf("set by %v: the wall clock moves by %v", by, wall)
		}
		if passed := set.Sub(first); passed != second.Sub(first) {
			t.Errorf("set by %v: %v have passed, and not %v", by, passed, second.Sub(first))
		}
		if d := time.Since(set); d < 0 || d > time.Minute {
			t.Errorf("set by %v: it is %v ago", by, d)
		}
		if bare := Set(second.Round(0), by); !bare.Equal(second.Round(0).Add(by)) {
			t.Errorf("without a monotonic reading, by %v: %v", by, bare)
		}
	}
}
