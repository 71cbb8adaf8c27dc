package radius

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/challenge"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// password is the first packet of a login whose code is asked for.
func password(name, typed string) *probe.Request {
	return probe.Login(testSecret, name, typed).Add(probe.CallingStationID, "10.9.8.7")
}

// code is the second one; the State comes back.
func code(name, typed, state string) *probe.Request {
	return probe.Login(testSecret, name, typed).Add(probe.State, state)
}

// challenged asks for a code, and returns the State.
func (w *world) challenged(t testing.TB, from, name string) string {
	t.Helper()
	r := w.ask(t, from, password(name, "geheim"))
	if !r.Is(accessChallenge) {
		t.Fatalf("code %d, %s", r.Code, w.trail.last(t))
	}
	return value(r, probe.State)
}

func TestTheCodeIsAskedFor(t *testing.T) {
	for _, c := range []struct{ prompt, want string }{
		{"", defaultPrompt}, {"Enter the code of your phone: ", "Enter the code of your phone: "}, {strings.Repeat("x", 253), strings.Repeat("x", 253)},
	} {
		w := one(t, Client{Login: LoginPasswordThenCode, ChallengePrompt: c.prompt})
		r := w.ask(t, fromVPN, password("alice", "geheim").Add(probe.ProxyState, "p"))
		if want := []byte{maType, replyMessage, probe.State, prompt, probe.ProxyState}; !r.Is(accessChallenge) || !bytes.Equal(types(r), want) {
			t.Fatalf("code %d, attributes %v, want %v", r.Code, types(r), want)
		}
		if value(r, replyMessage) != c.want || value(r, prompt) != "\x00\x00\x00\x00" {
			t.Errorf("Reply-Message %q, Prompt %x", value(r, replyMessage), value(r, prompt))
		}
		state := value(r, probe.State)
		if len(state) == 0 || len(state) > 128 || strings.ContainsFunc(state, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("State %q of %d octets", state, len(state))
		}
		if got := w.trail.last(t); got != "challenge code_asked" || len(w.codes.batches()) != 0 || len(w.codes.factors) != 0 {
			t.Errorf("%s, %v claims, wrong factors of %v", got, w.codes.batches(), w.codes.factors)
		}
		if r := w.ask(t, fromVPN, code("alice", testCode, state)); !r.Is(probe.AccessAccept) || w.trail.last(t) != "accept ok" {
			t.Errorf("code %d, %s", r.Code, w.trail.last(t))
		}
		if got := w.accounts.binds(); !slices.Equal(got, []string{"alice-id geheim"}) {
			t.Errorf("binds %q", got)
		}
		// The State is spent, also for a code that nobody has used.
		w.codes.codes["alice-id"] = []string{testCode, "777777"}
		w.wants(t, fromVPN, code("alice", "777777", state), "reject challenge_spent")
	}
}

// TestAWrongCodeIsAskedForAgain: three times in all, whichever of the States comes back.
func TestAWrongCodeIsAskedForAgain(t *testing.T) {
	for _, old := range []bool{false, true} {
		w := newWorldQuick(t)
		first := w.challenged(t, fromThen, "alice")
		state, seen := first, map[string]bool{first: true}
		for try := 1; try < challengeTries; try++ {
			if old {
				state = first
			}
			r := w.ask(t, fromThen, code("alice", fmt.Sprintf("00000%d", try), state))
			if !r.Is(accessChallenge) || w.trail.last(t) != "challenge code_wrong" {
				t.Fatalf("try %d: code %d, %s", try, r.Code, w.trail.last(t))
			}
			if want := []byte{maType, replyMessage, probe.State, prompt}; !bytes.Equal(types(r), want) {
				t.Errorf("attributes %v, want %v", types(r), want)
			}
			if state = value(r, probe.State); seen[state] {
				t.Error("the State is not fresh")
			}
			seen[state] = true
		}
		if r := w.ask(t, fromThen, code("alice", "000009", state)); !r.Is(probe.AccessReject) || w.trail.last(t) != "reject code_wrong" {
			t.Errorf("the last try: code %d, %s", r.Code, w.trail.last(t))
		}
		for s := range seen {
			w.wants(t, fromThen, code("alice", testCode, s), "reject challenge_spent")
		}
	}
}

