package enroll_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/enroll"
	"otpgate/otp"
)

var linkInMail = regexp.MustCompile(`https://otp\.example\.org/devices#([A-Za-z0-9_-]+)`)

// link asks for a link and reads its token from the mail.
func (w *world) link(email string) string {
	w.t.Helper()
	seen := 0
	if all := w.smtp.Mails(); len(all) > 0 {
		seen = all[len(all)-1].Number
	}
	if status, answer := w.post("/v1/links", map[string]string{"email": email}); status != http.StatusAccepted || answer["valid_seconds"] != 900.0 || len(answer) != 1 {
		w.t.Fatalf("link for %s: %d %v", email, status, answer)
	}
	var token string
	eventually(w.t, "a link to "+email, func() bool {
		for _, m := range w.smtp.To(email) {
			if found := linkInMail.FindStringSubmatch(m.Text); found != nil && m.Number > seen {
				token = found[1]
			}
		}
		return token != ""
	})
	return token
}

// session exchanges a link.
func (w *world) session(token string) (int, map[string]any) {
	w.t.Helper()
	return w.post("/v1/sessions", map[string]string{"token": token})
}

func labels(answer map[string]any) (all []string) {
	list, _ := answer["devices"].([]any)
	for _, d := range list {
		all = append(all, d.(map[string]any)["label"].(string))
	}
	slices.Sort(all)
	return all
}

