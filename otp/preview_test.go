package otp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"otpgate/otp"
)

// codeOf is what a device of the account shows now.
func (w *world) codeOf(seed []byte) string {
	return otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now())
}

// preview walks and asks, and fails the test if that lets anybody in.
func (w *world) preview(a otp.Attempt, want otp.Reason) otp.Result {
	w.t.Helper()
	walked, err := w.verifier.Walk(context.Background(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.verifier.Preview(context.Background(), walked)
	if r.OK || r.Reason != want {
		w.t.Errorf("preview: %v (ok %v, %v), want %v", r.Reason, r.OK, r.Err, want)
	}
	return r
}

// counted is how many results the metric has.
func (w *world) counted() (n float64) {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "otpgate_otp_verifications_total" || f.GetName() == "otpgate_otp_lockouts_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestAPreviewSaysWhatWouldBeAndLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	code := w.codeOf(seed)
	before := w.counted()
	for range 3 {
		if r := w.preview(w.attempt("alice", code), otp.ReasonOK); r.Match.Digits != 6 {
			t.Errorf("%+v", r)
		}
		w.preview(w.attempt("alice", "000000"), otp.ReasonCodeWrong)
		w.preview(w.attempt("bob", code), otp.ReasonNoDevice)
	}
	if n := w.counted() - before; n != 0 {
		t.Errorf("previews counted %v logins", n)
	}
	first := w.attempt("alice", code)
	w.want(w.verifier, first, otp.ReasonOK)
	w.preview(w.attempt("alice", code), otp.ReasonCodeUsed)
	if r := w.preview(first, otp.ReasonOK); !r.Again {
		t.Errorf("%+v", r)
	}
	elsewhere := func(code string) otp.Attempt {
		a := w.attempt("alice", code)
		a.Place = w.verifier.Place("vpn", "203.0.113.66")
		return a
	}
	for _, guess := range []string{"a", "b", "c", "d", "e"} {
		w.verifier.Verify(context.Background(), elsewhere(guess))
	}
	if r := w.preview(elsewhere(code), otp.ReasonThrottled); r.Until.IsZero() {
		t.Errorf("%+v", r)
	}
	if r := w.preview(elsewhere("f"), otp.ReasonThrottled); r.Until.IsZero() {
		t.Errorf("%+v", r)
	}
	w.store.fail(otp.ErrUnavailable)
	w.preview(w.attempt("alice", code), otp.ReasonStoreUnavailable)
}

func TestAPreviewOfOldKnowledgeIsStale(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	_, seed := w.add("alice")
	for _, code := range []string{w.codeOf(seed), "000000"} {
		walked, err := other.Walk(context.Background(), w.attempt("alice", code))
		if err != nil {
			t.Fatal(err)
		}
		w.add("alice")
		if r := other.Preview(context.Background(), walked); !r.Stale || r.OK {
			t.Errorf("%+v, want a stale result", r)
		}
		if _, known := other.WalkKnown(w.attempt("alice", code)); known {
			t.Error("the node still remembers the account")
		}
	}
}

func TestAPlaceIsCheckedBeforeAnythingElse(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	here, elsewhere := w.verifier.Place("vpn", "198.51.100.7"), w.verifier.Place("vpn", "203.0.113.66")
	check := func(account string, place otp.Place, want otp.Reason) otp.Result {
		t.Helper()
		r := w.verifier.CheckPlace(context.Background(), account, place)
		if r.OK || r.Reason != want {
			t.Errorf("%+v, want %v", r, want)
		}
		return r
	}
	check("alice", here, otp.ReasonOK)
	check("bob", here, otp.ReasonOK)
	before := w.counted() + 5
	for _, guess := range []string{"a", "b", "c", "d", "e"} {
		w.verifier.Verify(context.Background(), w.attempt("alice", guess))
	}
	for range 3 {
		if r := check("alice", here, otp.ReasonThrottled); r.Until.IsZero() {
			t.Errorf("%+v", r)
		}
		check("alice", elsewhere, otp.ReasonThrottled) // neither is known
		check("bob", here, otp.ReasonOK)
	}
	w.clock.add(time.Minute)
	check("alice", here, otp.ReasonOK)
	w.store.fail(otp.ErrUnavailable)
	if r := check("alice", here, otp.ReasonStoreUnavailable); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Errorf("%+v", r)
	}
	if n := w.counted() - before; n != 1 { // the back-off that began
		t.Errorf("looking at places counted %v logins", n-1)
	}
}

// blind is a store that knows of no devices.
type blind struct{ otp.Store }

func (blind) Devices(context.Context, string) (otp.Snapshot, error) {
	return otp.Snapshot{}, otp.ErrUnavailable
}

func TestALookCountsNoLogin(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	looked, err := w.verifier.Look(context.Background(), w.attempt("alice", w.codeOf(seed)))
	if err != nil || looked.Devices != 1 || len(looked.Matches) != 1 {
		t.Errorf("%+v, %v", looked, err)
	}
	w.store.Store = blind{w.store.Store}
	before := w.counted()
	a := w.attempt("bob", "000000")
	if _, err := w.verifier.Look(context.Background(), a); !errors.Is(err, otp.ErrUnavailable) {
		t.Error(err)
	}
	if n := w.counted() - before; n != 0 {
		t.Errorf("a look counted %v logins", n)
	}
	if _, err := w.verifier.Walk(context.Background(), a); !errors.Is(err, otp.ErrUnavailable) {
		t.Error(err)
	}
	if n := w.counted() - before; n != 1 {
		t.Errorf("a walk counted %v logins", n)
	}
}

func TestAChallengeTakesSoManyWrongCodes(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	answer := func(id byte, code string) otp.Attempt {
		a := w.attempt("alice", code)
		a.Challenge = otp.Challenged{ID: [8]byte{id}, Tries: 2}
		return a
	}
	if r := w.want(w.verifier, answer(1, "a"), otp.ReasonCodeWrong); r.TriesLeft != 1 {
		t.Errorf("%+v", r)
	}
	if r := w.want(w.newNode(w.keys, nil), answer(1, "b"), otp.ReasonCodeWrong); r.TriesLeft != 0 {
		t.Errorf("%+v", r)
	}
	w.preview(answer(1, w.codeOf(seed)), otp.ReasonChallengeSpent)
	w.preview(answer(1, "c"), otp.ReasonChallengeSpent)
	w.want(w.verifier, answer(1, w.codeOf(seed)), otp.ReasonChallengeSpent)
	w.want(w.verifier, answer(2, w.codeOf(seed)), otp.ReasonOK)
	w.want(w.verifier, answer(2, w.codeOf(seed)), otp.ReasonChallengeSpent)
	if r := w.want(w.verifier, answer(3, w.codeOf(seed)), otp.ReasonCodeUsed); r.TriesLeft != 2 {
		t.Errorf("%+v", r)
	}
}

func TestACodeIsSharedOnlyAsFarAsAsked(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	sharing := func(place ...string) otp.Attempt {
		a := w.attempt("alice", w.codeOf(seed))
		a.Share = otp.Share{Times: 2, Within: 30 * time.Second}
		if len(place) > 0 {
			a.Place = w.verifier.Place(place...)
		}
		return a
	}
	if r := w.want(w.verifier, sharing(), otp.ReasonOK); r.Shared || r.Again {
		t.Errorf("%+v", r)
	}
	w.want(w.verifier, w.attempt("alice", w.codeOf(seed)), otp.ReasonCodeUsed)
	w.want(w.verifier, sharing("vpn", "203.0.113.66"), otp.ReasonCodeUsed)
	if r := w.preview(sharing(), otp.ReasonOK); !r.Shared {
		t.Errorf("%+v", r)
	}
	if r := w.want(w.verifier, sharing(), otp.ReasonOK); !r.Shared || r.Again {
		t.Errorf("%+v", r)
	}
	w.want(w.verifier, sharing(), otp.ReasonCodeUsed)
}

func TestATokenLivesAsLongAsItsAttemptSays(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	a := w.attempt("alice", w.codeOf(seed))
	a.Lifetime = 5 * time.Second
	if r := w.want(w.verifier, a, otp.ReasonOK); r.Again {
		t.Errorf("%+v", r)
	}
	w.clock.add(5 * time.Second)
	if r := w.want(w.verifier, a, otp.ReasonOK); !r.Again {
		t.Errorf("%+v", r)
	}
	w.clock.add(time.Second)
	w.want(w.verifier, a, otp.ReasonCodeUsed)
}

// A store that breaks its contract lets nobody in by way of a question, or by an answer to one.
func TestAnAnswerToAQuestionLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	attempt := w.attempt("alice", w.codeOf(seed))
	for answer := range otp.Welcomed + 2 {
		s := &wayward{Store: w.store, claims: func(claims []otp.Claim) []otp.Receipt {
			return []otp.Receipt{{Answer: answer, Again: true, Shared: true, TriesLeft: 9}}
		}}
		v, err := otp.New(otp.Options{Store: s, Keys: w.keys, Window: 1, Now: w.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		walked, err := v.Walk(context.Background(), attempt)
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range map[string]otp.Result{
			"Preview":     v.Preview(context.Background(), walked),
			"CheckPlace":  v.CheckPlace(context.Background(), "alice", attempt.Place),
			"WrongFactor": v.WrongFactor(context.Background(), attempt),
			"RightFactor": v.RightFactor(context.Background(), attempt),
		} {
			right := map[string]otp.Answer{"Preview": otp.Free, "CheckPlace": otp.Free, "RightFactor": otp.Welcomed}
			if r.OK || (r.Reason == otp.ReasonOK) != (answer != otp.NoAnswer && answer == right[name]) {
				t.Errorf("%s, answered %d: %+v", name, answer, r)
			}
		}
		if r := v.Settle(context.Background(), []otp.Walked{walked})[0]; r.OK != (answer == otp.Claimed) {
			t.Errorf("Settle, answered %d: %+v", answer, r)
		}
	}
}
