package radius

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/hours"
)

// outline is an explanation in one line.
func outline(x Explanation) string {
	var b strings.Builder
	for _, s := range x.Steps {
		b.WriteString(s.Name + ": " + string(s.Outcome) + "; ")
	}
	return b.String() + x.Decision.String() + " " + string(x.Reason)
}

// untouched holds that an explanation left nothing behind.
func untouched(t *testing.T, w *world) {
	t.Helper()
	f := w.codes
	if n := len(f.batches()) + len(f.wrong) + len(f.factors) + len(f.spent) + len(w.accounts.binds()) + len(w.trail.all()); n != 0 || w.slots.Load() != 0 {
		t.Errorf("claims %v, wrong %v, factors %v, binds %q, %d events", f.batches(), f.wrong, f.factors, w.accounts.binds(), len(w.trail.all()))
	}
	for _, e := range endings() {
		if got := testutil.ToFloat64(w.metrics.attempts.WithLabelValues("vpn", e.decision.String(), string(e.reason))); got != 0 {
			t.Errorf("%v attempts counted as %v", got, e)
		}
	}
	if w.logged.String() != "" {
		t.Errorf("logged:\n%s", w.logged)
	}
}

func TestExplain(t *testing.T) {
	night, err := hours.New(time.UTC, []hours.Span{{Days: 1 << time.Sunday, From: 0, To: 1}})
	if err != nil {
		t.Fatal(err)
	}
	const upTo = "client: ok; account: ok; may log in here: ok; "
	ask := Question{Client: "vpn", Name: "alice", Code: testCode, Station: "10.9.8.7"}
	with := func(f func(*Question)) Question {
		q := ask
		f(&q)
		return q
	}
	noCode := with(func(q *Question) { q.Code = "" })
	for _, c := range []struct {
		name   string
		client Client
		q      Question
		want   string
		detail string // somewhere in the details
		change func(*world)
	}{
		{"right", Client{}, ask, upTo + "factors: ok; devices: ok; code: ok; accept ok", "device device1 shows it, +0 steps", nil},
		{"in the directory alone", Client{}, with(func(q *Question) { q.Name = "carol" }), upTo + "factors: ok; devices: ok; code: ok; accept ok", "carol in directory corp", nil},
		{"no code", Client{}, noCode, upTo + "factors: ok; devices: ok; code: unknown; accept ok", "none was given", nil},
		{"wrong", Client{}, with(func(q *Question) { q.Code = "000000" }), upTo + "factors: ok; devices: ok; code: stop; reject code_wrong", "none that a device shows now", nil},
		{"used", Client{}, ask, upTo + "factors: ok; devices: ok; code: stop; reject code_used", "it was used", func(w *world) { w.codes.used["alice-id/device1"] = otp.Token{1} }},
		{"was wrong before", Client{}, ask, upTo + "factors: ok; devices: ok; code: stop; reject code_wrong", "typed here before", func(w *world) {
			w.Server.previews = says{w.codes, []otp.Result{{Reason: otp.ReasonCodeWrong}}}
		}},
		{"throttled meanwhile", Client{}, ask, upTo + "factors: ok; devices: ok; code: stop; reject throttled", "wait until 2023-11-14T", func(w *world) {
			w.Server.previews = says{w.codes, []otp.Result{{Reason: otp.ReasonThrottled, Until: time.Unix(1_700_000_000, 0).UTC()}}}
		}},
		{"what the node knew was old", Client{}, ask, upTo + "factors: ok; devices: ok; code: ok; accept ok", "", func(w *world) {
			w.Server.previews = says{w.codes, []otp.Result{{Reason: otp.ReasonStoreUnavailable, Stale: true}, {Reason: otp.ReasonOK}}}
		}},
		{"it stays old", Client{}, ask, upTo + "factors: ok; devices: ok; code: unknown; drop store_unavailable", "nobody can tell: no answer", func(w *world) {
			w.Server.previews = says{w.codes, []otp.Result{{Reason: otp.ReasonStoreUnavailable, Stale: true}}}
		}},
		{"the store fails meanwhile", Client{}, ask, upTo + "factors: ok; devices: ok; code: unknown; drop store_unavailable", "nobody can tell: gone", func(w *world) {
			w.Server.previews = says{w.codes, []otp.Result{{Reason: otp.ReasonStoreUnavailable, Err: errors.New("gone")}}}
		}},
		{"no device", Client{}, with(func(q *Question) { q.Name = "nodevice" }), upTo + "factors: ok; devices: stop; reject no_device", "invite it", nil},
		{"has to wait", Client{}, ask, upTo + "factors: ok; back-off: stop; reject throttled", "wait until", func(w *world) { w.codes.throttled = true }},
		{"store down", Client{}, ask, upTo + "factors: ok; back-off: unknown; drop store_unavailable", "nobody can tell", func(w *world) { w.codes.err = otp.ErrUnavailable }},
		{"nobody", Client{}, with(func(q *Question) { q.Name = "mallory" }), "client: ok; account: stop; reject account_unknown", "no such account", nil},
		{"two of the name", Client{}, with(func(q *Question) { q.Name = "twice" }), "client: ok; account: stop; reject account_ambiguous", "", func(w *world) { w.accounts.findErr["twice"] = directory.ErrAmbiguous }},
		{"not a name", Client{}, with(func(q *Question) { q.Name = "a\x00b" }), "client: ok; account: stop; reject name_invalid", "no account can have", nil},
		{"no name", Client{}, with(func(q *Question) { q.Name = "" }), "client: ok; account: stop; reject name_invalid", "", nil},
		{"directory down", Client{}, ask, "client: ok; account: unknown; drop directory_unavailable", "nobody can tell", func(w *world) { w.accounts.findErr["alice"] = directory.ErrUnavailable }},
		{"neither account nor error", Client{}, with(func(q *Question) { q.Name = "zoe" }), "client: ok; account: unknown; drop directory_unavailable", "", func(w *world) { w.Server.accounts = findsNobody{w.accounts} }},
		{"disabled", Client{}, with(func(q *Question) { q.Name = "bob" }), "client: ok; account: ok; may log in here: stop; reject account_disabled", "disabled", nil},
		{"not in the group", Client{AllowGroups: []string{"staff"}}, ask, "client: ok; account: ok; may log in here: stop; reject not_in_group", "allow_groups: staff", nil},
		{"in a denied group", Client{DenyGroups: []string{"sales"}}, ask, "client: ok; account: ok; may log in here: stop; reject in_denied_group", "deny_groups: sales", func(w *world) { w.member("alice", "sales") }},
		{"outside hours", Client{Hours: &night}, ask, "client: ok; account: ok; may log in here: stop; reject outside_hours", "hours", nil},
		{"no attributes", Client{Reply: attributesByGroup(t)}, ask, upTo + "reply: stop; reject reply_invalid", "Framed-IP-Address", func(w *world) {
			w.member("alice", "sales")
			w.accounts.known["alice"].Attributes["address"] = []string{"nonsense"}
		}},
		{"password and code", Client{Login: LoginPasswordCode}, ask, upTo + "factors: ok; password: unknown; devices: ok; code: ok; accept ok", "password and code", nil},
		{"password, then code", Client{Login: LoginPasswordThenCode}, noCode, upTo + "factors: ok; password: unknown; devices: ok; code: unknown; accept ok", "password, then code", nil},
		{"password", Client{Login: LoginPassword}, ask, upTo + "factors: ok; password: unknown; accept code_exempt", "login: password for this client", nil},
		{"exempt", Client{PasswordOnlyGroups: []string{"robots"}}, ask, upTo + "factors: ok; password: unknown; accept code_exempt", "password_only_groups: robots", func(w *world) { w.member("alice", "robots") }},
		{"exempt, and has to wait", Client{Login: LoginPassword}, ask, upTo + "factors: ok; password: unknown; back-off: stop; reject throttled", "", func(w *world) { w.codes.throttled = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := one(t, c.client)
			if c.change != nil {
				c.change(w)
			}
			used := len(w.codes.used)
			x, err := w.Explain(t.Context(), c.q)
			if err != nil || outline(x) != c.want {
				t.Errorf("%v\n%s, want\n%s", err, outline(x), c.want)
			}
			if found := strings.Contains(c.want, "account: ok"); (x.Account != "") != found {
				t.Errorf("account %q", x.Account)
			}
			details := ""
			for _, s := range x.Steps {
				if s.Detail == "" || strings.Contains(s.Detail, "%!") || strings.Contains(s.Detail, "nil") || strings.Contains(s.Detail, testCode) {
					t.Errorf("step %s: %q", s.Name, s.Detail)
				}
				details += s.Detail + "\n"
			}
			if !strings.Contains(details, c.detail) {
				t.Errorf("no %q in\n%s", c.detail, details)
			}
			if len(w.codes.used) != used {
				t.Error("a code was used up")
			}
			untouched(t, w)
		})
	}
}

