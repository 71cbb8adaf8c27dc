package radius

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/dictionary"
	"otpgate/radius/hours"
	"otpgate/radius/probe"
	"otpgate/radius/reply"
)

var builtIn = sync.OnceValues(func() (*dictionary.Dictionary, error) { return dictionary.New() })

// replyOf compiles rules.
func replyOf(t testing.TB, rules ...reply.Rule) *reply.Reply {
	t.Helper()
	d, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	r, problems := reply.Compile(reply.Options{Dictionary: d, Rules: rules})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return r
}

// member puts an account into groups.
func (w *world) member(name string, groups ...string) {
	a := &directory.Account{ID: name + "-id", Name: name, Attributes: map[string][]string{}}
	for _, g := range groups {
		a.Groups = append(a.Groups, directory.Group{Name: g, DN: "cn=" + g + ",dc=corp"})
	}
	w.accounts.known[name] = a
}

// TestWhoseGroupsAreNotAllKnown may be in a group that is denied.
func TestWhoseGroupsAreNotAllKnown(t *testing.T) {
	w := one(t, Client{DenyGroups: []string{"suspended"}})
	w.member("alice", "staff")
	w.accounts.known["alice"].GroupsCut = true
	w.wants(t, fromVPN, password("alice", testCode), "reject in_denied_group")
	if n := len(w.codes.batches()); n != 0 {
		t.Errorf("%d claims", n)
	}
	w.accounts.known["alice"].GroupsCut = false
	w.wants(t, fromVPN, password("alice", testCode), "accept ok")
}

func TestWhoMay(t *testing.T) {
	for _, c := range []struct {
		name         string
		allow, deny  []string
		member       []string
		want         string
		claimedCodes int
	}{
		{"no groups asked for", nil, nil, nil, "accept ok", 1},
		{"allowed", []string{"staff"}, nil, []string{"staff"}, "accept ok", 1},
		{"not allowed", []string{"staff"}, nil, []string{"guests"}, "reject not_in_group", 0},
		{"denied", nil, []string{"guests"}, []string{"guests"}, "reject in_denied_group", 0},
		{"not denied", nil, []string{"guests"}, []string{"staff"}, "accept ok", 1},
		{"allowed and denied", []string{"staff"}, []string{"guests"}, []string{"staff", "guests"}, "reject in_denied_group", 0},
		{"denied by its DN", nil, []string{"CN=Guests,DC=corp"}, []string{"guests"}, "reject in_denied_group", 0},
	} {
		for _, login := range []Login{LoginCode, LoginPassword} {
			w := one(t, Client{Login: login, AllowGroups: c.allow, DenyGroups: c.deny}, func(o *Options, _ *world) { o.Registerer = nil })
			w.member("alice", c.member...)
			want, typed := c.want, testCode
			if login == LoginPassword {
				want, typed = strings.Replace(want, "accept ok", "accept code_exempt", 1), "geheim"
			}
			w.wants(t, fromVPN, probe.Login(testSecret, "alice", typed), want)
			if n := len(w.codes.batches()) + len(w.accounts.binds()); n != c.claimedCodes {
				t.Errorf("%s, %v: %d questions to codes and directory, want %d", c.name, login, n, c.claimedCodes)
			}
		}
	}
}

// TestHours: by the time at which the packet came, in the client's zone.
func TestHours(t *testing.T) {
	zone := time.FixedZone("Lisbon", 3600)
	h, err := hours.New(zone, []hours.Span{{Days: 1 << time.Friday, From: 7 * 60, To: 20 * 60}})
	if err != nil {
		t.Fatal(err)
	}
	now := newClock()
	w := one(t, Client{Hours: &h}, func(o *Options, _ *world) { o.Now, o.States = now.now, statesOf(t, t.TempDir(), now.now) })
	for at, want := range map[string]string{
		"2026-11-06T05:59:59Z": "reject outside_hours", "2026-11-06T06:00:00Z": "accept ok",
		"2026-11-06T18:59:59Z": "accept ok", "2026-11-06T19:00:00Z": "reject outside_hours", "2026-11-07T12:00:00Z": "reject outside_hours",
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		now.at.Store(moment.UnixNano())
		clear(w.codes.used)
		if w.wants(t, fromVPN, probe.Login(testSecret, "alice", testCode), want); len(w.codes.used) != strings.Count(want, "accept") {
			t.Errorf("%s: %d codes used", at, len(w.codes.used))
		}
	}
}

