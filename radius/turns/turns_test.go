package turns_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/radius/turns"
)

func TestOneAtATimeForEachName(t *testing.T) {
	var all turns.Turns
	var through [3]atomic.Int32
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			name := i % len(through)
			leave, err := all.Take(t.Context(), fmt.Sprint(name))
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			if n := through[name].Add(1); n != 1 {
				t.Errorf("%d are through", n)
			}
			through[name].Add(-1)
		})
	}
	wg.Wait()
	if all.Len() != 0 {
		t.Errorf("%d names are kept", all.Len())
	}
}

// TestAFewAtATime: as many as there may be beside one are through with it, and no more.
func TestAFewAtATime(t *testing.T) {
	all := turns.Turns{Beside: 1}
	var leave [2]func()
	for i := range leave {
		var err error
		if leave[i], err = all.Take(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := all.Take(ctx, "alice"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third: %v", err)
	}
	leave[0]()
	third, err := all.Take(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	third()
	leave[1]()
	if all.Len() != 0 {
		t.Errorf("%d names are kept", all.Len())
	}
}

func TestWhoeverGivesUpLeavesNothingBehind(t *testing.T) {
	var all turns.Turns
	leave, err := all.Take(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := all.Take(ctx, "alice"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a turn that was taken: %v", err)
	}
	other, err := all.Take(t.Context(), "bob")
	if err != nil {
		t.Fatalf("another name waits: %v", err)
	}
	other()
	leave()
	if leave, err = all.Take(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	leave()
	if all.Len() != 0 {
		t.Errorf("%d names are kept", all.Len())
	}
}
