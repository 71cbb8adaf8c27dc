package operator_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/enroll"
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

// forgetful is a store that changes a device, and does not say so: failing is what it says instead. With lost it
// removes nothing.
type forgetful struct {
	*boltstore.Store
	failing error
	lost    bool
}

func (f *forgetful) AddDevices(ctx context.Context, devices []otp.Device, limit int) ([]error, error) {
	if _, err := f.Store.AddDevices(ctx, devices, limit); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no answer: %w", f.failing)
}

func (f *forgetful) RemoveDevice(ctx context.Context, account, device string) error {
	if f.lost {
		return fmt.Errorf("no answer: %w", f.failing)
	}
	return f.Store.RemoveDevice(ctx, account, device)
}

// TestADeviceThatNobodyIsToldOfIsNotThere: the store has added it, and did not say so. It is removed again, or else
// the record and the operator are not told that it is not there.
func TestADeviceThatNobodyIsToldOfIsNotThere(t *testing.T) {
	for _, f := range []*forgetful{
		{failing: otp.ErrUnavailable}, {failing: context.DeadlineExceeded}, {failing: context.Canceled}, {failing: otp.ErrUnavailable, lost: true},
	} {
		w := start(t, 0, func(o *operator.Options) {
			store, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			f.Store = store
			o.Devices, err = otp.NewDevices(otp.DevicesOptions{
				Store: f, Keys: o.Keys.(otp.Keys), Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3, Now: noon,
			})
			if err != nil {
				t.Fatal(err)
			}
			o.Invite = func(context.Context, *directory.Account) (enroll.Invitation, error) {
				return enroll.Invitation{}, fmt.Errorf("enroll: %w", f.failing)
			}
		})
		_, err := w.client.AddDevice(context.Background(), operator.NewDevice{Name: "alice"})
		wants(t, "add", err, f.failing.Error())
		var e *operator.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, "otpgate device list alice") {
			t.Errorf("%v: the operator is told %+v", f.failing, e)
		}
		there, err := f.Devices(context.Background(), alice)
		if err != nil || !f.lost && len(there.Devices) != 0 || f.lost && len(there.Devices) != 1 {
			t.Errorf("%v: %d devices, %v", f.failing, len(there.Devices), err)
		}
		if f.lost && !strings.Contains(w.logged.String(), "a device may be there that nobody was told of") {
			t.Errorf("the log does not tell of %+v", there.Devices)
		}
		_, err = w.client.Invite(context.Background(), "alice")
		wants(t, "invite", err, f.failing.Error())
		var record []string
		for _, e := range w.events() {
			detail, _, _ := strings.Cut(e.Detail, ":")
			record = append(record, e.Action+" "+detail)
		}
		if got, want := strings.Join(record, ","), "device_added ,device_added perhaps not done,invited ,invited perhaps not done"; got != want {
			t.Errorf("%v: on record: %s", f.failing, got)
		}
	}
}