// claims collects what the codes are asked.
func (w *world) claims() *[]otp.Walked {
	var all []otp.Walked
	w.codes.settle = func(_ context.Context, walked []otp.Walked) { all = append(all, walked...) }
	return &all
}

// TestFailoverGrace: another packet of the same login is the same attempt, and nothing else is.
func TestFailoverGrace(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.Clients = []Client{
			{Name: "a", Networks: prefixes("192.0.2.0/24"), Secret: []byte(testSecret), FailoverGrace: 5 * time.Second},
			{Name: "b", Networks: prefixes("198.51.100.0/24"), Secret: []byte(testSecret), FailoverGrace: 5 * time.Second},
			{Name: "none", Networks: prefixes("203.0.113.0/24"), Secret: []byte(testSecret)},
		}
		w.accounts.known["ALICE"] = w.accounts.known["alice"]
	})
	claimed := w.claims()
	station := func(name, code, at string) []byte {
		return probe.Login(testSecret, name, code).Add(probe.CallingStationID, at).Octets()
	}
	token := func(from string, packet []byte) otp.Token {
		w.feed(from, packet)
		last := (*claimed)[len(*claimed)-1]
		if grace := !strings.HasPrefix(from, "203."); grace && last.Lifetime != 5*time.Second || !grace && last.Lifetime != 0 {
			t.Errorf("a lifetime of %v from %s", last.Lifetime, from)
		}
		return last.Token
	}
	first := token("192.0.2.1:1", station("alice", testCode, "here"))
	if got := w.trail.last(t); got != "accept ok" {
		t.Fatal(got)
	}
	for name, c := range map[string]struct {
		same   bool
		from   string
		packet []byte
	}{
		"another packet":            {true, "192.0.2.1:1", station("alice", testCode, "here")},
		"from another address":      {true, "192.0.2.9:7", station("alice", testCode, "here")},
		"with another name for her": {true, "192.0.2.1:1", station("ALICE", testCode, "here")},
		"another station":           {false, "192.0.2.1:1", station("alice", testCode, "there")},
		"no station":                {false, "192.0.2.1:1", goodLogin("alice", testCode)},
		"another code":              {false, "192.0.2.1:1", station("alice", "000000", "here")},
		"another account":           {false, "192.0.2.1:1", station("carol", testCode, "here")},
		"another client":            {false, "198.51.100.1:1", station("alice", testCode, "here")},
		"a client without grace":    {false, "203.0.113.1:1", station("alice", testCode, "here")},
	} {
		if got := token(c.from, c.packet); (got == first) != c.same {
			t.Errorf("%s: the same attempt %v, want %v", name, got == first, c.same)
		}
	}
	for _, e := range w.trail.all()[1:] {
		relaxed := e.Detail == "Let in by failover_grace."
		if accepted := e.Decision == "accept" && e.Account == "alice-id"; relaxed != accepted {
			t.Errorf("event %+v", e)
		}
	}
	if got := testutil.ToFloat64(w.metrics.relaxed.WithLabelValues("a", failoverGrace)); got != 3 || w.logs("decision=accept", "relaxed=failover_grace", "client=a") != 3 {
		t.Errorf("%v counted, %d logged", got, w.logs("relaxed=failover_grace"))
	}
	if w.trail.all()[0].Detail != "" || w.logs("client=b", "relaxed") != 0 {
		t.Error("a login that needed no relaxation says that it did")
	}
}

// TestFailoverGraceOfAChallenge: the second packet need not say where it comes from.
func TestFailoverGraceOfAChallenge(t *testing.T) {
	w := one(t, Client{Login: LoginPasswordThenCode, FailoverGrace: 5 * time.Second})
	claimed := w.claims()
	state := w.challenged(t, fromVPN, "alice")
	w.wants(t, fromVPN, code("alice", testCode, state), "accept ok")
	w.feed(fromVPN, code("alice", testCode, state).Octets())
	elsewhere := value(w.ask(t, fromVPN, probe.Login(testSecret, "alice", "geheim").Add(probe.CallingStationID, "there")), probe.State)
	w.feed(fromVPN, code("alice", testCode, elsewhere).Octets())
	if c := *claimed; len(c) != 3 || c[0].Token != c[1].Token || c[0].Token == c[2].Token {
		t.Errorf("claims %+v", c)
	}
}

