package delay

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sent collects what a queue lets go, with the time at which it did.
type sent struct {
	mu  sync.Mutex
	ids []byte
	at  []time.Duration
}

func TestAllLeaveWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out sent
		q := New(1000, time.Now, func(as []byte) {
			out.mu.Lock()
			defer out.mu.Unlock()
			for _, a := range as {
				out.ids = append(out.ids, a)
				out.at = append(out.at, time.Since(start))
			}
		})
		stop := make(chan struct{})
		go q.Run(stop)
		order := rand.Perm(100)
		for _, i := range order {
			if !q.Add(start.Add(time.Duration(i)*100*time.Millisecond), byte(i)) {
				t.Fatal("no room")
			}
		}
		<-q.Drained()
		if !slices.IsSorted(out.ids) || len(out.ids) != 100 {
			t.Errorf("sent in the order %v", out.ids)
		}
		for i, at := range out.at {
			if want := time.Duration(i) * 100 * time.Millisecond; at != want {
				t.Errorf("%d left after %v, want %v", i, at, want)
			}
		}
		close(stop)
	})
}

// TestAnEarlierOneOvertakes: the one that waits is not the one that comes first.
func TestAnEarlierOneOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		first := make(chan time.Duration, 2)
		q := New(10, time.Now, func(as []byte) {
			for range as {
				first <- time.Since(start)
			}
		})
		stop := make(chan struct{})
		defer close(stop)
		go q.Run(stop)
		q.Add(start.Add(10*time.Second), byte(0))
		synctest.Wait()
		q.Add(start.Add(time.Second), byte(0))
		if got := <-first; got != time.Second {
			t.Errorf("the first left after %v", got)
		}
		if got := <-first; got != 10*time.Second {
			t.Errorf("the second left after %v", got)
		}
	})
}

func TestAQueueIsBounded(t *testing.T) {
	q := New(3, time.Now, func([]byte) {})
	for i := range 5 {
		if got := q.Add(time.Unix(1<<40, 0), byte(0)); got != (i < 3) {
			t.Errorf("%d: room %v", i, got)
		}
	}
	if q.Len() != 3 {
		t.Errorf("%d wait", q.Len())
	}
}

// TestAStoppedClockDelaysNobody: the timer decides, not the clock of the node.
func TestAStoppedClockDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen := time.Unix(1_700_000_000, 0)
		out := make(chan struct{}, 1)
		q := New(10, func() time.Time { return frozen }, func(as []byte) { out <- struct{}{} })
		stop := make(chan struct{})
		defer close(stop)
		go q.Run(stop)
		start := time.Now()
		q.Add(frozen.Add(time.Second), byte(0))
		<-out
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("left after %v", waited)
		}
	})
}
