package otp_test

import (
	"fmt"
	"testing"
	"time"

	"otpgate/otp"
)

// Seeds, and steps of a minute from which on they show the same code twice.
const (
	oneSeed   = "12345678901234567890"
	otherSeed = "09876543210987654321"

	inARow      = 31476425 // one seed, and in the next step
	oneBetween  = 30586180 // one seed, and in the step after the next
	otherBehind = 30651826 // one seed, and the other two steps later
)

// coincidence is a world in which alice has these seeds, at half of a step.
func coincidence(t *testing.T, step int64, seeds ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.clock.add(time.Unix(60*step+30, 0).Sub(w.clock.now()))
	for _, seed := range seeds {
		if _, _, err := w.devices.Add(t.Context(), otp.NewDevice{Account: "alice", Label: "phone", Seed: []byte(seed)}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func shown(seed string, step int64) string {
	return otp.CodeAt(otp.SHA1, []byte(seed), 6, time.Minute, time.Unix(60*step, 0))
}

// TestACodeThatTwoStepsHavePassesOnce: whoever saw it typed must not get in with it when another step has come.
func TestACodeThatTwoStepsHavePassesOnce(t *testing.T) {
	for _, c := range []struct {
		first, last int64 // the steps that have the code
		typed       int64 // when, in steps from the first
		opens       int64 // when it passes again, as the used one has left the window and the last one is in it; 0: never
	}{
		{inARow, inARow + 1, -1, 1}, // of a phone that is a minute ahead, and its window from then on
		{inARow, inARow + 1, 0, 0},
		{inARow, inARow + 1, 1, 0},
		{inARow, inARow + 1, 2, 0}, // the first has left the window
		{oneBetween, oneBetween + 2, -1, 1},
		{oneBetween, oneBetween + 2, 0, 2},
		{oneBetween, oneBetween + 2, 1, 0},
		{oneBetween, oneBetween + 2, 2, 0},
	} {
		t.Run(fmt.Sprintf("%d steps apart, typed at %+d", c.last-c.first, c.typed), func(t *testing.T) {
			w := coincidence(t, c.first+c.typed, oneSeed)
			code := shown(oneSeed, c.first)
			if code != shown(oneSeed, c.last) {
				t.Fatal("the steps have no code in common")
			}
			r := w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
			if r.Match.Step != c.first && r.Match.Step != c.last {
				t.Errorf("%+v", r.Match)
			}
			for at := c.typed; at < 6; at++ {
				if r := w.verifier.Verify(t.Context(), w.attempt("alice", code)); r.OK != (at == c.opens && c.opens != 0) {
					t.Errorf("at %+d: %v, %+v", at, r.Reason, r.Match)
				}
				w.clock.add(time.Minute)
			}
		})
	}
}

// TestTheNextCodeAfterACoincidencePasses: two steps are used up, and no more than that.
func TestTheNextCodeAfterACoincidencePasses(t *testing.T) {
	w := coincidence(t, inARow, oneSeed)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow)), otp.ReasonOK)
	w.clock.add(time.Minute)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow+1)), otp.ReasonCodeUsed) // what she reads is what she typed
	w.clock.add(time.Minute)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow+2)), otp.ReasonOK)
}

// TestWrongPasswordsForACodeThatTwoStepsHave: the count does not begin anew when the other step has come.
func TestWrongPasswordsForACodeThatTwoStepsHave(t *testing.T) {
	w := coincidence(t, inARow-1, oneSeed)
	wrong := func(want otp.Reason) {
		t.Helper()
		walked, err := w.verifier.Walk(t.Context(), w.attempt("alice", shown(oneSeed, inARow)))
		if err != nil {
			t.Fatal(err)
		}
		if r := w.verifier.WrongPassword(t.Context(), walked); r.Reason != want {
			t.Errorf("%v, want %v", r.Reason, want)
		}
	}
	for range otp.MaxWrongPasswords {
		wrong(otp.ReasonPasswordWrong)
	}
	w.clock.add(time.Minute) // both are in the window
	wrong(otp.ReasonCodeUsed)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow)), otp.ReasonCodeUsed)
}

// TestACodeOfTwoDevicesPassesOnce: that of the device whose step stays longer is claimed, whichever was there first.
func TestACodeOfTwoDevicesPassesOnce(t *testing.T) {
	for _, seeds := range [][]string{{oneSeed, otherSeed}, {otherSeed, oneSeed}} {
		w := coincidence(t, otherBehind+1, seeds...)
		code := shown(oneSeed, otherBehind)
		if code != shown(otherSeed, otherBehind+2) {
			t.Fatal("the devices have no code in common")
		}
		walked, err := w.verifier.Walk(t.Context(), w.attempt("alice", code))
		if err != nil || len(walked.Matches) != 2 || walked.Matches[0].Step != otherBehind+2 {
			t.Fatalf("%+v, %v", walked.Matches, err)
		}
		w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
		for range 5 {
			if r := w.verifier.Verify(t.Context(), w.attempt("alice", code)); r.OK {
				t.Errorf("passes again at %s: %+v", w.clock.now(), r.Match)
			}
			w.clock.add(time.Minute)
		}
	}
}