// TestSharedCode: what the configuration allows goes with the claim, and what came of it is told.
func TestSharedCode(t *testing.T) {
	share := otp.Share{Times: 6, Within: time.Minute}
	w := one(t, Client{Share: share})
	claimed := w.claims()
	w.codes.result = &otp.Result{OK: true, Reason: otp.ReasonOK, Shared: true}
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", testCode), "accept ok")
	if c := *claimed; len(c) != 1 || c[0].Share != share {
		t.Errorf("claims %+v", c)
	}
	e := w.trail.all()[0]
	if e.Detail != "Let in by shared_code." || w.logs("decision=accept", "relaxed=shared_code") != 1 ||
		testutil.ToFloat64(w.metrics.relaxed.WithLabelValues("vpn", sharedCode)) != 1 {
		t.Errorf("event %+v:\n%s", e, w.logged)
	}
	w.codes.result = nil
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", testCode), "accept ok")
	if e := w.trail.all()[1]; e.Detail != "" {
		t.Errorf("the first use: %+v", e)
	}
	plain := one(t, Client{})
	claimed = plain.claims()
	plain.feed(fromVPN, goodLogin("alice", testCode))
	if c := *claimed; len(c) != 1 || c[0].Share.Given() {
		t.Errorf("without it: %+v", c)
	}
}

// TestNothingIsRelaxedByDefault: the verifier may say what it likes.
func TestNothingIsRelaxedByDefault(t *testing.T) {
	w := one(t, Client{})
	w.codes.result = &otp.Result{OK: true, Reason: otp.ReasonOK, Again: true} // a retransmission to another node
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", testCode), "accept ok")
	if e := w.trail.all()[0]; e.Detail != "" || w.logs("relaxed") != 0 {
		t.Errorf("event %+v", e)
	}
}

// attributesByGroup grants Class to staff, and takes Filter-Id from the directory.
func attributesByGroup(t testing.TB) *reply.Reply {
	return replyOf(t,
		reply.Rule{Attributes: []reply.Setting{{Name: "Session-Timeout", Values: []string{"28800"}}}},
		reply.Rule{Group: "staff", Attributes: []reply.Setting{{Name: "Class", Values: []string{"OU=staff"}}, {Name: "Cisco-AVPair", Values: []string{"shell:priv-lvl=15"}}}},
		reply.Rule{Group: "sales", Attributes: []reply.Setting{{Name: "Framed-IP-Address", Values: []string{`{{.Attribute "address"}}`}}}})
}

// TestAttributesGoToWhoIsLetIn, by group, and to nobody else.
func TestAttributesGoToWhoIsLetIn(t *testing.T) {
	w := one(t, Client{Login: LoginPasswordThenCode, Reply: attributesByGroup(t)})
	w.member("alice", "staff")
	for _, q := range []*probe.Request{password("alice", "falsch"), password("mallory", "geheim"), password("alice", testCode)} {
		if r := w.ask(t, fromVPN, q); !r.Is(probe.AccessReject) || !bytes.Equal(types(r), []byte{maType}) {
			t.Errorf("refused with %v", types(r))
		}
	}
	r := w.ask(t, fromVPN, password("alice", "geheim"))
	if want := []byte{maType, replyMessage, probe.State, prompt}; !bytes.Equal(types(r), want) {
		t.Errorf("asked with %v", types(r))
	}
	state := value(r, probe.State)
	r = w.ask(t, fromVPN, code("alice", testCode, state).Add(33, "p"))
	if want := []byte{maType, 27, class, 26, 33}; !r.Is(probe.AccessAccept) || !bytes.Equal(types(r), want) ||
		value(r, class) != "OU=staff" || value(r, 27) != "\x00\x00\x70\x80" || value(r, 26) != "\x00\x00\x00\x09\x01\x13shell:priv-lvl=15" {
		t.Errorf("let in with %v", r.Attributes)
	}
	w.member("carol")
	w.accounts.passwords["carol-id"] = "geheim"
	r = w.ask(t, fromVPN, code("carol", testCode, value(w.ask(t, fromVPN, password("carol", "geheim")), probe.State)))
	if want := []byte{maType, 27}; !r.Is(probe.AccessAccept) || !bytes.Equal(types(r), want) {
		t.Errorf("in no group: %v", types(r))
	}
}

