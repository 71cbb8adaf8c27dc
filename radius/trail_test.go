package radius

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/audit"
)

// stuckTrail is a trail for which nobody waits once its disk stands still.
type stuckTrail struct {
	*audit.Log
	stuck chan struct{}
}

func (s stuckTrail) Record(ctx context.Context, events ...audit.Event) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() { <-s.stuck; cancel() }()
	return s.Log.Record(ctx, events...)
}

// TestWhoWasNotLetInIsOnRecordSo: the disk stands still for longer than an attempt has, and then takes what
// it was given.
func TestWhoWasNotLetInIsOnRecordSo(t *testing.T) {
	var slow atomic.Bool
	stuck, gate := make(chan struct{}), make(chan struct{})
	trail, err := audit.Open(audit.Options{Dir: t.TempDir(), MaxBytes: 1, Required: true, Now: func() time.Time {
		if slow.CompareAndSwap(true, false) { // the writer, which rotates
			close(stuck)
			<-gate
		}
		return time.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options, _ *world) { o.Audit = stuckTrail{trail, stuck} })
	if replies := w.feed(vpnAddr, goodLogin("alice", testCode)); len(replies) != 1 {
		t.Fatalf("%d replies while the disk answers", len(replies))
	}
	w.codes.used = map[string]otp.Token{}
	slow.Store(true)
	replies := w.feed(vpnAddr, goodLogin("alice", testCode))
	close(gate)
	if err := trail.Close(context.Background()); err != nil || len(replies) != 0 {
		t.Fatalf("%d replies, %v", len(replies), err)
	}
	var got, ids []string
	err = trail.Read(context.Background(), audit.Filter{}, false, nil, func(e audit.Event) error {
		got, ids = append(got, e.Decision+" "+string(e.Reason)), append(ids, e.ID)
		return nil
	})
	if want := []string{"accept ok", "accept ok", "drop audit_unavailable"}; err != nil || !slices.Equal(got, want) || ids[1] != ids[2] {
		t.Errorf("on record: %q of %q, %v", got, ids, err)
	}
}