// TestMyDevices: a link, a session, the list, another label, and one device less.
func TestMyDevices(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	doc := loadOpenAPI(t)
	first, _ := w.register("alice@corp.example", "first", nil)
	w.clock.advance(time.Hour)
	second, _ := w.register("alice@corp.example", "second", nil)
	hers, _ := w.register("wang@corp.example", "hers", nil)
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(first.code(w.clock.now())), Token: otp.Token{1}}); !r.OK {
		t.Fatal(r.Reason)
	}
	status, answer := w.session(w.link("alice@corp.example"))
	if status != http.StatusCreated || answer["name"] != "alice" || answer["issuer"] != "Example" || answer["valid_seconds"] != 900.0 || !slices.Equal(labels(answer), []string{"first", "second"}) {
		t.Fatalf("%d %v", status, answer)
	}
	session := answer["session"].(string)
	for _, d := range answer["devices"].([]any) {
		d := d.(map[string]any)
		used, was := d["last_used"]
		if d["id"] == first.device && (d["created"] != "2027-01-15T08:00:30Z" || used != "2027-01-15T09:00:30Z") || d["id"] == second.device && was {
			t.Errorf("%v", d)
		}
	}
	doc.holds(t, "/v1/devices/list", w.do("POST", "/v1/devices/list", `{"session":"`+session+`"}`, "Content-Type", "application/json"))
	if status, answer := w.post("/v1/devices/rename", map[string]string{"session": session, "device": second.device, "label": "tablet"}); status != http.StatusOK || answer["label"] != "tablet" {
		t.Errorf("%d %v", status, answer)
	}
	// Nobody else's.
	w.forbidden("another account's device", "/v1/devices/rename", map[string]string{"session": session, "device": hers.device, "label": "mine"})
	for range 2 { // gone, or never there: the same
		for _, device := range []string{hers.device, first.device, "x"} {
			if status, answer := w.post("/v1/devices/remove", map[string]string{"session": session, "device": device}); status != http.StatusOK || answer["removed"] != true {
				t.Errorf("%d %v", status, answer)
			}
		}
	}
	if status, answer := w.post("/v1/devices/list", map[string]string{"session": session}); status != http.StatusOK || !slices.Equal(labels(answer), []string{"tablet"}) || w.count(wang) != 1 {
		t.Errorf("%d %v", status, answer)
	}
	w.settle()
	told := 0
	for _, m := range w.smtp.To("alice@corp.example") {
		if strings.Contains(m.Subject, "removed") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d mails about one removal", told)
	}
	var actions []string
	for _, e := range w.trail.all() {
		actions = append(actions, e.Action)
	}
	for _, want := range []string{"link_requested", "session_opened", "device_renamed", "device_revoked"} {
		if !slices.Contains(actions, want) {
			t.Errorf("%s is not on record", want)
		}
	}
	for _, secret := range []string{session, string(first.seed)} {
		if strings.Contains(w.logged.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// TestLinksEnd: used once, with their time, and with a newer one.
func TestLinksEnd(t *testing.T) {
	w := start(t, nil)
	w.register("alice@corp.example", "phone", nil)
	invalid := func(what, token string) {
		t.Helper()
		if status, answer := w.session(token); status != http.StatusForbidden || answer["type"] != "urn:otpgate:link-invalid" || len(answer) != 3 {
			t.Errorf("%s: %d %v", what, status, answer["type"])
		}
	}
	token := w.link("alice@corp.example")
	for i := range len(token) {
		changed := []byte(token)
		changed[i] ^= 1
		invalid("a changed octet", string(changed))
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} { // scanners of mail
		w.do(method, "/devices", "")
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, _ := w.session(token); status == http.StatusCreated {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d sessions of one link", won.Load())
	}
	invalid("used", token)
	old := w.link("alice@corp.example")
	token = w.link("alice@corp.example")
	invalid("there is a newer one", old)
	w.clock.advance(15 * time.Minute)
	invalid("after 15 minutes", token)
	token = w.link("alice@corp.example")
	w.clock.advance(15*time.Minute - time.Second)
	status, answer := w.session(token)
	if status != http.StatusCreated {
		t.Fatalf("before: %d", status)
	}
	session := map[string]string{"session": answer["session"].(string)}
	w.clock.advance(15*time.Minute - time.Second)
	if status, _ := w.post("/v1/devices/list", session); status != http.StatusOK {
		t.Errorf("the session is over after 15 minutes less a second: %d", status)
	}
	w.clock.advance(time.Second)
	device := answer["devices"].([]any)[0].(map[string]any)["id"].(string)
	for path, members := range map[string]map[string]string{
		"/v1/devices/list": session, "/v1/devices/remove": {"session": session["session"], "device": device},
		"/v1/devices/rename": {"session": session["session"], "device": device, "label": "x"},
	} {
		if status, answer := w.post(path, members); status != http.StatusForbidden || answer["type"] != "urn:otpgate:link-invalid" {
			t.Errorf("%s after 15 minutes: %d %v", path, status, answer["type"])
		}
	}
	if w.count(alice) != 1 {
		t.Error("removed by a session that is over")
	}
}

// TestLinksTellNothing: the same answer for every address, and a mail to the directory's only.
func TestLinksTellNothing(t *testing.T) {
	w := start(t, nil)
	answers := map[string]bool{}
	for _, email := range []string{"ARCHER@corp.example", "nobody@corp.example", "gone@corp.example", "twins@corp.example", "", "*"} {
		res := w.do(http.MethodPost, "/v1/links", `{"email":"`+email+`"}`, "Content-Type", "application/json")
		answers[res.Status+headers(res)+read(t, res)] = true
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers", len(answers))
	}
	eventually(t, "all on record", func() bool { return len(w.trail.all()) == 6 })
	w.settle()
	if mails := w.smtp.Mails(); len(mails) != 1 || mails[0].To != "alice@corp.example" {
		t.Errorf("%d mails", len(mails))
	}
}

// TestLinksAndCodesHaveALimitEach, silently: who asks for the one, for somebody else, does not take what the
// other needs, and a mailbox gets twice as many mails at the most.
func TestLinksAndCodesHaveALimitEach(t *testing.T) {
	const email = "alice@corp.example"
	w := start(t, func(_ *world, o *enroll.Options) { o.Limits.MailboxBurst, o.Limits.MailboxEvery = 2, time.Hour })
	_ = w.link(email)
	token := w.link(email)
	ask := func(path string) {
		t.Helper()
		for range 3 {
			if status, _ := w.post(path, map[string]string{"email": email}); status != http.StatusAccepted {
				t.Error(status)
			}
		}
	}
	ask("/v1/links")
	eventually(t, "all on record", func() bool { return len(w.trail.all()) == 5 })
	_, _ = w.request(email)
	code, _ := w.request(email)
	ask("/v1/enrollments")
	eventually(t, "all on record", func() bool { return len(w.trail.all()) == 10 })
	if status, _ := w.session(token); status != http.StatusCreated {
		t.Errorf("the link that was mailed: %d", status)
	}
	w.settle()
	if n := len(w.smtp.To(email)); n != 4 {
		t.Errorf("%d mails", n)
	}
	if status, _ := w.device(map[string]string{"email": email, "code": code, "label": "phone"}); status != http.StatusCreated {
		t.Errorf("the code that was mailed: %d", status)
	}
}

func TestLinksWithoutAStore(t *testing.T) {
	broken := &brokenTickets{}
	w := start(t, func(w *world, o *enroll.Options) {
		broken.Tickets = w.store
		o.Tickets, o.Ping = broken, broken.Ping
	})
	token := w.link("alice@corp.example")
	broken.brokenTake.Store(true)
	if status, _ := w.session(token); status != http.StatusServiceUnavailable {
		t.Error(status)
	}
	broken.broken.Store(true)
	w.clock.advance(2 * time.Second)
	for _, email := range []string{"alice@corp.example", "nobody@corp.example"} {
		if status, _ := w.post("/v1/links", map[string]string{"email": email}); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", email, status)
		}
	}
	broken.brokenTake.Store(false)
	w.trail.fail(errors.New("disk full"))
	if status, _ := w.session(token); status != http.StatusServiceUnavailable {
		t.Errorf("without the trail that is required: %d", status)
	}
}

// TestTheMailOpensTheApp with everything filled in, behind the "#".
func TestTheMailOpensTheApp(t *testing.T) {
	for _, c := range []struct {
		policy enroll.Policy
		device bool
		needs  string
	}{{enroll.FirstDevice, false, ""}, {enroll.FirstDevice, true, "device"}, {enroll.Anyone, true, ""}, {enroll.Invited, false, "invitation"}} {
		w := start(t, func(_ *world, o *enroll.Options) { o.Policy = c.policy })
		if c.device {
			if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: alice, Label: "old phone"}); err != nil {
				t.Fatal(err)
			}
		}
		code, m := w.request("alice@corp.example")
		_, fragment, ok := strings.Cut(regexp.MustCompile(`https://\S+`).FindString(m.Text), "https://otp.example.org/app/#")
		values, err := url.ParseQuery(fragment)
		if !ok || err != nil || values.Get("code") != code || values.Get("email") != "alice@corp.example" || values.Get("needs") != c.needs || (len(values) == 3) != (c.needs != "") {
			t.Errorf("%v: %v %v", c.policy, fragment, err)
		}
		if strings.Contains(m.Text, "old phone") != c.device {
			t.Errorf("the devices that there are:\n%s", m.Text)
		}
	}
}

// FuzzTokens: nothing but a token that we made is one, and none is another.
func FuzzTokens(f *testing.F) {
	w := start(f, nil)
	revocation, err := w.server.RevocationToken(alice, "alice", "aaaaaaaaaaaaaaaa")
	if err != nil {
		f.Fatal(err)
	}
	offer, link, session, err := w.server.Tokens(alice, "alice", "alice@corp.example")
	if err != nil {
		f.Fatal(err)
	}
	ours := map[string]string{"revocation": revocation, "offer": offer, "link": link, "session": session}
	for kind, token := range ours {
		if got := w.server.Opens(token); len(got) != 1 || got[0] != kind {
			f.Fatalf("the token of a %s is taken for %v", kind, got)
		}
		f.Add(token[:len(token)-1])
		f.Add(token + "\n")
	}
	f.Fuzz(func(t *testing.T, typed string) {
		for _, token := range ours {
			if typed == token {
				return
			}
		}
		if kinds := w.server.Opens(typed); kinds != nil {
			t.Fatalf("%q is taken for %v", typed, kinds)
		}
	})
}
