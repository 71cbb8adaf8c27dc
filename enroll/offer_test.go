package enroll_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/otp"
)

// begin asks for another authenticator, and returns the offer.
func (w *world) begin(email, code string, more ...string) map[string]any {
	w.t.Helper()
	members := map[string]string{"email": email, "code": code, "label": "desk"}
	for i := 0; i+1 < len(more); i += 2 {
		members[more[i]] = more[i+1]
	}
	status, offer := w.post("/v1/devices", members)
	if status != http.StatusAccepted {
		w.t.Fatalf("%d %v", status, offer["type"])
	}
	return offer
}

func (w *world) confirm(token, code string) (int, string) {
	w.t.Helper()
	status, answer := w.post("/v1/confirmations", map[string]string{"token": token, "code": code})
	kind, _ := answer["type"].(string)
	return status, kind
}

// TestAnotherAuthenticator: nothing is there before its first code, which is not used up by it.
func TestAnotherAuthenticator(t *testing.T) {
	w := start(t, nil)
	code, m := w.request("alice@corp.example")
	offer := w.begin("alice@corp.example", code)
	uri, token := offer["otpauth"].(string), offer["token"].(string)
	if !strings.HasPrefix(uri, "otpauth://totp/Example:alice?") || offer["period"] != 60.0 || offer["digits"] != 6.0 || offer["name"] != "alice" ||
		offer["issuer"] != "Example" || offer["unix_ms"] != float64(w.clock.now().UnixMilli()) {
		t.Errorf("offer %v", offer)
	}
	if qr := offer["qr"].(map[string]any); qr["size"].(float64) < 29 || !strings.HasPrefix(qr["path"].(string), "M4 4h7v1h-7z") {
		t.Errorf("QR code of %v modules", qr["size"])
	}
	if w.count(alice) != 0 {
		t.Fatal("a device before its first code")
	}
	shown := codeFromURI(t, uri, w.clock.now())
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(shown), Token: otp.Token{1}}); r.OK {
		t.Fatal("a code of no device is taken")
	}
	status, answer := w.post("/v1/confirmations", map[string]string{"token": token, "code": " " + shown[:3] + " " + shown[3:]})
	if status != http.StatusCreated || answer["label"] != "desk" || answer["account"] != alice || answer["otpauth"] != nil || answer["public_key"] != nil {
		t.Fatalf("%d %v", status, answer)
	}
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(shown), Token: otp.Token{1}}); !r.OK {
		t.Errorf("the first code does not log in: %s", r.Reason)
	}
	if second := w.smtp.Wait(context.Background(), "alice@corp.example", m.Number); !strings.Contains(second.Text, "/revoke#") {
		t.Errorf("the mail:\n%s", second.Text)
	}
	// Once is enough, with that code of the mail or another.
	if status, kind := w.confirm(token, shown); status != http.StatusForbidden || kind != "urn:otpgate:code-invalid" {
		t.Errorf("again: %d %s", status, kind)
	}
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x"})
	if w.count(alice) != 1 {
		t.Errorf("%d devices", w.count(alice))
	}
	for _, secret := range []string{seedOf(uri), shown, token} {
		if strings.Contains(w.logged.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// TestFirstCodeUnmasks what does not read what it is given, and any of it can be tried again.
func TestFirstCodeUnmasks(t *testing.T) {
	w := start(t, nil)
	code, _ := w.request("alice@corp.example")
	offer := w.begin("alice@corp.example", code)
	uri, token := offer["otpauth"].(string), offer["token"].(string)
	show := func(period uint, digits pquerna.Digits, off time.Duration) string {
		shown, err := totp.GenerateCodeCustom(seedOf(uri), w.clock.now().Add(off), totp.ValidateOpts{Period: period, Digits: digits, Algorithm: pquerna.AlgorithmSHA1})
		if err != nil {
			t.Fatal(err)
		}
		return shown
	}
	for _, c := range []struct{ name, code, kind string }{
		{"a period of 30 s", show(30, pquerna.DigitsSix, 0), "urn:otpgate:period-ignored"},
		{"8 digits", show(60, pquerna.DigitsEight, 0), "urn:otpgate:digits-wrong"},
		{"nothing", "", "urn:otpgate:digits-wrong"},
		{"two minutes ago", show(60, pquerna.DigitsSix, -2*time.Minute), "urn:otpgate:first-code-wrong"},
		{"a word", "abcdef", "urn:otpgate:first-code-wrong"},
	} {
		if status, kind := w.confirm(token, c.code); status != http.StatusUnprocessableEntity || kind != c.kind {
			t.Errorf("%s: %d %s", c.name, status, kind)
		}
	}
	if w.count(alice) != 0 {
		t.Fatal("a device by a wrong first code")
	}
	if last := w.trail.all()[len(w.trail.all())-1]; last.Action != "device_enrolled" || last.Decision != "reject" || last.Account != alice || last.Detail == "" {
		t.Errorf("on record: %+v", last)
	}
	if status, kind := w.confirm(token, show(60, pquerna.DigitsSix, time.Minute)); status != http.StatusCreated {
		t.Errorf("the right one, of a clock that is a minute ahead: %d %s", status, kind)
	}
}

// movingAccounts is a directory in which an account changes.
type movingAccounts struct {
	enroll.Accounts
	change atomic.Pointer[func(*directory.Account)]
}

func (m *movingAccounts) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	a, err := m.Accounts.FindMail(ctx, mail)
	change := m.change.Load()
	if err != nil || change == nil {
		return a, err
	}
	other := *a
	(*change)(&other)
	return &other, nil
}

// TestOffersEnd: with their time, with the code of the mail, with the account, and with what confirmed them.
func TestOffersEnd(t *testing.T) {
	forbidden := func(t *testing.T, w *world, offer map[string]any) {
		t.Helper()
		before := w.count(alice)
		if status, answer := w.confirmFirst(offer); status != http.StatusForbidden || answer["type"] != "urn:otpgate:code-invalid" || len(answer) != 3 {
			t.Errorf("%d %v", status, answer["type"])
		}
		if w.count(alice) != before {
			t.Error("there is another device")
		}
	}
	t.Run("after ten minutes", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		w.clock.advance(10 * time.Minute)
		forbidden(t, w, offer)
	})
	t.Run("not before", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		w.clock.advance(10*time.Minute - time.Second)
		if status, _ := w.confirmFirst(offer); status != http.StatusCreated {
			t.Error(status)
		}
	})
	t.Run("with the code", func(t *testing.T) {
		w := start(t, func(_ *world, o *enroll.Options) { o.CodeLifetime = 5 * time.Minute })
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		w.clock.advance(5 * time.Minute)
		forbidden(t, w, offer)
	})
	t.Run("with a newer code", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		_, _ = w.request("alice@corp.example")
		forbidden(t, w, offer)
	})
	t.Run("when the code was used for a phone", func(t *testing.T) {
		w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		if _, status, _ := w.tryRegister("alice@corp.example", code, "phone", nil); status != http.StatusCreated {
			t.Fatal(status)
		}
		forbidden(t, w, offer)
	})
	t.Run("when there is a device now, which would have to confirm it", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "by the help desk"}); err != nil {
			t.Fatal(err)
		}
		forbidden(t, w, offer)
	})
	t.Run("when the device that confirmed it is gone", func(t *testing.T) {
		w := start(t, nil)
		p, _ := w.register("alice@corp.example", "stolen", nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code, "confirmation", p.code(w.clock.now()))
		if err := w.devices.Remove(context.Background(), alice, p.device); err != nil {
			t.Fatal(err)
		}
		forbidden(t, w, offer)
	})
	t.Run("when the invitation was used", func(t *testing.T) {
		w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
		i, err := w.invite("alice")
		if err != nil {
			t.Fatal(err)
		}
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code, "confirmation", i.Code)
		if _, err := w.invite("alice"); err != nil { // ends that one
			t.Fatal(err)
		}
		forbidden(t, w, offer)
	})
	t.Run("when nobody may log in with the account any more, or its address is another's", func(t *testing.T) {
		moved := &movingAccounts{}
		w := start(t, func(_ *world, o *enroll.Options) { moved.Accounts, o.Accounts = o.Accounts, moved })
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		for _, change := range []func(*directory.Account){
			func(a *directory.Account) { a.Disabled = true }, func(a *directory.Account) { a.ID = wang },
		} {
			moved.change.Store(&change)
			forbidden(t, w, offer)
		}
		moved.change.Store(nil)
		if status, _ := w.confirmFirst(offer); status != http.StatusCreated {
			t.Errorf("as it was: %d", status)
		}
	})
	t.Run("when the trail is required and cannot be written", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		offer := w.begin("alice@corp.example", code)
		w.trail.fail(errors.New("disk full"))
		if status, _ := w.confirmFirst(offer); status != http.StatusServiceUnavailable || w.count(alice) != 0 {
			t.Errorf("%d, %d devices", status, w.count(alice))
		}
	})
}

