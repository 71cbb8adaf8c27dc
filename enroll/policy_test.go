package enroll_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"otpgate/enroll"
	"otpgate/otp"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func seedOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Query().Get("secret")
}

// codeFromURI computes the code that an authenticator app shows.
func codeFromURI(t testing.TB, uri string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCodeCustom(seedOf(uri), at, totp.ValidateOpts{Period: 60, Digits: pquerna.DigitsSix, Algorithm: pquerna.AlgorithmSHA1})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func newRequest(path, body, source string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.RemoteAddr = source
	r.Header.Set("Content-Type", "application/json")
	return r
}

func serve(w *world, r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(recorder, r)
	return recorder.Result()
}

func TestFirstDevicePolicy(t *testing.T) {
	w := start(t, nil)
	first, _ := w.enroll("alice@corp.example")["otpauth"].(string)
	code, m := w.request("alice@corp.example")
	if !strings.Contains(m.Text, "present phone shows") || !strings.Contains(m.Text, "invitation") {
		t.Errorf("the mail does not say what else is needed:\n%s", m.Text)
	}
	members := func(confirmation string) map[string]string {
		return map[string]string{"email": "alice@corp.example", "code": code, "label": "second", "confirmation": confirmation}
	}
	// Mail alone does not do, nor does a wrong code of the device, nor an invitation that is none.
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "second"})
	w.refused(members("000000"))
	w.refused(members("00000-00000"))
	right := codeFromURI(t, first, w.clock.now())
	status, answer := w.device(members(right[:3] + " " + right[3:]))
	if status != http.StatusCreated {
		t.Fatalf("with a code of the first device: %d %v", status, answer)
	}
	// That code is used now.
	r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(right), Token: otp.Token{9}})
	if r.OK || r.Reason != otp.ReasonCodeUsed {
		t.Errorf("the confirming code again: %v %s", r.OK, r.Reason)
	}
	code, _ = w.request("alice@corp.example")
	w.refused(members(right))
	if n := w.count(alice); n != 2 {
		t.Errorf("%d devices", n)
	}
}

func TestRightConfirmationWithWrongCodeIsNotSpent(t *testing.T) {
	w := start(t, nil)
	first, _ := w.enroll("alice@corp.example")["otpauth"].(string)
	code, _ := w.request("alice@corp.example")
	confirmation := codeFromURI(t, first, w.clock.now())
	w.refused(map[string]string{"email": "alice@corp.example", "code": "0000-0000", "label": "x", "confirmation": confirmation})
	if status, _ := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": confirmation}); status != http.StatusCreated {
		t.Error(status)
	}
}

func TestInvitation(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	invite := func(name string) enroll.Invitation {
		t.Helper()
		i, err := w.invite(name)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	code, m := w.request("alice@corp.example")
	if !strings.Contains(m.Text, "an invitation. You get one from your help desk") {
		t.Errorf("the mail does not say what else is needed:\n%s", m.Text)
	}
	try := func(code, confirmation string) int {
		t.Helper()
		status, _ := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": confirmation})
		return status
	}
	old, other := invite("alice"), invite("wang")
	i := invite("alice@corp.example") // ends the old one
	if i.Account != alice || i.Name != "alice" || !i.Expires.Equal(w.clock.now().Add(7*24*time.Hour)) || len(i.Code) != 11 {
		t.Errorf("invitation %+v", i)
	}
	for _, wrong := range []string{"", old.Code, other.Code} {
		if status := try(code, wrong); status != http.StatusForbidden {
			t.Errorf("%q: %d", wrong, status)
		}
	}
	if status := try(code, strings.ToLower(i.Code)); status != http.StatusCreated {
		t.Fatal(status)
	}
	code, _ = w.request("alice@corp.example")
	if status := try(code, i.Code); status != http.StatusForbidden {
		t.Errorf("the same invitation again: %d", status)
	}
	i = invite("alice")
	w.clock.advance(7 * 24 * time.Hour)
	code, _ = w.request("alice@corp.example")
	if status := try(code, i.Code); status != http.StatusForbidden {
		t.Errorf("a week later: %d", status)
	}
	if _, err := w.invite("gone"); err == nil {
		t.Error("an invitation for a disabled account")
	}
	if _, err := w.invite("nobody"); err == nil {
		t.Error("an invitation for nobody")
	}
}

func TestInvitationHasTenTries(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // five tries of a code each
		code, _ := w.request("alice@corp.example")
		for range 5 {
			w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": "00000-00000"})
		}
	}
	code, _ := w.request("alice@corp.example")
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "confirmation": i.Code})
}

func TestAnInvitationAloneIsNothing(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Invited })
	i, err := w.invite("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.refused(map[string]string{"email": "alice@corp.example", "code": i.Code, "label": "x", "confirmation": i.Code})
	w.refused(map[string]string{"email": "alice@corp.example", "code": "", "label": "x", "confirmation": i.Code})
}
