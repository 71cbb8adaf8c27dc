package enroll_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/enroll/smtptest"
	"otpgate/otp"
	"otpgate/otp/audit"
)

const (
	alice = "0b000000-0000-4000-8000-000000000002"
	wang  = "0b000000-0000-4000-8000-000000000003"
)

func TestEnrollByMail(t *testing.T) {
	w := start(t, nil)
	code, m := w.request("alice@corp.example")
	if !strings.Contains(m.Text, "ignore this mail. Nothing has changed") || !strings.Contains(m.Text, "one hour") || !strings.Contains(m.HTML, code) {
		t.Errorf("the mail does not say it:\n%s", m.Text)
	}
	status, answer := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "My phone"})
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	uri, _ := answer["otpauth"].(string)
	if !strings.HasPrefix(uri, "otpauth://totp/Example:alice?") || answer["name"] != "alice" || answer["account"] != alice || answer["period"] != 60.0 {
		t.Errorf("answer %v", answer)
	}
	typed := codeFromURI(t, uri, w.clock.now())
	result := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(typed), Token: otp.Token{1}})
	if !result.OK {
		t.Errorf("the device's code is refused: %s", result.Reason)
	}
	second := w.smtp.Wait(context.Background(), "alice@corp.example", m.Number)
	if !strings.Contains(second.Text, "My phone") || !strings.Contains(second.Text, "https://otp.example.org/revoke#") {
		t.Errorf("the second mail does not say it:\n%s", second.Text)
	}
	// Used once, it is used up.
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "another"})
	if n := w.count(alice); n != 1 {
		t.Errorf("%d devices", n)
	}
	var actions []string
	for _, e := range w.trail.all() {
		actions = append(actions, e.Action+" "+e.Decision+" "+string(e.Reason))
	}
	want := "enrollment_requested accept ok, device_offered accept ok, device_enrolled accept ok, device_enrolled reject code_wrong"
	if got := strings.Join(actions, ", "); got != want {
		t.Errorf("audit: %s\nwant   %s", got, want)
	}
	bare := strings.ReplaceAll(code, "-", "")
	for _, secret := range []string{code, bare, typed, seedOf(uri)} {
		if strings.Contains(w.logged.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

func TestMailGoesToTheAddressOfTheDirectory(t *testing.T) {
	w := start(t, nil)
	status, _ := w.post("/v1/enrollments", map[string]string{"email": "ARCHER@corp.example"})
	if status != http.StatusAccepted {
		t.Fatal(status)
	}
	w.smtp.Wait(context.Background(), "alice@corp.example", 0)
	if n := len(w.smtp.To("archer@corp.example")); n != 0 {
		t.Errorf("%d mails to the address that was typed", n)
	}
}

func TestUnknownAddressesGetTheSameAnswerAndNoMail(t *testing.T) {
	w := start(t, nil)
	known := w.do(http.MethodPost, "/v1/enrollments", `{"email":"alice@corp.example"}`, "Content-Type", "application/json")
	want := read(t, known)
	for _, email := range []string{
		"nobody@corp.example", "gone@corp.example", "twins@corp.example", "", "no address", "*@corp.example", "alice@corp.example)(uid=*",
		strings.Repeat("a", 300) + "@corp.example", "alice@corp.example\\nBcc: eve@evil.example",
	} {
		res := w.do(http.MethodPost, "/v1/enrollments", `{"email":"`+strings.ReplaceAll(email, `\n`, `\\n`)+`"}`, "Content-Type", "application/json")
		if got := read(t, res); res.StatusCode != known.StatusCode || got != want || headers(res) != headers(known) {
			t.Errorf("%q: %d %s %s", email, res.StatusCode, got, headers(res))
		}
	}
	eventually(t, "all requests on record", func() bool { return len(w.trail.all()) == 10 })
	w.settle()
	if mails := w.smtp.Mails(); len(mails) != 1 || mails[0].To != "alice@corp.example" {
		t.Errorf("mails: %d", len(mails))
	}
}

func headers(res *http.Response) string {
	var b strings.Builder
	_ = res.Header.WriteSubset(&b, map[string]bool{"Date": true})
	return b.String()
}

func TestCodesAsPeopleTypeThem(t *testing.T) {
	for _, typed := range []func(string) string{
		func(c string) string { return strings.ToLower(c) },
		func(c string) string { return strings.ReplaceAll(c, "-", "") },
		func(c string) string { return " " + strings.ReplaceAll(c, "-", " - ") + " " },
		func(c string) string { return strings.NewReplacer("0", "o", "1", "l").Replace(c) },
		func(c string) string { return strings.NewReplacer("0", "O", "1", "I").Replace(c) },
	} {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		if status, answer := w.device(map[string]string{"email": "alice@corp.example", "code": typed(code), "label": ""}); status != http.StatusCreated {
			t.Errorf("%d %v", status, answer)
		}
	}
}

func TestCodesEnd(t *testing.T) {
	members := func(code string) map[string]string {
		return map[string]string{"email": "alice@corp.example", "code": code, "label": "phone"}
	}
	t.Run("after an hour", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		w.clock.advance(time.Hour)
		w.refused(members(code))
	})
	t.Run("not before", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		w.clock.advance(time.Hour - time.Second)
		if status, _ := w.device(members(code)); status != http.StatusCreated {
			t.Error(status)
		}
	})
	t.Run("after five wrong tries", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		for range 5 {
			w.refused(members("0000-0000"))
		}
		w.refused(members(code))
		// and a new one works
		code, _ = w.request("alice@corp.example")
		if status, _ := w.device(members(code)); status != http.StatusCreated {
			t.Error(status)
		}
	})
	t.Run("not after four", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		for _, wrong := range []string{"0000-0000", "", "x", "not a code at all"} {
			w.refused(members(wrong))
		}
		if status, _ := w.device(members(code)); status != http.StatusCreated {
			t.Error(status)
		}
	})
	t.Run("when a new one is requested", func(t *testing.T) {
		w := start(t, nil)
		old, _ := w.request("alice@corp.example")
		code, _ := w.request("alice@corp.example")
		w.refused(members(old))
		if status, _ := w.device(members(code)); status != http.StatusCreated {
			t.Error(status)
		}
	})
	t.Run("another account's", func(t *testing.T) {
		w := start(t, nil)
		code, _ := w.request("alice@corp.example")
		_, _ = w.request("wang@corp.example")
		w.refused(map[string]string{"email": "wang@corp.example", "code": code, "label": "phone"})
		if n := w.count(wang); n != 0 {
			t.Error("a device by another account's code")
		}
	})
}

