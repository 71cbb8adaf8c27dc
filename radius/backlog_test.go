package radius

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// TestWhatNobodyWaitsForIsNotAnswered: a node that waited for its store finds requests in its
// sockets. Those that may be old get no answer, and use up nobody's code.
func TestWhatNobodyWaitsForIsNotAnswered(t *testing.T) {
	for _, c := range []struct {
		name           string
		waited         time.Duration
		queued, thrown int
	}{
		{"a node that starts at once", DefaultBudget - 1, 3, 0},
		{"a node that waited", DefaultBudget, 3, 3},
		{"more than one system call takes", time.Hour, 3 * batchSize, 3 * batchSize},
		{"as many as one system call takes", time.Hour, batchSize, batchSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			var now atomic.Int64 // it stands still but for the wait
			now.Store(1_700_000_000e9)
			w := newWorld(t, func(o *Options, _ *world) {
				o.Now = func() time.Time { return time.Unix(0, now.Load()) }
			})
			gateway := radiustest.Dial(t, w.Addrs()[0].String(), testSecret)
			for range c.queued {
				gateway.Send(gateway.Login("alice", testCode).Octets())
			}
			now.Add(int64(c.waited))
			addr := w.serve(t)
			eventually(t, "what was queued is sorted", func() bool { return testutil.ToFloat64(w.metrics.receivedUDP) == float64(c.queued) })
			if got := testutil.ToFloat64(w.metrics.discarded[discardBeforeStart]); got != float64(c.thrown) {
				t.Errorf("%v discarded, want %d", got, c.thrown)
			}
			eventually(t, "what was not discarded is decided", func() bool { return len(w.trail.all()) == c.queued-c.thrown })
			eventually(t, "it is said once", func() bool {
				return strings.Count(w.logged.String(), "reason=before_start") == min(c.thrown, 1)
			})
			if c.thrown > 0 { // the code is still good
				again := radiustest.Dial(t, addr, testSecret)
				if r := again.Exchange(again.Login("alice", testCode).Octets()); !r.Is(probe.AccessAccept) {
					t.Errorf("code %d", r.Code)
				}
			}
			eventually(t, "nothing is under way", func() bool { return w.slots.Load() == 0 })
			checkSum(t, w)
		})
	}
}

// floodWire is a socket that is never empty.
type floodWire struct {
	wire
	t     testing.TB
	reads int
	read  func()
}

func (w *floodWire) ReadBatch(in []ipv4.Message, flags int) (int, error) {
	if flags&syscall.MSG_DONTWAIT == 0 {
		w.t.Error("a read that waits for packets to throw away")
	}
	w.reads++
	if w.read != nil {
		w.read()
	}
	return len(in), nil
}

// TestABacklogWithoutEndIsGivenUp: whoever sends faster than we throw away keeps nobody out.
func TestABacklogWithoutEndIsGivenUp(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := newWorld(t, func(o *Options, _ *world) { o.Now = func() time.Time { return now } })
	in := make([]ipv4.Message, batchSize)
	now = now.Add(time.Hour)
	flood := &floodWire{t: t}
	w.discardBacklog(&socket{batchConn: flood}, in)
	if flood.reads != maxBacklog/batchSize {
		t.Errorf("%d reads while the clock stands, want %d", flood.reads, maxBacklog/batchSize)
	}
	flood = &floodWire{t: t, read: func() { now = now.Add(backlogTime / 4) }}
	w.discardBacklog(&socket{batchConn: flood}, in)
	if flood.reads != 4 {
		t.Errorf("%d reads in %v, want 4", flood.reads, backlogTime)
	}
}
