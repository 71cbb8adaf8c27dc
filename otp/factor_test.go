package otp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"otpgate/otp"
)

func (w *world) wrongFactor(v *otp.Verifier, account, password string, want otp.Reason) otp.Result {
	w.t.Helper()
	r := v.WrongFactor(context.Background(), w.attempt(account, password))
	if r.OK || r.Stale || r.Reason != want {
		w.t.Errorf("%v (ok %v, %v), want %v", r.Reason, r.OK, r.Err, want)
	}
	return r
}

func TestAWrongFactorCountsAgainstItsPlace(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	for _, password := range []string{"a", "b", "c", "d", "f"} {
		w.wrongFactor(w.verifier, "alice", password, otp.ReasonPasswordWrong)
	}
	if r := w.wrongFactor(w.verifier, "alice", "e", otp.ReasonThrottled); r.Until.IsZero() {
		t.Errorf("%+v", r)
	}
	w.want(w.verifier, w.attempt("alice", w.codeOf(seed)), otp.ReasonThrottled)
	w.clock.add(time.Minute)
	w.want(w.verifier, w.attempt("alice", w.codeOf(seed)), otp.ReasonOK)
}

// A password may have the octets of a code, which is not wrong for that.
func TestAWrongFactorIsNoWrongCode(t *testing.T) {
	w := newWorld(t)
	_, seed := w.add("alice")
	w.wrongFactor(w.verifier, "alice", w.codeOf(seed), otp.ReasonPasswordWrong)
	w.want(w.verifier, w.attempt("alice", w.codeOf(seed)), otp.ReasonOK)
}

func TestEveryPacketWithAWrongFactorCounts(t *testing.T) {
	for name, passwords := range map[string][]string{
		"the same one":  {"summer2031"},
		"four in turns": {"a", "b", "c", "d"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("alice")
			refused := 0 // without the directory, which was asked for the others
			for n := range 100 {
				a := w.attempt("alice", passwords[n%len(passwords)])
				if w.verifier.CheckPlace(context.Background(), "alice", a.Place).Reason == otp.ReasonThrottled {
					refused++
					continue
				}
				w.verifier.WrongFactor(context.Background(), a)
			}
			if refused != 95 {
				t.Errorf("%d of 100 were refused", refused)
			}
		})
	}
}

func TestARetransmissionOfAWrongFactorDoesNotCount(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	other := w.newNode(w.keys, nil)
	for _, password := range []string{"a", "a", "b", "b"} {
		a := w.attempt("alice", password)
		for _, v := range []*otp.Verifier{w.verifier, w.verifier, other, other, w.verifier} {
			if r := v.WrongFactor(context.Background(), a); r.OK || r.Reason != otp.ReasonPasswordWrong || !r.Until.IsZero() {
				t.Errorf("%+v", r)
			}
		}
	}
	if r := w.wrongFactor(w.verifier, "alice", "a", otp.ReasonPasswordWrong); r.Until.IsZero() { // the fifth
		t.Errorf("%+v", r)
	}
}

func TestAWrongFactorIsCountedByANodeThatKnewLess(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	_, seed := w.add("alice")
	w.want(other, w.attempt("alice", w.codeOf(seed)), otp.ReasonOK)
	w.add("alice")
	w.wrongFactor(other, "alice", "a", otp.ReasonPasswordWrong)
	w.wrongFactor(other, "alice", "b", otp.ReasonPasswordWrong)
}

// writes counts the claims that reach a store.
type writes struct {
	otp.Store
	claims int
}

func (s *writes) Claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	s.claims += len(claims)
	return s.Store.Claim(ctx, claims)
}

func TestAWrongFactorOfAnAccountWithoutDevicesAsksTheStoreForNothing(t *testing.T) {
	w := newWorld(t)
	store := &writes{Store: w.store}
	v, err := otp.New(otp.Options{Store: store, Keys: w.keys, Window: 1, Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w.wrongFactor(v, "nobody", "a", otp.ReasonPasswordWrong)
	}
	if store.claims != 0 {
		t.Errorf("%d claims", store.claims)
	}
	w.add("alice")
	w.store.fail(otp.ErrUnavailable)
	w.wrongFactor(v, "alice", "a", otp.ReasonStoreUnavailable)
}

// alone is an attempt with a password that is all that is asked for.
func (w *world) alone(account, password string) otp.Attempt {
	a := w.attempt(account, password)
	a.Alone = true
	return a
}

func TestAPasswordThatStandsAloneIsCountedWithoutADevice(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	other := w.newNode(w.keys, nil)
	for n := range 5 {
		v := []*otp.Verifier{w.verifier, other}[n%2]
		if r := v.WrongFactor(ctx, w.alone("printer", "a")); r.OK || r.Reason != otp.ReasonPasswordWrong || r.Until.IsZero() != (n < 4) {
			t.Errorf("wrong password %d: %+v", n+1, r)
		}
	}
	a := w.alone("printer", "a")
	for _, v := range []*otp.Verifier{w.verifier, other} {
		if r := v.CheckPlace(ctx, "printer", a.Place); r.Reason != otp.ReasonThrottled || r.Until.IsZero() {
			t.Errorf("%+v", r)
		}
		if r := v.WrongFactor(ctx, a); r.OK || r.Reason != otp.ReasonThrottled {
			t.Errorf("%+v", r)
		}
	}
	w.want(w.verifier, w.attempt("printer", "000000"), otp.ReasonNoDevice)
	_, seed := w.add("printer") // a first device does not end the wait
	w.want(other, w.attempt("printer", w.codeOf(seed)), otp.ReasonThrottled)
	w.clock.add(15 * time.Second)
	w.want(other, w.attempt("printer", w.codeOf(seed)), otp.ReasonOK)
	w.store.fail(otp.ErrUnavailable)
	if r := w.verifier.WrongFactor(ctx, w.alone("copier", "a")); r.OK || !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Errorf("%+v", r)
	}
}

