package radius

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sent collects what refusals lets go, with the time at which it did.
type sent struct {
	mu  sync.Mutex
	ids []byte
	at  []time.Duration
}

func TestRefusalsLeaveWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var out sent
		r := newRefusals(1000, time.Now, func(as []answer) {
			out.mu.Lock()
			defer out.mu.Unlock()
			for _, a := range as {
				out.ids = append(out.ids, a.octets[0])
				out.at = append(out.at, time.Since(start))
			}
		})
		stop := make(chan struct{})
		go r.run(stop)
		order := rand.Perm(100)
		for _, i := range order {
			if !r.add(start.Add(time.Duration(i)*100*time.Millisecond), answer{octets: []byte{byte(i)}}) {
				t.Fatal("no room")
			}
		}
		<-r.drained()
		if !slices.IsSorted(out.ids) || len(out.ids) != 100 {
			t.Errorf("sent in the order %v", out.ids)
		}
		for i, at := range out.at {
			if want := time.Duration(i) * 100 * time.Millisecond; at != want {
				t.Errorf("refusal %d left after %v, want %v", i, at, want)
			}
		}
		close(stop)
	})
}

// TestAnEarlierRefusalOvertakes: the one that waits is not the one that comes first.
func TestAnEarlierRefusalOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		first := make(chan time.Duration, 2)
		r := newRefusals(10, time.Now, func(as []answer) {
			for range as {
				first <- time.Since(start)
			}
		})
		stop := make(chan struct{})
		defer close(stop)
		go r.run(stop)
		r.add(start.Add(10*time.Second), answer{})
		synctest.Wait()
		r.add(start.Add(time.Second), answer{})
		if got := <-first; got != time.Second {
			t.Errorf("the first left after %v", got)
		}
		if got := <-first; got != 10*time.Second {
			t.Errorf("the second left after %v", got)
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	r := newRefusals(3, time.Now, func([]answer) {})
	for i := range 5 {
		if got := r.add(time.Unix(1<<40, 0), answer{}); got != (i < 3) {
			t.Errorf("refusal %d: room %v", i, got)
		}
	}
	if r.length() != 3 {
		t.Errorf("%d wait", r.length())
	}
}

// TestAStoppedClockDelaysNobody: the timer decides, not the clock of the node.
func TestAStoppedClockDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frozen := time.Unix(1_700_000_000, 0)
		out := make(chan struct{}, 1)
		r := newRefusals(10, func() time.Time { return frozen }, func(as []answer) { out <- struct{}{} })
		stop := make(chan struct{})
		defer close(stop)
		go r.run(stop)
		start := time.Now()
		r.add(frozen.Add(time.Second), answer{})
		<-out
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("left after %v", waited)
		}
	})
}