// TestAUsedCodeIsAskedForAgain: whoever has the password must not learn that a code was right once.
func TestAUsedCodeIsAskedForAgain(t *testing.T) {
	w := newWorldQuick(t)
	w.codes.used["alice-id/device1"] = otp.Token{1}
	wrong := w.ask(t, fromThen, code("alice", "000000", w.challenged(t, fromThen, "alice")))
	used := w.ask(t, fromThen, code("alice", testCode, w.challenged(t, fromThen, "alice")))
	if !used.Is(accessChallenge) || w.trail.last(t) != "challenge code_used" {
		t.Errorf("code %d, %s", used.Code, w.trail.last(t))
	}
	if !slices.Equal(types(used), types(wrong)) || len(used.Octets) != len(wrong.Octets) {
		t.Errorf("a used code looks like %v, a wrong one like %v", types(used), types(wrong))
	}
	if got := testutil.ToFloat64(w.metrics.attempts.WithLabelValues("then", "challenge", "code_used")); got != 1 {
		t.Errorf("%v counted", got)
	}
}

// TestAnotherChallengeWaitsLikeARefusal: the first one does not, since the password was right.
func TestAnotherChallengeWaitsLikeARefusal(t *testing.T) {
	const delay = time.Second
	w := one(t, Client{Login: LoginPasswordThenCode}, func(o *Options, _ *world) { o.RejectDelay = delay })
	c := radiustest.Dial(t, w.serve(t), testSecret)
	first := c.Exchange(c.Login("alice", "geheim").Octets())
	if !first.Is(accessChallenge) {
		t.Fatalf("code %d", first.Code)
	}
	start := time.Now()
	wrong, right := c.Login("alice", "000000").Add(probe.State, value(first, probe.State)).Octets(), c.Login("carol", "geheim").Octets()
	c.Send(wrong, right)
	if r := c.Answered(right); !r.Is(accessChallenge) {
		t.Errorf("who is asked for a code first: code %d", r.Code)
	}
	eventually(t, "the other waits, and not in a slot", func() bool { return w.refusals.Len() == 1 && w.slots.Load() == 0 })
	if r := c.Answered(wrong); !r.Is(accessChallenge) {
		t.Errorf("a wrong code: code %d", r.Code)
	}
	if waited := time.Since(start); waited < delay {
		t.Errorf("asked again after %v", waited)
	}
	if r := c.Exchange(wrong); !r.Is(accessChallenge) || len(w.trail.all()) != 3 {
		t.Errorf("a retransmission: code %d, %d attempts", r.Code, len(w.trail.all()))
	}
}