// TestAttributesThatCannotBeMade refuse the login before its code is used up, whatever it is made by.
func TestAttributesThatCannotBeMade(t *testing.T) {
	for login, typed := range map[Login]string{LoginCode: testCode, LoginPasswordCode: "geheim" + testCode, LoginPassword: "geheim", LoginPasswordThenCode: "geheim"} {
		w := one(t, Client{Login: login, Reply: attributesByGroup(t)})
		w.member("alice", "sales")
		w.accounts.known["alice"].Attributes["address"] = []string{"not an address"}
		r := w.ask(t, fromVPN, probe.Login(testSecret, "alice", typed))
		if got := w.trail.last(t); got != "reject reply_invalid" || !r.Is(probe.AccessReject) || !slices.Equal(types(r), []byte{maType}) {
			t.Errorf("%v: %s, %v", login, got, types(r))
		}
		if len(w.codes.batches()) != 0 || len(w.codes.used) != 0 || len(w.accounts.binds()) != 0 {
			t.Errorf("%v: claims %v, binds %q", login, w.codes.batches(), w.accounts.binds())
		}
		if n := w.logs("attributes cannot be made", "client=vpn", "explain"); n != 1 {
			t.Errorf("%v: %d lines:\n%s", login, n, w.logged)
		}
		w.accounts.known["alice"].Attributes["address"] = []string{"10.0.0.1"}
		w.feed(fromVPN, probe.Login(testSecret, "alice", typed).Octets())
		if got := w.trail.last(t); strings.HasPrefix(got, "reject") {
			t.Errorf("%v: once it is right: %s", login, got)
		}
	}
}

// TestAReplyThatIsTooLongIsNotSent: with the Proxy-State of the request it would not fit.
func TestAReplyThatIsTooLongIsNotSent(t *testing.T) {
	w := one(t, Client{Reply: replyOf(t, reply.Rule{Attributes: []reply.Setting{{Name: "Class", Values: []string{strings.Repeat("x", 253), strings.Repeat("y", 253)}}}})})
	q := probe.Login(testSecret, "alice", testCode)
	for range 15 {
		q.Add(33, strings.Repeat("p", 253))
	}
	if got := w.feed(fromVPN, q.Octets()); len(got) != 0 || w.trail.last(t) != "accept ok" {
		t.Errorf("%d replies, %s", len(got), w.trail.last(t))
	}
	if got := testutil.ToFloat64(w.metrics.unsent[unsentUnsealed]); got != 1 || w.logs("reply not sent", "client=vpn", "4096") != 1 {
		t.Errorf("%v counted:\n%s", got, w.logged)
	}
	if w.slots.Load() != 0 || w.duplicates.Len() != 0 {
		t.Errorf("%d slots, %d remembered", w.slots.Load(), w.duplicates.Len())
	}
	r := w.ask(t, fromVPN, probe.Login(testSecret, "mallory", testCode)) // a refusal fits
	if !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
}

// TestATimeoutOfTheGatewayBoundsAnAttempt: what comes later meets its next try.
func TestATimeoutOfTheGatewayBoundsAnAttempt(t *testing.T) {
	w := one(t, Client{Timeout: 60 * time.Millisecond}, func(_ *Options, w *world) {
		w.accounts.find = func(ctx context.Context, _ string) { <-ctx.Done() }
	})
	start := time.Now()
	w.wants(t, fromVPN, probe.Login(testSecret, "carol", testCode), "drop timeout")
	if spent := time.Since(start); spent > DefaultBudget/2 {
		t.Errorf("given up after %v", spent)
	}
}
