package enroll_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/otp"
	"otpgate/otp/boltstore"
)

// forgetful is a store whose caller hangs up while it changes a device, or that does not say that it has.
type forgetful struct {
	*boltstore.Store
	hangUp func()
	silent bool
}

// after is what a caller is told of a change that was made.
func (f *forgetful) after(ctx context.Context, err error) error {
	f.hangUp()
	if f.silent && err == nil {
		return fmt.Errorf("no answer: %w", otp.ErrUnavailable)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", otp.ErrUnavailable, ctx.Err())
	}
	return err
}

func (f *forgetful) AddDevices(ctx context.Context, devices []otp.Device, limit int) ([]error, error) {
	errs, err := f.Store.AddDevices(ctx, devices, limit)
	if err := f.after(ctx, err); err != nil {
		f.silent = false // it can be asked again
		return nil, err
	}
	return errs, nil
}

func (f *forgetful) RemoveDevice(ctx context.Context, account, device string) error {
	return f.after(ctx, f.Store.RemoveDevice(ctx, account, device))
}

func startForgetful(t *testing.T) (*world, *forgetful) {
	t.Helper()
	f := &forgetful{hangUp: func() {}}
	w := start(t, func(w *world, o *enroll.Options) {
		f.Store = w.store
		var err error
		o.Devices, err = otp.NewDevices(otp.DevicesOptions{
			Store: f, Keys: w.keys, Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, MaxDevices: 3,
			Forget: w.verifier.Forget, Now: w.clock.now,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	return w, f
}

// told is what the trail has of an action, and how many mails went to an address.
func (w *world) told(action, email string) (outcomes []string, mails int) {
	for _, e := range w.trail.all() {
		if e.Action == action {
			outcomes = append(outcomes, e.Decision+" "+string(e.Reason))
		}
	}
	return outcomes, len(w.smtp.To(email))
}

// TestWhoHangsUpLeavesADeviceOnRecord, and a mail about it; and a removal is on record as well.
func TestWhoHangsUpLeavesADeviceOnRecord(t *testing.T) {
	const alice = "alice@corp.example"
	w, f := startForgetful(t)
	code, _ := w.request(alice)
	f.hangUp = w.hangUp()
	p, status, answer := w.tryRegister(alice, code, "hers", nil)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	eventually(t, "a mail about the device", func() bool { _, mails := w.told("", alice); return mails == 2 })
	if outcomes, _ := w.told("device_enrolled", ""); fmt.Sprint(outcomes) != "[accept ok]" {
		t.Errorf("on record: %v", outcomes)
	}
	_, session := w.session(w.link(alice))
	f.hangUp = w.hangUp()
	if status, answer := w.post("/v1/devices/remove", map[string]string{"session": session["session"].(string), "device": p.device}); status != http.StatusOK {
		t.Errorf("%d %v", status, answer)
	}
	eventually(t, "a mail about the removal", func() bool { _, mails := w.told("", alice); return mails == 4 })
	if outcomes, _ := w.told("device_revoked", ""); fmt.Sprint(outcomes) != "[accept ok]" {
		t.Errorf("on record: %v", outcomes)
	}
}

// TestADeviceThatNobodyIsToldOfIsNotThere: the store has added it, and did not say so.
func TestADeviceThatNobodyIsToldOfIsNotThere(t *testing.T) {
	const alice = "alice@corp.example"
	w, f := startForgetful(t)
	code, _ := w.request(alice)
	f.silent = true
	if _, status, answer := w.tryRegister(alice, code, "hers", nil); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
	if outcomes, _ := w.told("device_enrolled", ""); fmt.Sprint(outcomes) != "[drop store_unavailable]" {
		t.Errorf("on record: %v", outcomes)
	}
	p, _ := w.register(alice, "hers", nil) // there is room, and nobody else's device to confirm it
	_, session := w.session(w.link(alice))
	if got := labels(session); len(got) != 1 {
		t.Errorf("devices: %v", got)
	}
	f.silent = true
	if status, answer := w.post("/v1/devices/remove", map[string]string{"session": session["session"].(string), "device": p.device}); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
	if outcomes, _ := w.told("device_revoked", ""); fmt.Sprint(outcomes) != "[drop store_unavailable]" {
		t.Errorf("on record: %v", outcomes)
	}
}