// TestAStateOpensNothingElse: each is refused, in the octets of any other refusal, with a right code.
func TestAStateOpensNothingElse(t *testing.T) {
	now := newClock()
	states := statesOf(t, t.TempDir(), now.now)
	setUp := func(t *testing.T) *world {
		return newWorld(t, func(o *Options, w *world) {
			o.Registerer, o.Now, o.States = nil, now.now, states
			o.Clients = append(o.Clients,
				Client{Name: "other", Networks: prefixes("203.0.114.128/25"), Secret: []byte(testSecret), Login: LoginPasswordThenCode},
				Client{Name: "exempt", Networks: prefixes("203.0.115.0/24"), Secret: []byte(testSecret), Login: LoginPasswordThenCode, PasswordOnlyGroups: []string{"robots"}},
				Client{Name: "alone", Networks: prefixes("203.0.116.0/24"), Secret: []byte(testSecret), Login: LoginPassword})
			w.accounts.known["robot"] = &directory.Account{ID: "robot-id", Name: "robot", Groups: []directory.Group{{Name: "robots"}}}
			w.accounts.passwords["robot-id"] = "geheim"
			w.codes.codes["robot-id"] = []string{testCode}
		})
	}
	w := setUp(t)
	want := shape(w.ask(t, fromThen, password("alice", "falsch")))
	for _, c := range []struct {
		name, from, account, want string
		state                     func(*world, string) string
	}{
		{"of another client", "203.0.114.200:1", "alice", "state_unknown", nil},
		{"of another account", fromThen, "carol", "state_unknown", nil},
		{"of an account that is gone", fromThen, "zoe", "account_unknown", nil},
		{"of a disabled account", fromThen, "bob", "account_disabled", nil},
		{"where only a code is asked for", fromVPN, "alice", "state_unknown", nil},
		{"where both are asked for", fromConcat, "alice", "state_unknown", nil},
		{"where the password alone is asked for", "203.0.116.1:1", "alice", "state_unknown", nil},
		{"empty", fromThen, "alice", "state_unknown", func(*world, string) string { return "" }},
		{"cut", fromThen, "alice", "state_unknown", func(_ *world, s string) string { return s[:len(s)-1] }},
		{"longer", fromThen, "alice", "state_unknown", func(_ *world, s string) string { return s + "A" }},
		{"with a NUL behind it", fromThen, "alice", "state_unknown", func(_ *world, s string) string { return s + "\x00" }},
		{"twice", fromThen, "alice", "state_unknown", func(_ *world, s string) string { return s + s }},
		{"expired", fromThen, "alice", "state_expired", func(_ *world, s string) string { now.pass(challenge.Lifetime); return s }},
		{"of an exempt account", "203.0.115.1:1", "robot", "state_unknown", func(w *world, _ string) string {
			state, err := states.Seal(states.Begin(challenge.Password), "exempt", "robot-id")
			if err != nil {
				t.Fatal(err)
			}
			return state
		}},
		{"with other keys", fromThen, "alice", "state_unknown", func(*world, string) string {
			theirs := statesOf(t, t.TempDir(), now.now)
			state, err := theirs.Seal(theirs.Begin(challenge.Password), "then", "alice-id")
			if err != nil {
				t.Fatal(err)
			}
			return state
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := setUp(t)
			state := w.challenged(t, fromThen, "alice")
			if c.state != nil {
				state = c.state(w, state)
			}
			r := w.ask(t, c.from, code(c.account, testCode, state))
			if got := w.trail.last(t); got != "reject "+c.want || !bytes.Equal(shape(r), want) {
				t.Errorf("%s, want %s; %x looks unlike %x", got, c.want, shape(r), want)
			}
			if n := len(w.codes.batches()); n != 0 {
				t.Errorf("%d claims", n)
			}
		})
	}
	// The control: the same State is good until just before it expires, here and for whom it is.
	state := w.challenged(t, fromThen, "alice")
	now.pass(challenge.Lifetime - time.Millisecond)
	w.wants(t, fromThen, code("alice", testCode, state), "accept ok")
}

// TestEveryFlippedBitOfAStateIsRefused: in packets that are right otherwise.
func TestEveryFlippedBitOfAStateIsRefused(t *testing.T) {
	w := newWorldQuick(t)
	state := w.challenged(t, fromThen, "alice")
	for bit := range 8 * len(state) {
		w.wants(t, fromThen, code("alice", testCode, string(probe.Flip([]byte(state), bit))), "reject state_unknown")
	}
	w.wants(t, fromThen, code("alice", testCode, state), "accept ok")
}

// TestACodeWithoutStateIsAPassword: a code alone opens nothing where the password comes first.
func TestACodeWithoutStateIsAPassword(t *testing.T) {
	w := newWorldQuick(t)
	w.wants(t, fromThen, password("alice", testCode), "reject password_wrong")
	w.wants(t, fromThen, code("alice", "geheim", w.challenged(t, fromThen, "alice")), "challenge code_wrong") // and the other way round
	if got := w.accounts.binds(); !slices.Equal(got, []string{"alice-id " + testCode, "alice-id geheim"}) {
		t.Errorf("binds %q: the answer to a challenge must not reach the directory", got)
	}
}