func TestConcurrentEnrollmentsHaveOneWinner(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	code, _ := w.request("alice@corp.example")
	var won atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, _ := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "phone"}); status == http.StatusCreated {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || w.count(alice) != 1 {
		t.Errorf("%d winners, %d devices", won.Load(), w.count(alice))
	}
}

// TestConcurrentPhonesHaveOneWinner: with one code, whether a phone asks or another authenticator.
func TestConcurrentPhonesHaveOneWinner(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	code, _ := w.request("alice@corp.example")
	offer := w.begin("alice@corp.example", code)
	var won atomic.Int32
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			status := 0
			if n%4 == 0 {
				status, _ = w.confirmFirst(offer)
			} else {
				_, status, _ = w.tryRegister("alice@corp.example", code, "phone", nil)
			}
			if status == http.StatusCreated {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || w.count(alice) != 1 {
		t.Errorf("%d winners, %d devices", won.Load(), w.count(alice))
	}
}

// TestAStrangerDoesNotEndACode: each source has five tries of it, and all of them fifty.
func TestAStrangerDoesNotEndACode(t *testing.T) {
	const email = "alice@corp.example"
	tries := func(w *world, source string) {
		t.Helper()
		for range 6 { // the last is not judged
			res := w.from(source, http.MethodPost, "/v1/devices", `{"email":"`+email+`","code":"0000-0000","label":"x"}`)
			if res.StatusCode != http.StatusForbidden {
				t.Fatalf("%s: %d", source, res.StatusCode)
			}
		}
	}
	phone := func(code string) map[string]string {
		return map[string]string{"email": email, "code": code, "label": "phone"}
	}
	w := start(t, nil)
	code, _ := w.request(email)
	tries(w, "198.51.100.7:1")
	tries(w, "[2001:db8:1:2::1]:1")
	tries(w, "[2001:db8:1:2:3::4]:1") // the same neighbourhood
	last := w.trail.all()[len(w.trail.all())-1]
	if last.Reason != otp.ReasonThrottled || last.Account != alice {
		t.Errorf("on record: %+v", last)
	}
	if status, _ := w.device(phone(code)); status != http.StatusCreated {
		t.Errorf("its owner, from elsewhere: %d", status)
	}

	w = start(t, nil)
	code, _ = w.request(email)
	for i := range 10 {
		tries(w, fmt.Sprintf("198.51.100.%d:1", i))
	}
	w.refused(phone(code))
	code, _ = w.request(email)
	if status, _ := w.device(phone(code)); status != http.StatusCreated {
		t.Errorf("a new one: %d", status)
	}
}

func TestPerMailboxLimitIsSilent(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.MailboxBurst, o.Limits.MailboxEvery = 2, time.Hour })
	_, _ = w.request("alice@corp.example")
	code, _ := w.request("alice@corp.example")
	for range 5 {
		if status, _ := w.post("/v1/enrollments", map[string]string{"email": "alice@corp.example"}); status != http.StatusAccepted {
			t.Fatal(status)
		}
	}
	eventually(t, "all on record", func() bool { return len(w.trail.all()) == 7 })
	if last := w.trail.all()[6]; last.Reason != otp.ReasonThrottled || last.Decision != "reject" {
		t.Errorf("on record: %+v", last)
	}
	// The code of the last mail is still good.
	if status, _ := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "phone"}); status != http.StatusCreated {
		t.Error(status)
	}
	w.settle()
	if n := len(w.smtp.To("alice@corp.example")); n != 3 { // two codes, one success
		t.Errorf("%d mails", n)
	}
}

