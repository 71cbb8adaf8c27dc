package operator_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/boltstore"
)

// leaving is a store whose caller hangs up before it changes a device.
type leaving struct {
	*boltstore.Store
	hangUp func()
}

// left hangs up, and leaves the server some time to notice.
func (l *leaving) left(ctx context.Context) {
	l.hangUp()
	select {
	case <-ctx.Done():
	case <-time.After(200 * time.Millisecond):
	}
}

func (l *leaving) AddDevices(ctx context.Context, devices []otp.Device, limit int) ([]error, error) {
	l.left(ctx)
	return l.Store.AddDevices(ctx, devices, limit)
}

func (l *leaving) RemoveDevice(ctx context.Context, account, device string) error {
	l.left(ctx)
	return l.Store.RemoveDevice(ctx, account, device)
}

// TestWhoHangsUpLeavesNoHalfAChange: a device that an operator adds or revokes is there or gone, and on record once, although
// nobody waits for the answer any more.
func TestWhoHangsUpLeavesNoHalfAChange(t *testing.T) {
	store, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	l := &leaving{Store: store}
	var devices *otp.Devices
	w := start(t, 0, func(o *operator.Options) {
		devices, err = otp.NewDevices(otp.DevicesOptions{
			Store: l, Keys: o.Keys.(otp.Keys), Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3, Now: noon,
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Devices = devices
	})
	changed := func(want int, change func(context.Context) error) {
		t.Helper()
		recorded := len(w.events()) + 1
		ctx, cancel := context.WithCancel(context.Background())
		l.hangUp = cancel
		if err := change(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up was told %v", err)
		}
		deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
		defer tick.Stop()
		for {
			list, err := devices.List(context.Background(), alice)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == want && len(w.events()) == recorded {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%d devices, want %d; on record: %+v", len(list), want, w.events())
			}
		}
	}
	changed(1, func(ctx context.Context) error {
		_, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice", Label: "token"})
		return err
	})
	changed(0, func(ctx context.Context) error {
		_, err := w.client.RevokeDevice(ctx, "alice", "token")
		return err
	})
	events := w.events()
	if len(events) != 2 || events[0].Action != "device_added" || events[1].Action != "device_revoked" || events[1].Detail != "" {
		t.Errorf("on record: %+v", events)
	}
}