// TestThePlaceIsThatOfTheFirstPacket: pam_radius leaves Calling-Station-Id out of the second.
func TestThePlaceIsThatOfTheFirstPacket(t *testing.T) {
	w := newWorldQuick(t)
	var claimed []otp.Walked
	w.codes.settle = func(_ context.Context, walked []otp.Walked) { claimed = append(claimed, walked...) }
	state := w.challenged(t, fromThen, "alice")
	w.feed(fromThen, code("alice", "000000", state).Octets())
	w.feed(fromThen, code("alice", testCode, state).Add(probe.CallingStationID, "another").Octets())
	place := w.codes.Place("then", "10.9.8.7")
	if len(claimed) != 2 || claimed[0].Place != place || claimed[1].Place != place {
		t.Fatalf("claims %+v", claimed)
	}
	if id := claimed[0].Challenge.ID; id == [8]byte{} || claimed[1].Challenge.ID != id || claimed[0].Challenge.Tries != challengeTries {
		t.Errorf("challenges %+v, %+v", claimed[0].Challenge, claimed[1].Challenge)
	}
	if len(w.codes.places) != 1 || w.codes.places[0] != place {
		t.Errorf("places asked about: %v", w.codes.places)
	}
	if strings.Contains(w.logged.String(), "no Calling-Station-Id") {
		t.Error("the gateway is blamed for the second packet")
	}
}

// TestAPasswordIsNotAskedAboutWhereThereIsNoCodeToAskFor: nobody can try passwords there, nor lock the
// account in the directory.
func TestAPasswordIsNotAskedAboutWhereThereIsNoCodeToAskFor(t *testing.T) {
	for login, want := range map[Login]string{LoginPasswordThenCode: "reject no_device", LoginPassword: "accept code_exempt"} {
		w := one(t, Client{Login: login}, func(o *Options, _ *world) { o.Registerer = nil })
		w.accounts.passwords["nodevice-id"] = "geheim"
		w.wants(t, fromVPN, password("nodevice", "geheim"), want)
		if n := len(w.accounts.binds()); n != 0 && login == LoginPasswordThenCode {
			t.Errorf("%d binds", n)
		}
		if right := w.codes.right; login == LoginPassword && (len(right) != 1 || !right[0].Alone || right[0].Account != "nodevice-id") {
			t.Errorf("its place is not made known: %+v", right)
		}
	}
}

// TestOnePasswordOfAnAccountAtATime: what was found out about one is known before the next is tried, so
// that a burst of guesses tries no more of them than guesses one after the other.
func TestOnePasswordOfAnAccountAtATime(t *testing.T) {
	w := one(t, Client{Login: LoginPasswordThenCode})
	w.codes.throttleAfter = 3
	var packets [][]byte
	for i := range 40 {
		packets = append(packets, password("alice", fmt.Sprintf("guess %d", i)).Octets())
	}
	w.accounts.slow = time.Millisecond
	if got := w.feed(fromVPN, packets...); len(got) != len(packets) {
		t.Errorf("%d replies", len(got))
	}
	if n := len(w.accounts.binds()); n != 3 {
		t.Errorf("%d passwords were tried, want 3", n)
	}
	if w.passwords.Len() != 0 {
		t.Error("somebody is still waited for")
	}
}

// TestALateRefusalLeavesAtAMultipleOfTheDelay: how long the directory took to say no is not told by the
// time.
func TestALateRefusalLeavesAtAMultipleOfTheDelay(t *testing.T) {
	arrived := time.Unix(1_700_000_000, 0)
	for spent, want := range map[time.Duration]time.Duration{
		-time.Second: time.Second, 0: time.Second, 999 * time.Millisecond: time.Second, time.Second: 2 * time.Second,
		1300 * time.Millisecond: 2 * time.Second, 1999 * time.Millisecond: 2 * time.Second, 2400 * time.Millisecond: 3 * time.Second,
	} {
		a := attempt{arrived: arrived}
		if got := a.due(arrived.Add(spent), time.Second).Sub(arrived); got != want {
			t.Errorf("after %v: %v, want %v", spent, got, want)
		}
	}
}

