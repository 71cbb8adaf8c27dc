package audit_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp"
	"otpgate/otp/audit"
)

// stalled is a trail whose writer stands still with one event in its hands: it looks at the clock when it
// rotates, and that one answers as late as a disk that is stuck.
type stalled struct {
	*audit.Log
	registry *prometheus.Registry
	goOn     func()
	late     error // what whoever wanted to keep that event was told
}

func stall(t *testing.T) *stalled {
	t.Helper()
	var slow atomic.Bool
	stuck, gate := make(chan struct{}), make(chan struct{})
	s := &stalled{registry: prometheus.NewRegistry(), goOn: sync.OnceFunc(func() { close(gate) })}
	var err error
	s.Log, err = audit.Open(audit.Options{Dir: t.TempDir(), MaxBytes: 1, Required: true, Registerer: s.registry, Now: func() time.Time {
		if slow.CompareAndSwap(true, false) {
			close(stuck)
			<-gate
		}
		return start
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.goOn(); s.Close(context.Background()) })
	record(t, s.Log, accepted(0)) // an empty file is not rotated
	slow.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.late = s.Keep(ctx, accepted(1)) }()
	<-stuck
	cancel()
	<-ended
	return s
}

// end lets the writer go on, and returns id and decision of all that is on record.
func (s *stalled) end(t *testing.T) (got []string) {
	t.Helper()
	s.goOn()
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, e := range events(t, s.Log, audit.Filter{Kind: audit.Login}) {
		got = append(got, strings.TrimLeft(e.ID, "0")+" "+e.Decision)
	}
	return got
}

func accepted(n int) audit.Event {
	e := event(n)
	e.Time, e.Decision = start, otp.Accept.String()
	return e
}

func dropped(n int) audit.Event {
	e := accepted(n)
	e.Decision = otp.Drop.String()
	return e
}

func outOfTime(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("out of time: %v", err)
	}
}

// TestWhatWasNotDoneIsNotOnRecordAsDone: of what could not be kept in time, nothing stands there
// uncorrected; and of what was done all the same, nothing is missing.
func TestWhatWasNotDoneIsNotOnRecordAsDone(t *testing.T) {
	s := stall(t)
	outOfTime(t, s.late)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	waits := s.Keep(ended, accepted(2)) // behind the one that is being written
	outOfTime(t, waits)
	outOfTime(t, s.Record(ended, accepted(3))) // done all the same
	audit.Correct(s.late, dropped(1))
	audit.Correct(waits, dropped(2))
	if got := strings.Join(s.end(t), ", "); got != " accept, 1 accept, 3 accept, 1 drop, 2 drop" {
		t.Errorf("on record: %s", got)
	}
	if n := counter(t, s.registry, "otpgate_audit_dropped_total"); n != 0 {
		t.Errorf("%v events dropped", n)
	}
	audit.Correct(s.Keep(context.Background(), accepted(4)), dropped(4)) // the trail is closed: nothing to correct
	if n := counter(t, s.registry, "otpgate_audit_dropped_total"); n != 1 {
		t.Errorf("%v events dropped after the end", n)
	}
}

// TestACorrectionFindsRoom, although everybody else waits for the same disk.
func TestACorrectionFindsRoom(t *testing.T) {
	s := stall(t)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	full := 0
	for n := 2; full < 3; n++ {
		if err := s.Keep(ended, accepted(n)); !errors.Is(err, context.Canceled) {
			full++
			if n < 8000 || !errors.Is(err, audit.ErrUnavailable) {
				t.Fatalf("at %d: %v", n, err)
			}
		}
	}
	audit.Correct(s.late, dropped(1))
	got := s.end(t)
	if last := got[len(got)-1]; last != "1 drop" || got[1] != "1 accept" {
		t.Errorf("the second on record is %q, the last of %d %q", got[1], len(got), last)
	}
}