func TestAPasswordThatStandsAloneIsCountedByANodeThatKnewLess(t *testing.T) {
	w := newWorld(t)
	other := w.newNode(w.keys, nil)
	d, seed := w.add("alice")
	w.want(other, w.attempt("alice", w.codeOf(seed)), otp.ReasonOK)
	if err := w.devices.Remove(context.Background(), "alice", d.ID); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if r := other.WrongFactor(context.Background(), w.alone("alice", "a")); r.Stale || r.Reason != otp.ReasonPasswordWrong || r.Until.IsZero() != (n < 4) {
			t.Errorf("%+v", r)
		}
	}
}

func TestARightFactorMakesItsPlaceKnown(t *testing.T) {
	for account, shared := range map[string]int{"printer": 0, "alice": 3} { // without a device, and with one
		w := newWorld(t)
		ctx := context.Background()
		w.add("alice")
		right := func(want otp.Reason, parts ...string) otp.Result {
			t.Helper()
			a := w.alone(account, "right")
			a.Place = w.verifier.Place(parts...)
			r := w.verifier.RightFactor(ctx, a)
			if r.OK || r.Stale || r.Reason != want || r.Match != (otp.Match{}) {
				t.Errorf("%s: %+v, want %v", account, r, want)
			}
			if again := w.newNode(w.keys, nil).RightFactor(ctx, a); again.OK || again.Reason != want {
				t.Errorf("%s: told again: %+v, want %v", account, again, want)
			}
			return r
		}
		wrong := func(want otp.Reason, parts ...string) {
			t.Helper()
			a := w.alone(account, "wrong")
			a.Place = w.verifier.Place(parts...)
			if r := w.verifier.WrongFactor(ctx, a); r.OK || r.Reason != want {
				t.Errorf("%s: %+v, want %v", account, r, want)
			}
		}
		for range 3 {
			wrong(otp.ReasonPasswordWrong, "vpn", "desk")
		}
		right(otp.ReasonOK, "vpn", "desk")
		for range 5 - shared { // somebody else, from elsewhere
			wrong(otp.ReasonPasswordWrong, "vpn", "attic")
			w.clock.add(time.Second)
		}
		right(otp.ReasonThrottled, "vpn", "attic")
		for range 4 { // the count of the desk is at none again
			wrong(otp.ReasonPasswordWrong, "vpn", "desk")
		}
		right(otp.ReasonOK, "vpn", "desk")
		for range 5 {
			wrong(otp.ReasonPasswordWrong, "vpn", "desk")
		}
		wrong(otp.ReasonThrottled, "vpn", "desk")
		if r := right(otp.ReasonThrottled, "vpn", "desk"); r.Until.IsZero() {
			t.Errorf("%+v", r)
		}
		w.clock.add(15 * time.Second)
		right(otp.ReasonOK, "vpn", "desk")
		w.store.fail(otp.ErrUnavailable)
		if r := right(otp.ReasonStoreUnavailable, "vpn", "desk"); !errors.Is(r.Err, otp.ErrUnavailable) {
			t.Errorf("%+v", r)
		}
	}
}

// Whoever knows the password of somebody who needs no code at one gateway must not be able to guess codes
// at another one without end.
func TestAPasswordDoesNotEndTheCountOfWrongCodes(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	throttled := false
	for n := range 20 {
		guess := w.attempt("alice", "guess "+string(rune('a'+n)))
		guess.Place = w.verifier.Place("vpn", "203.0.113.66")
		throttled = throttled || w.verifier.Verify(context.Background(), guess).Reason == otp.ReasonThrottled
		a := w.alone("alice", "right")
		a.Place = w.verifier.Place("wifi", string(rune('a'+n)))
		w.verifier.RightFactor(context.Background(), a)
	}
	if !throttled {
		t.Error("20 codes were guessed without a wait")
	}
}

func TestFactorsAreCountedWhereALoginEnds(t *testing.T) {
	w := newWorld(t)
	w.add("alice")
	before := w.counted()
	for n, f := range []func(context.Context, otp.Attempt) otp.Result{w.verifier.WrongFactor, w.verifier.RightFactor} {
		f(context.Background(), w.attempt("alice", "a"))
		if got := w.counted() - before; got != float64(n+1) {
			t.Errorf("%v logins were counted after %d", got, n+1)
		}
	}
}