// TestAPanicWhileOneOfManyIsConcludedEndsThatOne.
func TestAPanicWhileOneOfManyIsConcludedEndsThatOne(t *testing.T) {
	w := newWorld(t)
	broken, whole := &attempt{client: w.table.Load().clients[0]}, &attempt{client: w.table.Load().clients[0]}
	broken.request.state, broken.account, broken.asked = true, account("alice"), &opened{State: w.states.Begin(challenge.Password)}
	w.Server.states = nil // so that asking again panics
	w.concluded(t.Context(), broken, otp.Result{Reason: otp.ReasonCodeWrong, TriesLeft: 2})
	w.concluded(t.Context(), whole, otp.Result{OK: true, Reason: otp.ReasonOK})
	if broken.decision != otp.Drop || broken.reason != otp.ReasonPanic || whole.decision != otp.Accept {
		t.Errorf("%v %v, %v", broken.decision, broken.reason, whole.decision)
	}
}

// TestTheFirstFactor: what happens to passwords before a code is asked for, and to those that are
// all that is asked for.
func TestTheFirstFactor(t *testing.T) {
	for _, c := range []struct {
		name, account, typed string
		then, alone          string // what a client makes of it
		factors, binds       int
		change               func(*world)
	}{
		{"right", "alice", "geheim", "challenge code_asked", "accept code_exempt", 0, 1, nil},
		{"wrong", "alice", "falsch", "reject password_wrong", "reject password_wrong", 1, 1, nil},
		{"found in the directory", "carol", "geheim", "challenge code_asked", "accept code_exempt", 0, 1, nil},
		{"empty", "alice", "", "reject no_proof", "reject no_proof", 0, 0, nil},
		{"refused as empty", "alice", "x", "reject password_wrong", "reject password_wrong", 1, 1, func(w *world) { w.accounts.authErr = directory.ErrPasswordEmpty }},
		{"nobody", "mallory", "geheim", "reject account_unknown", "reject account_unknown", 0, 0, nil},
		{"disabled", "bob", "geheim", "reject account_disabled", "reject account_disabled", 0, 0, nil},
		{"a right one that cannot be counted", "alice", "geheim", "challenge code_asked", "drop store_unavailable", 0, 1, func(w *world) {
			w.codes.rightResult = &otp.Result{Reason: otp.ReasonStoreUnavailable, Err: otp.ErrUnavailable}
		}},
		{"a right one that has to wait", "alice", "geheim", "challenge code_asked", "reject throttled", 0, 1, func(w *world) {
			w.codes.rightResult = &otp.Result{Reason: otp.ReasonThrottled}
		}},
		{"a right one, and a store that says yes to what it was not asked", "alice", "geheim", "challenge code_asked", "reject code_wrong", 0, 1, func(w *world) {
			w.codes.rightResult = &otp.Result{OK: true, Reason: otp.ReasonCodeWrong}
		}},
		{"has to wait", "alice", "geheim", "reject throttled", "reject throttled", 0, 0, func(w *world) { w.codes.throttled = true }},
		{"directory down", "alice", "geheim", "drop directory_unavailable", "drop directory_unavailable", 0, 1, func(w *world) { w.accounts.authErr = directory.ErrUnavailable }},
		{"strange error", "alice", "geheim", "drop directory_unavailable", "drop directory_unavailable", 0, 1, func(w *world) { w.accounts.authErr = fmt.Errorf("?") }},
		{"store down", "alice", "geheim", "drop store_unavailable", "drop store_unavailable", 0, 0, func(w *world) { w.codes.err = otp.ErrUnavailable }},
	} {
		for _, login := range []Login{LoginPasswordThenCode, LoginPassword} {
			t.Run(c.name+", "+login.String(), func(t *testing.T) {
				w := one(t, Client{Login: login}, func(o *Options, _ *world) { o.Registerer = nil })
				if c.change != nil {
					c.change(w)
				}
				want := c.then
				if login == LoginPassword {
					want = c.alone
				}
				w.wants(t, fromVPN, password(c.account, c.typed), want)
				if n, b := len(w.codes.factors), len(w.accounts.binds()); n != c.factors || b != c.binds {
					t.Errorf("%d wrong factors counted, %d binds, want %d and %d", n, b, c.factors, c.binds)
				}
				if len(w.codes.batches()) != 0 || w.slots.Load() != 0 || w.waiting.Load() != 0 {
					t.Errorf("claims %v, %d slots, %d wait", w.codes.batches(), w.slots.Load(), w.waiting.Load())
				}
			})
		}
	}
}

