package otp_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
)

// clock is a clock under control.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// faulty is a store whose claims can be made to fail.
type faulty struct {
	otp.Store
	mu   sync.Mutex
	err  error
	once bool
}

func (f *faulty) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// failOnce is for the next claim alone.
func (f *faulty) failOnce(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.once = err, true
}

func (f *faulty) Claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	f.mu.Lock()
	err := f.err
	if f.once {
		f.err, f.once = nil, false
	}
	f.mu.Unlock()
	if err == nil {
		return f.Store.Claim(ctx, claims)
	}
	receipts := make([]otp.Receipt, len(claims))
	for i := range receipts {
		receipts[i] = otp.Receipt{Answer: otp.Claimed, Err: err} // Err is what counts
	}
	return receipts
}

type world struct {
	t        *testing.T
	clock    *clock
	keys     *keyset.Keys
	store    *faulty
	verifier *otp.Verifier
	devices  *otp.Devices
	registry *prometheus.Registry
	tokens   byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Unix(1_800_000_030, 0)}, registry: prometheus.NewRegistry()}
	var err error
	if w.keys, _, err = keyset.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	bolt, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bolt.Close() })
	w.store = &faulty{Store: otp.Observe(bolt, w.registry, w.clock.now)}
	w.verifier = w.newNode(w.keys, w.registry)
	w.devices, err = otp.NewDevices(otp.DevicesOptions{
		Store: w.store, Keys: w.keys, Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: time.Minute,
		MaxDevices: 5, Forget: w.verifier.Forget, Now: w.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// newNode is another node on the same store.
func (w *world) newNode(keys otp.Keys, reg prometheus.Registerer) *otp.Verifier {
	w.t.Helper()
	v, err := otp.New(otp.Options{Store: w.store, Keys: keys, Window: 1, MaxDrift: 2, Registerer: reg, Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) add(account string) (otp.Device, []byte) {
	w.t.Helper()
	d, seed, err := w.devices.Add(context.Background(), otp.NewDevice{Account: account, Label: "phone"})
	if err != nil {
		w.t.Fatal(err)
	}
	return d, seed
}

// attempt is a new one, with a token of its own.
func (w *world) attempt(account, code string) otp.Attempt {
	w.tokens++
	return otp.Attempt{
		Account: account, Proof: otp.TypedCode(code), Place: w.verifier.Place("vpn", "198.51.100.7"),
		Token: w.verifier.Token([]byte{w.tokens}),
	}
}

func (w *world) want(v *otp.Verifier, a otp.Attempt, want otp.Reason) otp.Result {
	w.t.Helper()
	r := v.Verify(context.Background(), a)
	if r.Reason != want || r.OK != (want == otp.ReasonOK) {
		w.t.Errorf("%v (ok %v, %v), want %v", r.Reason, r.OK, r.Err, want)
	}
	return r
}

func TestOnlyCodesOfTheWindowPassOnce(t *testing.T) {
	for offset := -5; offset <= 5; offset++ {
		w := newWorld(t)
		_, seed := w.add("alice")
		code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now().Add(time.Duration(offset)*time.Minute))
		if offset < -1 || offset > 1 {
			w.want(w.verifier, w.attempt("alice", code), otp.ReasonCodeWrong)
			continue
		}
		w.want(w.verifier, w.attempt("bob", code), otp.ReasonNoDevice)
		first := w.attempt("alice", code)
		w.want(w.verifier, first, otp.ReasonOK)
		w.want(w.verifier, first, otp.ReasonOK) // the same packet again
		w.want(w.verifier, w.attempt("alice", code), otp.ReasonCodeUsed)
		w.want(w.newNode(w.keys, nil), w.attempt("alice", code), otp.ReasonCodeUsed)
	}
}

func TestEveryDeviceOfTheAccountCounts(t *testing.T) {
	w := newWorld(t)
	var seeds [][]byte
	for range 3 {
		_, seed := w.add("alice")
		seeds = append(seeds, seed)
	}
	_, foreign := w.add("bob")
	for _, seed := range seeds {
		w.want(w.verifier, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
	}
	w.want(w.verifier, w.attempt("alice", otp.CodeAt(otp.SHA1, foreign, 6, time.Minute, w.clock.now())), otp.ReasonCodeWrong)
}

func TestDevicesOfEachPeriodDigitsAndAlgorithm(t *testing.T) {
	w := newWorld(t)
	n := otp.NewDevice{Account: "alice", Algorithm: otp.SHA512, Digits: 8, Period: 30 * time.Second}
	_, seed, err := w.devices.Add(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	code := otp.CodeAt(n.Algorithm, seed, n.Digits, n.Period, w.clock.now())
	w.want(w.verifier, w.attempt("alice", code[2:]), otp.ReasonCodeWrong)
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
}

func TestARevokedDeviceIsRefusedAtOnceOnEveryNode(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	d, seed := w.add("alice")
	w.add("alice")
	w.want(other, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
	if err := w.devices.Remove(context.Background(), "alice", d.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.add(time.Minute)
	w.want(other, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonCodeWrong)
}

func TestANewDeviceIsAcceptedAtOnceOnEveryNode(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	w.want(other, w.attempt("alice", "000000"), otp.ReasonNoDevice)
	for range 2 {
		_, seed := w.add("alice")
		w.want(other, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
	}
}

func TestStaleKnowledgeComesBackFromSettle(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	_, seed := w.add("alice")
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	if _, err := other.Walk(context.Background(), w.attempt("alice", code)); err != nil {
		t.Fatal(err)
	}
	w.add("alice")
	walked, known := other.WalkKnown(w.attempt("alice", code))
	if !known {
		t.Fatal("the node forgot the account")
	}
	if r := other.Settle(context.Background(), []otp.Walked{walked})[0]; !r.Stale || r.OK {
		t.Errorf("%+v, want a stale result", r)
	}
}

func TestAStoreThatFailsLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	a := w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now()))
	w.store.fail(otp.ErrUnavailable)
	if r := w.want(w.verifier, a, otp.ReasonStoreUnavailable); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Errorf("error %v", r.Err)
	}
	w.store.fail(nil)
	w.want(w.verifier, a, otp.ReasonOK)
}

func TestAnotherKeysetOpensNoSeed(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	foreign, _, err := keyset.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.want(w.newNode(foreign, nil), w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonStoreUnavailable)
}

func TestDriftIsLearnedUpToItsLimit(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	for _, step := range []struct {
		ahead int // of the phone's clock
		want  otp.Reason
	}{
		{1, otp.ReasonOK}, {2, otp.ReasonOK}, {3, otp.ReasonOK}, // drift 1, 2, 2
		{4, otp.ReasonCodeWrong}, {0, otp.ReasonOK}, // what a right clock shows: drift 0
		{2, otp.ReasonCodeWrong}, {1, otp.ReasonOK}, {0, otp.ReasonOK},
	} {
		w.clock.add(10 * time.Minute)
		code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now().Add(time.Duration(step.ahead)*time.Minute))
		w.want(w.verifier, w.attempt("alice", code), step.want)
	}
}

func TestAClockThatJumpsLetsNoUsedStepIn(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
	for _, jump := range []time.Duration{-time.Second, time.Second, -time.Minute, 2 * time.Minute, -time.Minute, time.Hour, -time.Hour} {
		w.clock.add(jump)
		if r := w.verifier.Verify(context.Background(), w.attempt("alice", code)); r.OK {
			t.Errorf("accepted again after the clock jumped by %v", jump)
		}
	}
}

func TestGuessingElsewhereDoesNotLockOutAKnownPlace(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	w.want(w.verifier, w.attempt("alice", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
	guess := func(code string) otp.Result {
		a := w.attempt("alice", code)
		a.Place = w.verifier.Place("vpn", "203.0.113.66")
		return w.verifier.Verify(context.Background(), a)
	}
	w.clock.add(time.Minute)
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	for i := range 10 { // the same wrong code counts once
		if r := guess("00000x"); r.Reason != otp.ReasonCodeWrong {
			t.Fatalf("try %d of one wrong code: %v", i, r.Reason)
		}
	}
	for _, g := range []string{"a", "b", "c", "d"} {
		guess(g)
	}
	if r := guess(code); r.OK || r.Reason != otp.ReasonThrottled || r.Until.IsZero() {
		t.Errorf("a guesser who backs off got %+v", r)
	}
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
}

func TestThreeWrongPasswordsUseTheCodeUp(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	for i := range otp.MaxWrongPasswords {
		walked, err := w.verifier.Walk(context.Background(), w.attempt("alice", code))
		if err != nil {
			t.Fatal(err)
		}
		if r := w.verifier.WrongPassword(context.Background(), walked); r.OK || r.Reason != otp.ReasonPasswordWrong {
			t.Errorf("wrong password %d: %+v", i+1, r)
		}
	}
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonCodeUsed)
}

func TestBatchesAreAnsweredInOrder(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	var walked []otp.Walked
	for _, a := range []otp.Attempt{w.attempt("alice", "000000"), w.attempt("bob", code), w.attempt("alice", code), w.attempt("alice", code)} {
		one, err := w.verifier.Walk(context.Background(), a)
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, one)
	}
	want := []otp.Reason{otp.ReasonCodeWrong, otp.ReasonNoDevice, otp.ReasonOK, otp.ReasonCodeUsed}
	for i, r := range w.verifier.Settle(context.Background(), walked) {
		if r.Reason != want[i] {
			t.Errorf("%d: %v, want %v", i, r.Reason, want[i])
		}
	}
}

// TestManyAreWalkedAsEachIsAlone: those that the node knows and those that it does not, one of them twice.
func TestManyAreWalkedAsEachIsAlone(t *testing.T) {
	w := newWorld(t)
	codes := map[string]string{"nobody": "000000"}
	for _, name := range []string{"alice", "bob", "carol"} {
		_, seed := w.add(name)
		codes[name] = otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	}
	w.want(w.verifier, w.attempt("alice", "000000"), otp.ReasonCodeWrong) // so that she is known
	var as []otp.Attempt
	for _, name := range []string{"alice", "bob", "nobody", "carol", "bob"} {
		as = append(as, w.attempt(name, codes[name]))
	}
	for range 2 {
		walked, errs := w.verifier.WalkAll(context.Background(), as)
		for i := range as {
			alone, err := w.newNode(w.keys, nil).Walk(context.Background(), as[i])
			if errs[i] != nil || err != nil || walked[i].Devices != alone.Devices || !slices.Equal(walked[i].Matches, alone.Matches) {
				t.Errorf("%d: %+v, %v; alone %+v, %v", i, walked[i], errs[i], alone, err)
			}
			if _, known := w.verifier.WalkKnown(as[i]); known != (as[i].Account != "nobody") {
				t.Errorf("%d: known %v", i, known)
			}
		}
	}
	walked, _ := w.verifier.WalkAll(context.Background(), as)
	want := []otp.Reason{otp.ReasonOK, otp.ReasonOK, otp.ReasonNoDevice, otp.ReasonOK, otp.ReasonCodeUsed}
	for i, r := range w.verifier.Settle(context.Background(), walked) {
		if r.Reason != want[i] {
			t.Errorf("%d: %v, want %v", i, r.Reason, want[i])
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, errs := w.newNode(w.keys, nil).WalkAll(ended, as)
	for i, err := range errs {
		if !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%d, when nobody waits: %v", i, err)
		}
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := strings.TrimSpace(sprintf(form, otp.Attempt{Proof: otp.TypedCode("123456")})); strings.Contains(s, "123456") || strings.Contains(s, "313233") {
			t.Errorf("%s prints %s", form, s)
		}
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	w := newWorld(t)
	problems, err := testutil.GatherAndLint(w.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

// Two devices with one seed, as an import may bring: their codes are always the same.
func TestWhatFitsTwoDevicesPassesOnce(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: "alice", Label: "copy", Seed: seed}); err != nil {
		t.Fatal(err)
	}
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
	w.want(w.verifier, w.attempt("alice", code), otp.ReasonCodeUsed)
	w.want(w.newNode(w.keys, nil), w.attempt("alice", code), otp.ReasonCodeUsed)
}

// The same two, whose clocks have been learned to differ: what one of them let in is in the window of
// the other only later.
func TestOneSeedIsOneDevice(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	w.clock.add(time.Minute)
	if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: "alice", Label: "copy", Seed: seed}); err != nil {
		t.Fatal(err)
	}
	codeIn := func(ahead time.Duration) string {
		return otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now().Add(ahead))
	}
	w.want(w.verifier, w.attempt("alice", codeIn(time.Minute)), otp.ReasonOK) // drift 1
	w.clock.add(4 * time.Minute)
	w.want(w.verifier, w.attempt("alice", codeIn(-time.Minute)), otp.ReasonCodeWrong) // fits the other one only
	early := codeIn(2 * time.Minute)
	w.want(w.verifier, w.attempt("alice", early), otp.ReasonOK)
	for range 4 {
		w.clock.add(time.Minute)
		if r := w.verifier.Verify(context.Background(), w.attempt("alice", early)); r.OK {
			t.Fatal("the other one let it in again")
		}
		if r := w.newNode(w.keys, nil).Verify(context.Background(), w.attempt("alice", early)); r.OK {
			t.Fatal("the other one let it in again, on another node")
		}
	}
}

// wayward is a store that breaks its contract.
type wayward struct {
	otp.Store
	claims  func([]otp.Claim) []otp.Receipt
	devices func() (otp.Snapshot, error)
}

func (s *wayward) Claim(_ context.Context, claims []otp.Claim) []otp.Receipt { return s.claims(claims) }

func (s *wayward) Devices(ctx context.Context, account string) (otp.Snapshot, error) {
	if s.devices == nil {
		return s.Store.Devices(ctx, account)
	}
	return s.devices()
}

func TestAStoreThatBreaksItsContractLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	answer := func(r ...otp.Receipt) func([]otp.Claim) []otp.Receipt {
		return func([]otp.Claim) []otp.Receipt { return r }
	}
	for name, s := range map[string]*wayward{
		"no receipts":              {claims: answer()},
		"too many receipts":        {claims: answer(otp.Receipt{Answer: otp.Claimed}, otp.Receipt{Answer: otp.Claimed})},
		"no answer":                {claims: answer(otp.Receipt{})},
		"claimed, with an error":   {claims: answer(otp.Receipt{Answer: otp.Claimed, Err: errors.New("broken")})},
		"stale for ever":           {claims: answer(otp.Receipt{Answer: otp.Stale})},
		"a panic while it loads":   {devices: func() (otp.Snapshot, error) { panic("store") }},
		"an error of another kind": {devices: func() (otp.Snapshot, error) { return otp.Snapshot{}, errors.New("broken") }},
	} {
		t.Run(name, func(t *testing.T) {
			s.Store = w.store
			v, err := otp.New(otp.Options{Store: s, Keys: w.keys, Window: 1, Now: w.clock.now})
			if err != nil {
				t.Fatal(err)
			}
			r := v.Verify(context.Background(), w.attempt("alice", code))
			if r.OK || r.Reason != otp.ReasonStoreUnavailable || !errors.Is(r.Err, otp.ErrUnavailable) {
				t.Errorf("%+v", r)
			}
		})
	}
	claimed := &wayward{Store: w.store, claims: answer(otp.Receipt{Answer: otp.Claimed})}
	v, err := otp.New(otp.Options{Store: claimed, Keys: w.keys, Window: 1, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if r := v.Verify(context.Background(), w.attempt("alice", "000000")); r.OK || r.Reason != otp.ReasonStoreUnavailable {
		t.Errorf("a wrong code was claimed: %+v", r)
	}
	walked, err := v.Walk(context.Background(), w.attempt("alice", code))
	if err != nil {
		t.Fatal(err)
	}
	if r := v.WrongPassword(context.Background(), walked); r.OK || r.Reason != otp.ReasonStoreUnavailable {
		t.Errorf("a wrong password was claimed: %+v", r)
	}
}

func TestDevicesHaveIDsThatWeMake(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"short", "UPPERCASEUPPERCA", "q6fvmcixcvwnr3r1", "q6fvmcixcvwnr3rlq6fvmcixcvwnr3rl", "../../etc/passwd"} {
		if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: "alice", ID: id}); !errors.Is(err, otp.ErrIDInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, _, err := w.devices.Add(context.Background(), otp.NewDevice{Account: "alice", ID: otp.NewDeviceID()}); err != nil {
		t.Error(err)
	}
}

// A wrong code counts once however often it is sent, and so it must not be a new guess each time
// that the window moves on.
func TestAWrongCodeSentAgainHasNoChance(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	soon := w.clock.now().Add(5 * time.Minute)
	code := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, soon)
	for range 6 { // its time comes, and passes
		w.want(w.verifier, w.attempt("alice", code), otp.ReasonCodeWrong)
		w.clock.add(time.Minute)
	}
	// Whoever typed it too early types the next one, and is not made to wait.
	next := otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
	w.want(w.verifier, w.attempt("alice", next), otp.ReasonOK)
	// Elsewhere it was never wrong.
	_, seed = w.add("bob")
	code = otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now().Add(5*time.Minute))
	w.want(w.verifier, w.attempt("bob", otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())), otp.ReasonOK)
	w.want(w.verifier, w.attempt("bob", code), otp.ReasonCodeWrong)
	w.clock.add(5 * time.Minute)
	elsewhere := w.attempt("bob", code)
	elsewhere.Place = w.verifier.Place("vpn", "203.0.113.66")
	w.want(w.verifier, elsewhere, otp.ReasonOK)
}
