package enroll_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
)

// TestAMailboxAloneDoesNotReplaceADevice: with the policy first_device, whoever reads somebody's mail
// can have all devices removed, by a link to the page of devices or by the one in an older mail. That
// must not make the next enrollment one of a first device.
func TestAMailboxAloneDoesNotReplaceADevice(t *testing.T) {
	for _, by := range []string{"session", "link"} {
		w := start(t, nil)
		p, _ := w.register("alice@corp.example", "hers", nil)
		if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(p.code(w.clock.now())), Token: otp.Token{1}}); !r.OK {
			t.Fatal(r.Reason)
		}
		// From here on, nothing but the mailbox is used.
		if by == "session" {
			_, answer := w.session(w.link("alice@corp.example"))
			for _, d := range answer["devices"].([]any) {
				w.post("/v1/devices/remove", map[string]string{"session": answer["session"].(string), "device": d.(map[string]any)["id"].(string)})
			}
		} else {
			var token string
			eventually(t, "the link", func() bool {
				for _, m := range w.smtp.To("alice@corp.example") {
					if _, after, ok := strings.Cut(m.Text, "/revoke#"); ok {
						token, _, _ = strings.Cut(after, "\n")
					}
				}
				return token != ""
			})
			w.post("/v1/revocations", map[string]string{"token": token})
		}
		if w.count(alice) != 0 {
			t.Fatal("the device is still there")
		}
		code, m := w.request("alice@corp.example")
		if _, status, _ := w.tryRegister("alice@corp.example", code, "theirs", nil); status != http.StatusForbidden || w.count(alice) != 0 {
			t.Errorf("removed by %s: a mailbox alone has a device: %d", by, status)
			continue
		}
		if !strings.Contains(m.Text, "an invitation. You get one from your help desk") {
			t.Errorf("the mail does not say what is needed:\n%s", m.Text)
		}
		// An invitation does, and then all is as it was.
		i, err := w.invite("alice")
		if err != nil {
			t.Fatal(err)
		}
		code, _ = w.request("alice@corp.example")
		p, status, answer := w.tryRegister("alice@corp.example", code, "hers again", map[string]string{"confirmation": i.Code})
		if status != http.StatusCreated {
			t.Fatalf("with an invitation: %d %v", status, answer)
		}
		if status, _ := w.post("/v1/devices/remove", w.removal(p)); status != http.StatusOK {
			t.Fatal(status)
		}
		code, _ = w.request("alice@corp.example")
		if _, status, _ := w.tryRegister("alice@corp.example", code, "next", nil); status != http.StatusCreated {
			t.Errorf("after the device itself was removed by its owner: %d", status)
		}
	}
}

// TestALostAnswerNeedsNoHelpDesk: a device that nobody used on its first day might as well never have
// been: removing it changes nothing. After that it is a device as any other.
func TestALostAnswerNeedsNoHelpDesk(t *testing.T) {
	for age, want := range map[time.Duration]int{0: http.StatusCreated, 23 * time.Hour: http.StatusCreated, 24 * time.Hour: http.StatusForbidden} {
		w := start(t, nil)
		p, _ := w.register("alice@corp.example", "hers", nil)
		w.clock.advance(age)
		_, answer := w.session(w.link("alice@corp.example"))
		w.post("/v1/devices/remove", map[string]string{"session": answer["session"].(string), "device": p.device})
		code, _ := w.request("alice@corp.example")
		if _, status, _ := w.tryRegister("alice@corp.example", code, "again", nil); status != want {
			t.Errorf("after %v: %d", age, status)
		}
	}
}
