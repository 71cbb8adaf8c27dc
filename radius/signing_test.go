package radius

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/otp"
	"otpgate/radius/posture"
	"otpgate/radius/probe"
	"otpgate/radius/quiet"
	"otpgate/radius/reply"
)

// memoryNotes is a store of notes.
type memoryNotes struct {
	mu    sync.Mutex
	notes map[string]otp.Note
}

func (m *memoryNotes) PutNotes(_ context.Context, notes []otp.Note) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.notes == nil {
		m.notes = map[string]otp.Note{}
	}
	for _, n := range notes {
		m.notes[n.Kind+"/"+n.Key+"/"+n.Field] = n
	}
	return nil
}

func (m *memoryNotes) Notes(_ context.Context, kind, key string, _ time.Time) (found []otp.Note, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.notes {
		if n.Kind == kind && n.Key == key && n.Value != nil {
			found = append(found, n)
		}
	}
	return found, nil
}

// ledger has read its store, and found that a client has proven that it signs, or that none has.
func ledger(t testing.TB, proven ...string) *posture.Ledger {
	t.Helper()
	now := newClock()
	l, err := posture.New(posture.Options{Notes: &memoryNotes{}, Node: "test", Now: now.now})
	if err != nil {
		t.Fatal(err)
	}
	l.Client("vpn")
	for range int(posture.ProvenTime/posture.MaxStep) + 2 {
		for _, name := range proven {
			l.Client(name).Count(true)
		}
		if err := l.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		now.pass(posture.MaxStep)
	}
	for _, name := range proven {
		if !l.Client(name).Proven() {
			t.Fatalf("%s is not proven", name)
		}
	}
	return l
}

// feedTLS is feed over TLS, of a client that its certificate has named.
func (w *world) feedTLS(client string, packets ...[]byte) [][]byte {
	r, out := newWire(w.Server)
	r.reader.takes = forLogins | forAccounting
	for i, octets := range packets {
		source := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(40000+i))
		r.take(r.socket, func(p *arrival) bool {
			*p = arrival{
				octets: slices.Clone(octets), client: w.table.Load().named(client), source: source, tls: true, now: w.now(),
				way: answer{via: r.socket, peer: source},
			}
			return true
		})
	}
	r.answer()
	r.start(context.Background(), false)
	w.work.Wait()
	return out.take()
}

// became says what a world that got one packet made of it.
func (w *world) became() string {
	for d := range discardReasons {
		if testutil.ToFloat64(w.metrics.discarded[d]) > 0 {
			return "discard " + d.String()
		}
	}
	if testutil.ToFloat64(w.metrics.statusServer) > 0 {
		return "status"
	}
	for _, e := range w.trail.all() {
		return e.Decision + " " + string(e.Reason)
	}
	return "nothing"
}