// TestWhoIsExemptNeedsNoCode: by a group, and nobody else; the metrics and the trail show it.
func TestWhoIsExemptNeedsNoCode(t *testing.T) {
	robots := func(o *Options, w *world) {
		w.accounts.known["robot"] = &directory.Account{ID: "robot-id", Name: "robot", Groups: []directory.Group{{Name: "Robots", DN: "cn=Robots,dc=corp"}}}
		w.accounts.passwords["robot-id"] = "geheim"
		w.codes.codes["robot-id"] = []string{testCode}
	}
	for _, login := range []Login{LoginCode, LoginPasswordCode, LoginPasswordThenCode} {
		w := one(t, Client{Login: login, PasswordOnlyGroups: []string{"robots"}}, robots)
		w.wants(t, fromVPN, password("robot", "geheim"), "accept code_exempt")
		w.wants(t, fromVPN, password("robot", testCode), "reject password_wrong")
		w.wants(t, fromVPN, password("robot", "geheim"+testCode), "reject password_wrong")
		w.feed(fromVPN, password("alice", "geheim").Octets())
		if got := w.trail.last(t); strings.HasPrefix(got, "accept") {
			t.Errorf("login %v, not exempt: %s", login, got)
		}
		if len(w.codes.batches()) > 1 {
			t.Errorf("login %v: claims %v", login, w.codes.batches())
		}
		if got := testutil.ToFloat64(w.metrics.attempts.WithLabelValues("vpn", "accept", "code_exempt")); got != 1 {
			t.Errorf("login %v: %v counted", login, got)
		}
	}
}

// TestAnyNodeTakesTheCode: the State needs no memory on the node that sealed it.
func TestAnyNodeTakesTheCode(t *testing.T) {
	dir := t.TempDir()
	one := newWorld(t, func(o *Options, _ *world) { o.States = statesOf(t, dir, time.Now) })
	two := newWorld(t, func(o *Options, w *world) { o.States = statesOf(t, dir, time.Now) })
	state := one.challenged(t, fromThen, "alice")
	again := value(two.ask(t, fromThen, code("alice", "000000", state)), probe.State)
	one.wants(t, fromThen, code("alice", testCode, again), "accept ok")
}

// TestWhoWasAskedGoesFirst: when all ordinary slots are taken, a State of ours still gets one.
func TestWhoWasAskedGoesFirst(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxInFlight = 16 })
	state := w.challenged(t, fromThen, "alice")
	taken := 0
	for w.slots.Take(false) {
		taken++
	}
	discarded := func() float64 { return testutil.ToFloat64(w.metrics.discarded[discardOverload]) }
	for i, q := range []*probe.Request{
		password("alice", "geheim"), code("alice", testCode, "nonsense"), code("alice", testCode, ""),
		code("alice", testCode, string(probe.Flip([]byte(state), 100))),
	} {
		// From another port: by chance the Identifier is that of the challenge, which it would supersede.
		if got := w.feed("203.0.114.1:2000", q.Octets()); len(got) != 0 || discarded() != float64(i+1) {
			t.Errorf("packet %d: %d replies, %v discarded", i, len(got), discarded())
		}
	}
	if got := w.feed(fromVPN, code("alice", testCode, state).Octets()); len(got) != 0 || discarded() != 5 {
		t.Errorf("the State of another client: %d replies", len(got))
	}
	if n := w.duplicates.Len(); n != 1 {
		t.Errorf("%d requests remembered", n)
	}
	w.wants(t, fromThen, code("alice", testCode, state), "accept ok")
	for w.slots.Take(true) { // none at all
		taken++
	}
	if got := w.feed(fromThen, code("alice", "000000", state).Octets()); len(got) != 0 || discarded() != 6 {
		t.Errorf("without any slot: %d replies", len(got))
	}
	for range taken {
		w.slots.Release()
	}
	checkSum(t, w)
}