// TestInvitationIsTakenWithTheFirstCode, and not with the offer.
func TestInvitationIsTakenWithTheFirstCode(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	code, _ := w.request("alice@corp.example")
	_ = w.begin("alice@corp.example", code, "confirmation", i.Code)
	offer := w.begin("alice@corp.example", code, "confirmation", i.Code)
	if status, _ := w.confirmFirst(offer); status != http.StatusCreated {
		t.Fatal(status)
	}
	code, _ = w.request("alice@corp.example")
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": i.Code})
}

// TestConcurrentConfirmationsHaveOneWinner, whichever offers they are of.
func TestConcurrentConfirmationsHaveOneWinner(t *testing.T) {
	w := start(t, nil)
	code, _ := w.request("alice@corp.example")
	offers := []map[string]any{w.begin("alice@corp.example", code), w.begin("alice@corp.example", code)}
	var won atomic.Int32
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if status, _ := w.confirmFirst(offers[n%2]); status == http.StatusCreated {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || w.count(alice) != 1 {
		t.Errorf("%d winners, %d devices", won.Load(), w.count(alice))
	}
}

// TestNoRoomForAnotherAuthenticator is said before it is set up, by mail only.
func TestNoRoomForAnotherAuthenticator(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	for range 3 {
		w.register("alice@corp.example", "phone", nil)
	}
	code, m := w.request("alice@corp.example")
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x"})
	full := w.smtp.Wait(context.Background(), "alice@corp.example", m.Number)
	for strings.Contains(full.Subject, "shows your codes") { // those about the three may come late
		full = w.smtp.Wait(context.Background(), "alice@corp.example", full.Number)
	}
	if !strings.Contains(full.Subject, "was not set up") {
		t.Errorf("the mail: %s", full.Subject)
	}
}

// TestQRPath draws what an image of the code holds.
func TestQRPath(t *testing.T) {
	size, path, err := enroll.TraceQR("otpauth://totp/Example:alice?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=Example")
	if err != nil || size != 4+37+4 || strings.Trim(path, "Mhvz-0123456789 ") != "" || strings.Count(path, "M") != strings.Count(path, "z") {
		t.Errorf("%d modules, %v: %s", size, err, path)
	}
	if _, _, err := enroll.TraceQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("a code for too much")
	}
}
