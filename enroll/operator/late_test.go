package operator_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll/operator"
	"otpgate/otp/audit"
)

// lateTrail is a trail whose disk can stand still for longer than anybody waits, and then writes all the same.
type lateTrail struct {
	*audit.Log
	slow        atomic.Bool
	stuck, gate chan struct{}
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

func startLate(t *testing.T) (*world, *lateTrail) {
	t.Helper()
	l := &lateTrail{stuck: make(chan struct{}), gate: make(chan struct{})}
	w := start(t, 10, func(o *operator.Options) {
		var err error
		l.Log, err = audit.Open(audit.Options{Dir: t.TempDir(), MaxBytes: 1, Required: true, Now: func() time.Time {
			if l.slow.CompareAndSwap(true, false) { // the writer, which rotates
				close(l.stuck)
				<-l.gate
			}
			return noon()
		}})
		if err != nil {
			t.Fatal(err)
		}
		o.Trail = l
	})
	if _, err := w.client.ListDevices(context.Background(), "alice"); err != nil {
		t.Fatal(err)
	}
	l.slow.Store(true)
	return w, l
}

// said lets the disk go on, and returns what is on record in the end.
func (l *lateTrail) said(t *testing.T) (all []audit.Event) {
	t.Helper()
	close(l.gate)
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := l.Read(context.Background(), audit.Filter{}, false, nil, func(e audit.Event) error { all = append(all, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWhatWasNotDoneIsOnRecordSo: an operator was told that nothing was done, and the disk takes later what
// tells that it was.
func TestWhatWasNotDoneIsOnRecordSo(t *testing.T) {
	for action, try := range map[string]func(*world) error{
		"device_added": func(w *world) error {
			_, err := w.client.AddDevice(context.Background(), operator.NewDevice{Name: "alice"})
			return err
		},
		"invited": func(w *world) error {
			_, err := w.client.Invite(context.Background(), "alice")
			return err
		},
		"import_started": func(w *world) error {
			_, err := w.importText(header + "alice," + seedOf(1) + ",,,,\n")
			return err
		},
	} {
		w, l := startLate(t)
		wants(t, action, try(w), "nothing was done")
		all := l.said(t)
		if len(all) != 3 || all[1].Action != action || all[1].Detail != "" || all[2].Action != action || all[2].Actor != all[1].Actor ||
			all[2].Account != all[1].Account || all[2].Device != all[1].Device || !strings.HasPrefix(all[2].Detail, "not done: ") {
			t.Errorf("%s: on record: %+v", action, all)
		}
		if n := w.count(alice); n != 0 {
			t.Errorf("%s: %d devices", action, n)
		}
	}
}
