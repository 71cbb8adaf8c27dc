package overload

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestTheLastSlotsAreForWhatGoesFirst also when many come at once.
func TestTheLastSlotsAreForWhatGoesFirst(t *testing.T) {
	s := NewSlots(80)
	crowd := func(first bool) int64 {
		var got atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					if s.Take(first) {
						got.Add(1)
					}
				}
			})
		}
		all.Wait()
		return got.Load()
	}
	if got := crowd(false); got != 70 {
		t.Errorf("%d of 80 were taken, want 70", got)
	}
	if got := crowd(true); got != 10 || s.Load() != 80 {
		t.Errorf("%d more were taken by those who go first, want 10; %d are taken", got, s.Load())
	}
	for range 11 {
		s.Release()
	}
	if !s.Take(false) || s.Take(false) || s.Load() != 70 {
		t.Errorf("%d are taken, want 70", s.Load())
	}
}
