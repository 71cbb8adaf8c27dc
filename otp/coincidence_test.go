package otp_test

import (
	"fmt"
	"slices"
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
	halfBehind  = 30654469 // one seed, and the other in the second half of it, with a period of half a minute
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

// TestTheNextCodeAfterACoincidencePasses: what is used up is both steps and what is between them, and no more than that.
func TestTheNextCodeAfterACoincidencePasses(t *testing.T) {
	w := coincidence(t, inARow, oneSeed)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow)), otp.ReasonOK)
	w.clock.add(time.Minute)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow+1)), otp.ReasonCodeUsed) // what she reads is what she typed
	w.clock.add(time.Minute)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, inARow+2)), otp.ReasonOK)

	w = coincidence(t, oneBetween+1, oneSeed)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, oneBetween)), otp.ReasonOK) // of the minute before
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, oneBetween+1)), otp.ReasonCodeUsed)
	w.clock.add(2 * time.Minute)
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, oneBetween+3)), otp.ReasonOK)
}

// TestNobodyLearnsFromACoincidence: which of the steps was typed is not known.
func TestNobodyLearnsFromACoincidence(t *testing.T) {
	for _, c := range []struct {
		at    int64
		seeds []string
	}{{oneBetween + 1, []string{oneSeed}}, {otherBehind + 1, []string{oneSeed, otherSeed}}} {
		w := coincidence(t, c.at, c.seeds...)
		r := w.want(w.verifier, w.attempt("alice", shown(oneSeed, c.at-1)), otp.ReasonOK)
		s, err := w.store.Devices(t.Context(), "alice")
		if err != nil || r.Match.Offset != 1 || r.Match.Drift != 0 {
			t.Errorf("%+v, %v", r.Match, err)
		}
		for _, d := range s.Devices {
			if d.Drift != 0 {
				t.Errorf("device %s has a drift of %d", d.ID, d.Drift)
			}
		}
	}
}

// TestWrongPasswordsForACodeThatTwoStepsHave: what they have used up stays so when the other step has come.
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

// TestACodeOfTwoDevicesPassesOnce, whichever was there first, and whichever of the steps was in the window then.
func TestACodeOfTwoDevicesPassesOnce(t *testing.T) {
	const step, later = otherBehind, otherBehind + 2 // of oneSeed, and of otherSeed
	for _, seeds := range [][]string{{oneSeed, otherSeed}, {otherSeed, oneSeed}} {
		for typed, opens := range map[int64]int64{step: later, step + 1: 0, later: 0, later + 1: 0} {
			t.Run(fmt.Sprintf("%s first, typed at %+d", seeds[0], typed-step), func(t *testing.T) {
				w := coincidence(t, typed, seeds...)
				code := shown(oneSeed, step)
				if code != shown(otherSeed, later) {
					t.Fatal("the devices have no code in common")
				}
				w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
				for at := typed; at < later+4; at++ {
					walked, err := w.verifier.Walk(t.Context(), w.attempt("alice", code))
					if err != nil {
						t.Fatal(err)
					}
					want := otp.ReasonCodeUsed
					if at == opens {
						want = otp.ReasonOK
					} else if len(walked.Matches) == 0 {
						want = otp.ReasonCodeWrong
					}
					if r := w.verifier.Preview(t.Context(), walked); r.Reason != want {
						t.Errorf("at %+d: %v is previewed: %+v", at-step, r.Reason, walked.Matches)
					}
					w.want(w.verifier, w.attempt("alice", code), want)
					w.clock.add(time.Minute)
				}
			})
		}
	}
}

// TestACodeOfTwoDevicesIsSharedAsOne: another device's step that has come meanwhile allows no more uses.
func TestACodeOfTwoDevicesIsSharedAsOne(t *testing.T) {
	w := coincidence(t, otherBehind, oneSeed, otherSeed)
	for use, want := range []otp.Reason{otp.ReasonOK, otp.ReasonOK, otp.ReasonCodeUsed} {
		a := w.attempt("alice", shown(oneSeed, otherBehind))
		a.Share = otp.Share{Times: 2, Within: otp.ShareLifetime}
		if r := w.want(w.verifier, a, want); r.OK && r.Shared != (use > 0) {
			t.Errorf("use %d: %+v", use, r)
		}
		if use == 0 {
			w.clock.add(time.Minute)
		}
	}
}

// TestTheMatchThatStaysLongestIsClaimed, of two whose steps end together: one of a minute, and one of half a minute.
func TestTheMatchThatStaysLongestIsClaimed(t *testing.T) {
	for _, halfFirst := range []bool{false, true} {
		w := coincidence(t, halfBehind) // at the beginning of the second half
		devices := []otp.NewDevice{{Account: "alice", Seed: []byte(oneSeed)}, {Account: "alice", Seed: []byte(otherSeed), Period: time.Minute / 2}}
		if halfFirst {
			slices.Reverse(devices)
		}
		for _, d := range devices {
			if _, _, err := w.devices.Add(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		walked, err := w.verifier.Walk(t.Context(), w.attempt("alice", shown(oneSeed, halfBehind)))
		if err != nil || len(walked.Matches) != 2 || walked.Matches[0].Step != halfBehind {
			t.Errorf("%+v, %v", walked.Matches, err)
		}
	}
}

// TestAStoreThatFailsBetween lets nobody in: whether another device's step was used is not known.
func TestAStoreThatFailsBetween(t *testing.T) {
	w := coincidence(t, otherBehind+1, oneSeed, otherSeed)
	walk := func() otp.Walked {
		walked, err := w.verifier.Walk(t.Context(), w.attempt("alice", shown(oneSeed, otherBehind)))
		if err != nil {
			t.Fatal(err)
		}
		return walked
	}
	for name, do := range map[string]func() otp.Result{
		"settled":        func() otp.Result { return w.verifier.Settle(t.Context(), []otp.Walked{walk()})[0] },
		"wrong password": func() otp.Result { return w.verifier.WrongPassword(t.Context(), walk()) },
		"previewed":      func() otp.Result { return w.verifier.Preview(t.Context(), walk()) },
	} {
		w.store.failOnce(otp.ErrUnavailable)
		if r := do(); r.OK || r.Reason != otp.ReasonStoreUnavailable {
			t.Errorf("%s: %+v", name, r)
		}
	}
	w.want(w.verifier, w.attempt("alice", shown(oneSeed, otherBehind)), otp.ReasonOK)
}