func TestPerSourceLimit(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) {
		o.Limits.SourceBurst, o.Limits.SourceEvery = 3, time.Minute
	})
	from := func(source string) *http.Response {
		r := newRequest("/v1/enrollments", `{"email":"nobody@corp.example"}`, source)
		return serve(w, r)
	}
	for range 3 {
		if res := from("[2001:db8:1:2::1]:1000"); res.StatusCode != http.StatusAccepted {
			t.Fatal(res.StatusCode)
		}
	}
	res := from("[2001:db8:1:2:ffff::9]:2000") // the same /64
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "60" {
		t.Errorf("%d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if res := from("[2001:db8:1:3::1]:1000"); res.StatusCode != http.StatusAccepted {
		t.Errorf("another /64: %d", res.StatusCode)
	}
	w.clock.advance(time.Minute)
	if res := from("[2001:db8:1:2::1]:1000"); res.StatusCode != http.StatusAccepted {
		t.Errorf("a minute later: %d", res.StatusCode)
	}
}

// brokenTickets is a store that cannot tell.
type brokenTickets struct {
	enroll.Tickets
	broken, brokenTake atomic.Bool
}

func (b *brokenTickets) CheckTicket(ctx context.Context, k otp.TicketKind, account string, d otp.Digest, now time.Time) (bool, error) {
	if b.broken.Load() {
		return true, otp.ErrUnavailable // true must not help
	}
	return b.Tickets.CheckTicket(ctx, k, account, d, now)
}

func (b *brokenTickets) TakeTicket(ctx context.Context, k otp.TicketKind, account string, d otp.Digest, now time.Time) (bool, error) {
	if b.brokenTake.Load() {
		return true, otp.ErrUnavailable
	}
	return b.Tickets.TakeTicket(ctx, k, account, d, now)
}

func (b *brokenTickets) Ping(context.Context) (time.Time, error) {
	if b.broken.Load() {
		return time.Time{}, otp.ErrUnavailable
	}
	return time.Time{}, nil
}

func TestStoreUnavailable(t *testing.T) {
	broken := &brokenTickets{}
	w := start(t, func(w *world, o *enroll.Options) {
		broken.Tickets = w.store
		o.Tickets, o.Ping = broken, broken.Ping
	})
	code, _ := w.request("alice@corp.example")
	members := map[string]string{"email": "alice@corp.example", "code": code, "label": "phone"}
	broken.brokenTake.Store(true)
	if status, _ := w.device(members); status != http.StatusServiceUnavailable {
		t.Error(status)
	}
	broken.broken.Store(true)
	w.clock.advance(2 * time.Second) // beyond what readiness remembers
	for _, email := range []string{"alice@corp.example", "nobody@corp.example"} {
		if status, _ := w.post("/v1/enrollments", map[string]string{"email": email}); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", email, status)
		}
		if status, _ := w.device(map[string]string{"email": email, "code": code, "label": "phone"}); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", email, status)
		}
	}
	if w.count(alice) != 0 {
		t.Error("a device although the store could not tell")
	}
	// It comes back, and so does everything.
	broken.broken.Store(false)
	broken.brokenTake.Store(false)
	w.clock.advance(2 * time.Second)
	if status, _ := w.device(members); status != http.StatusCreated {
		t.Error(status)
	}
}