// says answers previews in turn, the last of them for ever.
type says struct {
	*fakeCodes
	results []otp.Result
}

func (s says) Preview(_ context.Context, _ otp.Walked) otp.Result {
	r := s.results[0]
	if len(s.results) > 1 {
		copy(s.results, s.results[1:])
	}
	return r
}

func TestExplainKnowsConfiguredClientsOnly(t *testing.T) {
	w := one(t, Client{})
	for _, name := range []string{"", "VPN", "vpn ", "another"} {
		if x, err := w.Explain(t.Context(), Question{Client: name, Name: "alice"}); !errors.Is(err, ErrNoClient) || len(x.Steps) != 0 || x.Decision != otp.Drop {
			t.Errorf("%q: %+v, %v", name, x, err)
		}
	}
	untouched(t, w)
}

// TestExplainShowsTheReply that the login then gets, and asks about the place that it then has.
func TestExplainShowsTheReply(t *testing.T) {
	w := one(t, Client{Reply: attributesByGroup(t)})
	w.member("alice", "staff")
	x, err := w.Explain(t.Context(), Question{Client: "vpn", Name: "alice", Code: testCode, Station: "10.9.8.7"})
	if err != nil || len(x.Reply) != 3 {
		t.Fatalf("%+v, %v", x, err)
	}
	untouched(t, w)
	claimed := w.claims()
	r := w.ask(t, fromVPN, password("alice", testCode))
	for i, a := range r.Attributes[1:] {
		if x.Reply[i].Type != a.Type || !bytes.Equal(x.Reply[i].Value, a.Value) {
			t.Errorf("attribute %d: %v, explained as %v", i, a, x.Reply[i])
		}
	}
	if got := w.codes.places; len(got) != 1 || (*claimed)[0].Place != got[0] {
		t.Errorf("places %v", got)
	}
}
