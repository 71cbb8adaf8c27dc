package enroll_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/otp"
)

// TestAFullAccountKeepsItsInvitation: that there is no room is known before anything is used up. The help
// desk would have to invite again, and the mail says nothing of that.
func TestAFullAccountKeepsItsInvitation(t *testing.T) {
	const email = "alice@corp.example"
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	var last otp.Device
	for range 3 { // as many as may be
		var err error
		if last, _, err = w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	invited := map[string]string{"confirmation": i.Code}
	code, _ := w.request(email)
	if _, status, answer := w.tryRegister(email, code, "new", invited); status != http.StatusForbidden {
		t.Errorf("with three of three devices: %d %v", status, answer["type"])
	}
	if e := w.trail.all()[len(w.trail.all())-1]; e.Action != "device_enrolled" || e.Reason != "too_many_devices" {
		t.Errorf("on record: %+v", e)
	}
	if err := w.devices.Remove(context.Background(), alice, last.ID); err != nil {
		t.Fatal(err)
	}
	code, _ = w.request(email)
	if _, status, answer := w.tryRegister(email, code, "new", invited); status != http.StatusCreated {
		t.Errorf("with room, a new code and the same invitation: %d %v", status, answer["type"])
	}
	if n := w.count(alice); n != 3 {
		t.Errorf("%d devices", n)
	}
}

// TestWhatIsNotReadyUsesUpNothing: store and trail are asked before the tickets are taken.
func TestWhatIsNotReadyUsesUpNothing(t *testing.T) {
	const email = "alice@corp.example"
	var away atomic.Bool
	w := start(t, func(w *world, o *enroll.Options) {
		o.Policy = enroll.Invited
		o.Ping = func(ctx context.Context) (time.Time, error) {
			if away.Load() {
				return time.Time{}, errors.New("the trail is required, and cannot be written")
			}
			return w.store.Ping(ctx)
		}
	})
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	code, _ := w.request(email)
	away.Store(true)
	if _, status, answer := w.tryRegister(email, code, "new", map[string]string{"confirmation": i.Code}); status != http.StatusServiceUnavailable {
		t.Errorf("while something is away: %d %v", status, answer["type"])
	}
	away.Store(false)
	if _, status, answer := w.tryRegister(email, code, "new", map[string]string{"confirmation": i.Code}); status != http.StatusCreated {
		t.Errorf("with the same code and invitation: %d %v", status, answer["type"])
	}
}

// TestARepeatedConfirmationMailsNothing: a device that took the last place is no reason to tell its owner that there is none.
func TestARepeatedConfirmationMailsNothing(t *testing.T) {
	const email = "alice@corp.example"
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	for range 2 { // one less than may be
		if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	code, _ := w.request(email)
	offer := w.begin(email, code)
	if status, _ := w.confirmFirst(offer); status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	for range 3 {
		if status, _ := w.confirmFirst(offer); status != http.StatusForbidden {
			t.Errorf("once more: status %d", status)
		}
	}
	w.settle()
	for _, m := range w.smtp.To(email) {
		if strings.Contains(m.Subject, "was not set up") {
			t.Errorf("a mail: %s", m.Subject)
		}
	}
	if n := w.count(alice); n != 3 {
		t.Errorf("%d devices", n)
	}
}

// TestNoRoomIsMailedSoOften: a code is good for many tries, and each could be a mail.
func TestNoRoomIsMailedSoOften(t *testing.T) {
	const email = "alice@corp.example"
	const most = 2
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Policy = enroll.Anyone
		o.Limits.MailboxBurst = most
	})
	for range 3 {
		if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	code, _ := w.request(email)
	for i := range 10 {
		body := fmt.Sprintf(`{"email":%q,"code":%q,"label":"x"}`, email, code)
		if res := w.from(fmt.Sprintf("198.51.100.%d:4711", i), http.MethodPost, "/v1/devices", body); res.StatusCode != http.StatusForbidden {
			t.Errorf("try %d: status %d", i, res.StatusCode)
		}
	}
	w.settle()
	mails := 0
	for _, m := range w.smtp.To(email) {
		if strings.Contains(m.Subject, "was not set up") {
			mails++
		}
	}
	if mails != most {
		t.Errorf("%d mails", mails)
	}
}