func TestRequiredTrailMustHaveTheDevice(t *testing.T) {
	w := start(t, nil)
	code, _ := w.request("alice@corp.example")
	eventually(t, "the request on record", func() bool { return len(w.trail.all()) == 1 })
	w.trail.fail(errors.New("disk full"))
	status, _ := w.device(map[string]string{"email": "alice@corp.example", "code": code, "label": "phone"})
	if status != http.StatusServiceUnavailable || w.count(alice) != 0 {
		t.Errorf("%d, %d devices", status, w.count(alice))
	}
}

func TestRevocationLink(t *testing.T) {
	w := start(t, nil)
	w.enroll("alice@corp.example")
	var token string
	eventually(t, "the link", func() bool {
		for _, m := range w.smtp.To("alice@corp.example") {
			if _, after, ok := strings.Cut(m.Text, "/revoke#"); ok {
				token, _, _ = strings.Cut(after, "\n")
				return true
			}
		}
		return false
	})
	// Opening the page, with whatever method scanners use, changes nothing.
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if res := w.do(method, "/revoke", ""); res.StatusCode != http.StatusOK {
			t.Error(res.StatusCode)
		}
	}
	// Every changed bit of the token is refused.
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		if status, _ := w.post("/v1/revocations", map[string]string{"token": string(changed)}); status != http.StatusForbidden {
			t.Fatalf("octet %d: %d", i, status)
		}
	}
	// Something else that the keyset sealed is not a token.
	foreign, err := w.keys.Seal([]byte(`{"a":"`+alice+`","d":"x","e":9999999999}`), []byte("something else"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "x", token + "A", token[1:], string(foreign), encode(foreign)} {
		if status, _ := w.post("/v1/revocations", map[string]string{"token": bad}); status != http.StatusForbidden {
			t.Errorf("%q: %d", bad, status)
		}
	}
	if w.count(alice) != 1 {
		t.Fatal("the device is gone already")
	}
	for range 2 { // twice to the same effect
		if status, answer := w.post("/v1/revocations", map[string]string{"token": token}); status != http.StatusOK || answer["revoked"] != true {
			t.Errorf("%d %v", status, answer)
		}
	}
	if w.count(alice) != 0 {
		t.Error("the device is still there")
	}
	eventually(t, "a mail that says so", func() bool {
		return slices.ContainsFunc(w.smtp.To("alice@corp.example"), func(m smtptest.Mail) bool { return strings.Contains(m.Subject, "removed") })
	})
	w.clock.advance(31 * 24 * time.Hour)
	if status, _ := w.post("/v1/revocations", map[string]string{"token": token}); status != http.StatusForbidden {
		t.Errorf("after a month: %d", status)
	}
	last := w.trail.all()[len(w.trail.all())-1]
	if last.Action != "device_revoked" || last.Kind != audit.Enrollment || last.Account != alice || last.Name != "alice" || last.Source != "192.0.2.1" {
		t.Errorf("on record: %+v", last)
	}
}

func TestTooManyDevices(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	for range 3 {
		w.enroll("alice@corp.example")
	}
	code, m := w.request("alice@corp.example")
	w.refused(map[string]string{"email": "alice@corp.example", "code": code, "label": "fourth"})
	eventually(t, "a mail that says why", func() bool {
		for _, later := range w.smtp.To("alice@corp.example") {
			if later.Number > m.Number && strings.Contains(later.Subject, "was not set up") {
				return true
			}
		}
		return false
	})
	if w.count(alice) != 3 {
		t.Error("too many devices")
	}
}

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	w := start(t, nil)
	if status, _ := w.post("/v1/enrollments", map[string]string{"email": "alice@corp.example"}); status != http.StatusAccepted {
		t.Fatal(status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	w.settle()
	if n := len(w.smtp.To("alice@corp.example")); n != 1 {
		t.Errorf("%d mails", n)
	}
}
