package clock

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/cmd/internal/clock/clocktest"
)

// watched is a Watch with what it says.
func watched(t *testing.T, now func() time.Time) (*Watch, *bytes.Buffer, *prometheus.Registry) {
	t.Helper()
	log, reg := &bytes.Buffer{}, prometheus.NewRegistry()
	return New(Options{
		Period: time.Minute, Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: reg, Now: now,
		Store: func(context.Context) (time.Time, error) { return time.Time{}, nil },
	}), log, reg
}

func TestTheAlarmIsRaisedOnceAndLoweredOnce(t *testing.T) {
	noon := time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)
	w, log, reg := watched(t, func() time.Time { return noon })
	for _, c := range []struct {
		off   time.Duration
		wrong bool
	}{
		{0, false}, {30 * time.Second, false}, {-30 * time.Second, false}, {31 * time.Second, true}, {time.Hour, true},
		{-31 * time.Second, true}, {29 * time.Second, false}, {-time.Hour, true}, {time.Second, false},
	} {
		words := w.Compared(noon.Add(c.off-time.Second), noon, noon.Add(c.off+time.Second))
		if (words != "") != c.wrong {
			t.Errorf("off by %v: %q", c.off, words)
		}
		if got := testutil.ToFloat64(w.metrics.offset); got != c.off.Seconds() {
			t.Errorf("off by %v: the metric says %v", c.off, got)
		}
	}
	if n := strings.Count(log.String(), "otpgate explain names them"); n != 2 {
		t.Errorf("who is refused when the clock is right again is said %d times:\n%s", n, log)
	}
	if raised, lowered := strings.Count(log.String(), "is not the store's"), strings.Count(log.String(), "is the store's again"); raised != 2 || lowered != 2 {
		t.Errorf("raised %d times, lowered %d times:\n%s", raised, lowered, log)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 2 {
		t.Errorf("%d metrics, %v", n, err)
	}
}

// A clock that is set moves against the time that passes, which the monotonic clock tells.
func TestAClockThatIsSet(t *testing.T) {
	now := time.Now()
	w, log, _ := watched(t, func() time.Time { return now })
	now = now.Add(time.Hour) // an hour has passed, and the clock says so
	w.look()
	if log.Len() > 0 {
		t.Fatalf("time passed: %s", log)
	}
	for _, by := range []time.Duration{time.Hour, -time.Minute, -time.Second, 900 * time.Millisecond} {
		before := testutil.ToFloat64(w.metrics.set)
		log.Reset()
		now = clocktest.Set(now.Add(10*time.Second), by)
		w.look()
		seen := by.Abs() >= setBy
		if got := testutil.ToFloat64(w.metrics.set) - before; (got == 1) != seen || (log.Len() > 0) != seen {
			t.Errorf("set by %v: counted %v times, %s", by, got, log)
		}
		if strings.Contains(log.String(), "otpgate explain names them") != seen {
			t.Errorf("set by %v, who is refused then: %s", by, log)
		}
	}
}

// Run asks the store, and stops; one that cannot tell the time is not compared with.
func TestRun(t *testing.T) {
	log, reg := &bytes.Buffer{}, prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(context.Background())
	asked := 0
	w := New(Options{
		Period: time.Minute, Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: reg, Now: time.Now,
		Store: func(context.Context) (time.Time, error) {
			asked++
			cancel()
			return time.Now().Add(-time.Hour), nil
		},
	})
	w.Run(ctx)
	if asked != 1 || !strings.Contains(log.String(), "is not the store's") {
		t.Fatalf("asked %d times: %s", asked, log)
	}
	before := testutil.ToFloat64(w.metrics.offset)
	for _, err := range []error{nil, context.DeadlineExceeded} {
		w.options.Store = func(context.Context) (time.Time, error) { return time.Time{}, err }
		w.ask(context.Background())
	}
	if got := testutil.ToFloat64(w.metrics.offset); got != before {
		t.Errorf("compared with nothing: %v", got)
	}
}