// TestSigning: what each policy makes of each packet, by both transports, and how it is answered.
func TestSigning(t *testing.T) {
	const (
		ok, noproof, status = "accept ok", "reject proof_unsupported", "status"
		missing, bad        = "discard missing_message_authenticator", "discard bad_message_authenticator"
		state, eap          = "discard proxy_state_without_message_authenticator", "discard eap_message_without_message_authenticator"
		nostatus            = "discard status_server_without_message_authenticator"
	)
	unproven, proven := ledger(t), ledger(t, "vpn")
	policies := []struct {
		name   string
		policy MessageAuthenticator
		ledger *posture.Ledger
		strict bool
	}{
		{"required", Required, unproven, true},
		{"learn, unproven", Learn, unproven, false},
		{"learn, proven", Learn, proven, true},
		{"learn, the store was never read", Learn, nil, true},
		{"optional", Optional, proven, false},
		{"omit", Omit, proven, false},
	}
	login := func(secret string) *probe.Request {
		return probe.NewRequest(probe.AccessRequest, secret).Add(probe.UserName, "alice").Password(testCode)
	}
	for _, c := range []struct {
		name                 string
		packet               func(secret string) *probe.Request
		accept               bool // accept_unsigned_proxy_state
		strict, lax, overTLS string
		counted              string // over UDP
	}{
		{"signed", func(s string) *probe.Request { return login(s).Signed() }, false, ok, ok, ok, "present"},
		{"signed, Proxy-State", func(s string) *probe.Request { return login(s).Signed().Add(33, "p").Add(33, "q") }, false, ok, ok, ok, "present"},
		{"unsigned", login, false, missing, ok, ok, "absent"},
		{"unsigned, Proxy-State", func(s string) *probe.Request { return login(s).Add(33, "p") }, false, missing, state, ok, "absent"},
		{"unsigned, Proxy-State that is taken", func(s string) *probe.Request { return login(s).Add(33, "p") }, true, missing, ok, ok, "absent"},
		{"wrong", func(s string) *probe.Request { return login(s).Add(maType, strings.Repeat("x", 16)) }, true, bad, bad, bad, ""},
		{"Status-Server", func(s string) *probe.Request { return probe.NewRequest(probe.StatusServer, s).Signed() }, false, status, status, status, ""},
		{"Status-Server, unsigned", func(s string) *probe.Request { return probe.NewRequest(probe.StatusServer, s) }, true, nostatus, nostatus, nostatus, ""},
		{"Status-Server, wrong", func(s string) *probe.Request {
			return probe.NewRequest(probe.StatusServer, s).Add(maType, strings.Repeat("x", 16))
		}, true, bad, bad, bad, ""},
		{"EAP", func(s string) *probe.Request {
			return probe.NewRequest(1, s).Signed().Add(1, "alice").Add(79, "x")
		}, false, noproof, noproof, noproof, ""},
		{"EAP, unsigned", func(s string) *probe.Request { return probe.NewRequest(1, s).Add(1, "alice").Add(79, "x") }, true, eap, eap, eap, ""},
		{"EAP and a code, unsigned", func(s string) *probe.Request { return login(s).Add(79, "x") }, true, eap, eap, eap, ""},
	} {
		for _, p := range policies {
			for _, overTLS := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, ", ", p.name, ", TLS ", overTLS), func(t *testing.T) {
					w := one(t, Client{MessageAuthenticator: p.policy, UnsignedProxyState: c.accept}, func(o *Options, _ *world) {
						if o.Registerer = nil; p.ledger != nil {
							o.Posture = p.ledger
						}
					})
					secret, want := testSecret, c.lax
					if p.strict {
						want = c.strict
					}
					if overTLS {
						secret, want = radsecSecret, c.overTLS
					}
					packet := c.packet(secret).Octets()
					var replies [][]byte
					if overTLS {
						replies = w.feedTLS("vpn", packet)
					} else {
						replies = w.feed(fromVPN, packet)
					}
					if got := w.became(); got != want {
						t.Fatalf("%s, want %s", got, want)
					}
					answered(t, packet, replies, secret, want, p.policy)
					for _, state := range []string{"present", "absent"} {
						n := testutil.ToFloat64(w.metrics.signing.WithLabelValues("vpn", state))
						if counts := !overTLS && state == c.counted; n > 0 != counts {
							t.Errorf("%v counted as %s", n, state)
						}
					}
					if n := w.duplicates.Len(); n > 0 && strings.HasPrefix(want, "discard") || w.slots.Load() != 0 {
						t.Errorf("%d remembered, %d slots", n, w.slots.Load())
					}
				})
			}
		}
	}
}

// answered holds the reply, or that there is none.
func answered(t *testing.T, packet []byte, replies [][]byte, secret, outcome string, policy MessageAuthenticator) {
	t.Helper()
	if strings.HasPrefix(outcome, "discard") {
		if len(replies) != 0 {
			t.Errorf("%d replies", len(replies))
		}
		return
	}
	if len(replies) != 1 {
		t.Fatalf("%d replies", len(replies))
	}
	if policy != Omit {
		if _, err := probe.Check(packet, replies[0], secret); err != nil {
			t.Error(err)
		}
		return
	}
	kinds, want := checkUnsigned(t, packet, replies[0], secret), []byte(nil)
	for at := headerLength; at < len(packet); at += int(packet[at+1]) {
		if packet[at] == probe.ProxyState {
			want = append(want, probe.ProxyState)
		}
	}
	if !bytes.Equal(kinds, want) {
		t.Errorf("attributes %v, want %v", kinds, want)
	}
}

