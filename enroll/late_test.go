package enroll_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/otp/audit"
)

// lateTrail is a trail whose disk can stand still for longer than anybody waits, and then writes all the same.
type lateTrail struct {
	*audit.Log
	slow        atomic.Bool
	stuck, gate chan struct{}
}

func startLate(t *testing.T) (*world, *lateTrail) {
	t.Helper()
	l := &lateTrail{stuck: make(chan struct{}), gate: make(chan struct{})}
	w := start(t, func(w *world, o *enroll.Options) {
		var err error
		l.Log, err = audit.Open(audit.Options{Dir: w.dir, MaxBytes: 1, Required: true, Now: func() time.Time {
			if l.slow.CompareAndSwap(true, false) { // the writer, which rotates
				close(l.stuck)
				<-l.gate
			}
			return w.clock.now()
		}})
		if err != nil {
			t.Fatal(err)
		}
		o.Audit = l
	})
	return w, l
}

// Record has no patience once the disk stands still, or the tests would take as long.
func (l *lateTrail) Record(ctx context.Context, events ...audit.Event) error {
	if l.slow.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() { <-l.stuck; cancel() }()
	}
	return l.Log.Record(ctx, events...)
}

// said is what the trail has, but for mails.
func (l *lateTrail) said(t *testing.T) (all []audit.Event) {
	t.Helper()
	err := l.Read(context.Background(), audit.Filter{}, false, nil, func(e audit.Event) error {
		if !strings.HasSuffix(e.Action, "_requested") {
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stall has the disk stand still from the next event on, once all before is written.
func (l *lateTrail) stall(t *testing.T) {
	t.Helper()
	eventually(t, "what was mailed is on record", func() bool {
		n := 0
		_ = l.Read(context.Background(), audit.Filter{}, false, nil, func(audit.Event) error { n++; return nil })
		return n > 0
	})
	l.slow.Store(true)
}

// TestWhatWasTakenBackIsOnRecordSo: somebody was told that it is not to be had now, and the disk takes
// later what tells that they have it.
func TestWhatWasTakenBackIsOnRecordSo(t *testing.T) {
	const email = "alice@corp.example"
	for name, c := range map[string]struct {
		try  func(*world, *lateTrail) int
		want string
	}{
		"a phone": {func(w *world, l *lateTrail) int {
			code, _ := w.request(email)
			l.stall(t)
			_, status, _ := w.tryRegister(email, code, "hers", nil)
			return status
		}, "[device_enrolled accept ok device_revoked accept ok]"},
		"an offer": {func(w *world, l *lateTrail) int {
			code, _ := w.request(email)
			l.stall(t)
			status, _ := w.post("/v1/devices", map[string]string{"email": email, "code": code, "label": "desk"})
			return status
		}, "[device_offered accept ok device_offered drop audit_unavailable]"},
		"a session": {func(w *world, l *lateTrail) int {
			token := w.link(email)
			l.stall(t)
			status, _ := w.session(token)
			return status
		}, "[session_opened accept ok session_opened drop audit_unavailable]"},
	} {
		w, l := startLate(t)
		status := c.try(w, l)
		close(l.gate)
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []string
		said := l.said(t)
		for _, e := range said {
			got = append(got, e.Action, e.Decision, string(e.Reason))
		}
		if fmt.Sprint(got) != c.want || said[0].ID != said[1].ID || said[0].Device != said[1].Device || !strings.HasPrefix(said[1].Detail, "taken back") {
			t.Errorf("%s: on record: %+v", name, said)
		}
		if status != http.StatusServiceUnavailable || w.count(alice) != 0 {
			t.Errorf("%s: status %d, %d devices", name, status, w.count(alice))
		}
	}
}