// TestReplyOnly: no reply has another attribute, Message-Authenticator included, but what there is no
// exchange without.
func TestReplyOnly(t *testing.T) {
	granted := replyOf(t, reply.Rule{Attributes: []reply.Setting{
		{Name: "Class", Values: []string{"staff"}}, {Name: "Session-Timeout", Values: []string{"60"}},
		{Name: "Cisco-AVPair", Values: []string{"a=b"}},
	}})
	for _, c := range []struct {
		name                      string
		only                      []byte
		policy                    MessageAuthenticator
		accept, refused, question []byte
	}{
		{"any", nil, Optional, []byte{80, 25, 27, 26, 33}, []byte{80, 33}, []byte{80, 18, 24, 76, 33}},
		{"omit", nil, Omit, []byte{25, 27, 26, 33}, []byte{33}, []byte{18, 24, 76, 33}},
		{"two", []byte{18, 25}, Optional, []byte{25, 33}, []byte{33}, []byte{18, 24, 33}},
		{"with Message-Authenticator", []byte{25, 80}, Required, []byte{80, 25, 33}, []byte{80, 33}, []byte{80, 24, 33}},
		{"omit goes first", []byte{25, 80}, Omit, []byte{25, 33}, []byte{33}, []byte{24, 33}},
		{"of vendors", []byte{26}, Optional, []byte{26, 33}, []byte{33}, []byte{24, 33}},
		{"another", []byte{1}, Optional, []byte{33}, []byte{33}, []byte{24, 33}},
	} {
		w := one(t, Client{Login: LoginPasswordThenCode, MessageAuthenticator: c.policy, ReplyOnly: c.only, Reply: granted})
		var state string
		send := func(q *probe.Request) []byte {
			packet := q.Add(probe.ProxyState, "p").Octets()
			got := w.feed(fromVPN, packet)
			if len(got) != 1 {
				t.Fatalf("%s: %d replies", c.name, len(got))
			}
			kinds := checkUnsigned(t, packet, got[0], testSecret)
			if slices.Contains(kinds, maType) {
				if _, err := probe.Check(packet, got[0], testSecret); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			for at := headerLength; at < len(got[0]); at += int(got[0][at+1]) {
				if got[0][at] == probe.State {
					state = string(got[0][at+2 : at+int(got[0][at+1])])
				}
			}
			return kinds
		}
		refused, question := send(password("alice", "falsch")), send(password("alice", "geheim"))
		accept := send(code("alice", testCode, state))
		if !bytes.Equal(accept, c.accept) || !bytes.Equal(refused, c.refused) || !bytes.Equal(question, c.question) {
			t.Errorf("%s: accept %v, refused %v, challenge %v", c.name, accept, refused, question)
		}
		status := probe.NewRequest(probe.StatusServer, testSecret).Signed()
		if got := send(status); slices.Contains(got, maType) != slices.Contains(c.refused, maType) {
			t.Errorf("%s: Status-Server %v", c.name, got)
		}
	}
}

// TestGarbageCountsAgainstNobody: whoever can forge a gateway's address makes up packets without the
// secret. They decrypt to nothing that people type, and reach neither codes nor directory.
func TestGarbageCountsAgainstNobody(t *testing.T) {
	for _, c := range []struct {
		login  Login
		groups []string
		state  bool
	}{
		{LoginCode, nil, false}, {LoginPasswordCode, nil, false}, {LoginPasswordThenCode, nil, false}, {LoginPasswordThenCode, nil, true},
		{LoginPassword, nil, false}, {LoginCode, []string{"robots"}, false}, {LoginPasswordCode, []string{"robots"}, false},
	} {
		now := newClock()
		w := one(t, Client{Login: c.login, PasswordOnlyGroups: c.groups, MessageAuthenticator: Optional}, func(o *Options, w *world) {
			o.Now, o.States = now.now, statesOf(t, t.TempDir(), now.now)
		})
		state := ""
		if c.state {
			state = w.challenged(t, fromVPN, "alice")
		}
		before := len(w.accounts.binds())
		for i := range 20 {
			q := packetOfCorpus(probe.AccessRequest)
			q.Identifier = byte(i)
			q.Secret = []byte("not the secret")
			q.Add(probe.UserName, "alice").Password(testCode)
			if c.state {
				q.Add(probe.State, state)
			}
			packet := q.Octets()
			got := w.feed(fromVPN, packet)
			if word := w.trail.last(t); len(got) != 1 || word != "reject proof_garbled" {
				t.Fatalf("login %v: %d replies, %s", c.login, len(got), word)
			}
			if _, err := probe.Check(packet, got[0], testSecret); err != nil {
				t.Error(err)
			}
		}
		if n := len(w.codes.batches()) + len(w.codes.factors) + len(w.codes.wrong) + len(w.accounts.binds()) - before; n != 0 {
			t.Errorf("login %v: %d questions to codes and directory", c.login, n)
		}
		if n := w.logs("what is typed does not decrypt", "client=vpn", "forges its address"); n != 1 {
			t.Errorf("login %v: %d lines", c.login, n)
		}
		now.pass(quiet.For)
		if got := testutil.ToFloat64(w.metrics.attempts.WithLabelValues("vpn", "reject", "proof_garbled")); got != 20 {
			t.Errorf("login %v: %v counted against the client", c.login, got)
		}
		for _, of := range []string{"current", "previous"} {
			if got := testutil.ToFloat64(w.metrics.secrets.WithLabelValues("vpn", of)); got != 0 && !c.state {
				t.Errorf("login %v: %v matched the %s secret", c.login, got, of)
			}
		}
	}
}

// TestSignedGarbageIsWhatWasTyped: with a Message-Authenticator the secret is right, and odd text is an
// odd password.
func TestSignedGarbageIsWhatWasTyped(t *testing.T) {
	w := one(t, Client{MessageAuthenticator: Optional})
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", "\x01\x02\x03"), "reject code_wrong")
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", "\x01\x02\x03").Without(maType), "reject proof_garbled")
}

// TestBothSecrets: while one is being replaced, each packet is answered with the one it was made with.
func TestBothSecrets(t *testing.T) {
	const old = "the secret of before"
	for _, policy := range []MessageAuthenticator{Required, Optional} {
		begun := time.Now()
		w := one(t, Client{MessageAuthenticator: policy, PreviousSecret: []byte(old), MPPE: true})
		sent := map[string]int{}
		for _, secret := range []string{testSecret, old} {
			for range 2 + sent[old] {
				for _, signed := range []bool{true, false} {
					if !signed && policy == Required {
						continue
					}
					clear(w.codes.used)
					q := probe.Login(secret, "alice", testCode)
					if !signed {
						q.Without(maType)
					}
					if r := w.ask(t, fromVPN, q); !r.Is(probe.AccessAccept) {
						t.Errorf("policy %v, secret %q, signed %v: %s", policy, secret, signed, w.trail.last(t))
					}
					sent[secret]++
				}
			}
		}
		if r := w.ask(t, fromVPN, probe.NewRequest(probe.StatusServer, old).Signed()); !r.Is(probe.AccessAccept) {
			t.Errorf("Status-Server: code %d", r.Code)
		}
		sent[old]++
		clear(w.codes.used)
		p := newPeer(t, "alice", testCode)
		q := p.add(probe.NewRequest(1, old).Signed().Add(1, "alice"))
		r := w.ask(t, fromVPN, q)
		sent[old]++
		if send, _ := p.keys(); !bytes.Equal(unhidden(t, microsoftValue(r, msMPPESendKey), old, q.Authenticator), send) {
			t.Error("the key is not hidden with the secret of the request")
		}
		w.feed(fromVPN, probe.Login("a third", "alice", testCode).Octets(), probe.Login("a third", "alice", testCode).Without(maType).Octets())
		for secret, of := range map[string]string{testSecret: "current", old: "previous"} {
			if got := testutil.ToFloat64(w.metrics.secrets.WithLabelValues("vpn", of)); got != float64(sent[secret]) {
				t.Errorf("policy %v: %v matched the %s secret, want %d", policy, got, of, sent[secret])
			}
		}
		standing := w.Clients()[0]
		if standing.CurrentSecret != uint64(sent[testSecret]) || standing.PreviousSecret != uint64(sent[old]) || standing.Name != "vpn" {
			t.Errorf("standing %+v, want %v", standing, sent)
		}
		lately := func(s Standing) bool {
			return !s.PreviousSecretUsed.Before(begun) && !s.PreviousSecretUsed.After(time.Now())
		}
		if !lately(standing) {
			t.Errorf("the previous secret was used last at %v", standing.PreviousSecretUsed)
		}
		// The rotation ends: what was counted of the secret that stays goes on, and the other is wrong.
		c := w.options.Clients[0]
		c.PreviousSecret = nil
		if err := w.SetClients([]Client{c}); err != nil {
			t.Fatal(err)
		}
		if got := w.Clients()[0]; got.CurrentSecret != uint64(sent[testSecret]) || got.PreviousSecret != 0 {
			t.Errorf("after the reload: %+v", got)
		}
		if got := w.feed(fromVPN, probe.Login(old, "alice", testCode).Octets()); len(got) != 0 {
			t.Error("the secret of before is still taken")
		}
		// The next one begins: what came with the secret while it was the current one does not keep it.
		c.Secret, c.PreviousSecret = []byte("the secret of after"), []byte(testSecret)
		reload := func() Standing {
			if err := w.SetClients([]Client{c}); err != nil {
				t.Fatal(err)
			}
			return w.Clients()[0]
		}
		if got := reload(); got.CurrentSecret != 0 || got.PreviousSecret != 0 || !got.PreviousSecretUsed.IsZero() {
			t.Errorf("after the change: %+v", got)
		}
		clear(w.codes.used)
		if r := w.ask(t, fromVPN, probe.Login(testSecret, "alice", testCode)); !r.Is(probe.AccessAccept) {
			t.Errorf("with the previous secret: %s", w.trail.last(t))
		}
		if got := reload(); got.CurrentSecret != 0 || got.PreviousSecret != 1 || !lately(got) {
			t.Errorf("after another reload: %+v", got)
		}
	}
}

// TestDiscardedForSigningIsExplained: one line a minute for each client, with what to set where.
func TestDiscardedForSigningIsExplained(t *testing.T) {
	for _, c := range []struct {
		policy MessageAuthenticator
		packet *probe.Request
		reason string
		hints  []string
	}{
		{Required, probe.Login(testSecret, "alice", testCode).Without(maType), "missing_message_authenticator",
			[]string{"set the gateway to send Message-Authenticator", "message_authenticator: optional", "learn"}},
		{Optional, probe.Login(testSecret, "alice", testCode).Without(maType).Add(33, "p"), "proxy_state_without_message_authenticator",
			[]string{"a proxy must send Message-Authenticator", "accept_unsigned_proxy_state: true"}},
		{Optional, probe.Login("other", "alice", testCode), "bad_message_authenticator", []string{"shared secret"}},
	} {
		now := newClock()
		w := one(t, Client{MessageAuthenticator: c.policy}, func(o *Options, _ *world) { o.Now = now.now })
		line := append([]string{"packet discarded", "client=vpn", "source=192.0.2.1", "reason=" + c.reason}, c.hints...)
		for minute := range 2 {
			for range 50 {
				w.feed(fromVPN, c.packet.Octets())
			}
			if n := w.logs(line...); n != minute+1 {
				t.Errorf("%s: %d lines after %d minutes:\n%s", c.reason, n, minute, w.logged)
			}
			now.pass(quiet.For)
		}
	}
}
