package otp_test

import (
	"fmt"
	"testing"
	"time"

	"otpgate/otp"
)

// ahead is what a phone shows whose clock is so many minutes ahead of the node's.
func (w *world) ahead(seed []byte, minutes int) string {
	return otp.CodeAt(otp.SHA1, seed, 6, time.Minute, w.clock.now().Add(time.Duration(minutes)*time.Minute))
}

// nodeOf is a node on the same store with another window.
func (w *world) nodeOf(window, maxDrift int) *otp.Verifier {
	w.t.Helper()
	v, err := otp.New(otp.Options{Store: w.store, Keys: w.keys, Window: window, MaxDrift: maxDrift, Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// learn has alice log in with a phone that goes ever more wrong, and ends twenty minutes later.
func (w *world) learn(seed []byte, drift int) {
	w.t.Helper()
	v, side := w.nodeOf(1, otp.MaxDrift), 1
	if drift < 0 {
		side = -1
	}
	for off := side; off*side <= drift*side; off += side {
		w.want(v, w.attempt("alice", w.ahead(seed, off)), otp.ReasonOK)
		w.clock.add(20 * time.Minute)
	}
	w.driftIs(drift)
}

// driftIs looks at the first device of alice that has one.
func (w *world) driftIs(want int) {
	w.t.Helper()
	s, err := w.store.Devices(w.t.Context(), "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	drift := 0
	for _, d := range s.Devices {
		if drift = d.Drift; drift != 0 {
			break
		}
	}
	if drift != want {
		w.t.Fatalf("a drift of %d, want %d", drift, want)
	}
}

// TestAClockThatWasPutRightGetsIn as soon as the steps are past that it used when it was wrong, and all is as it was
// before then.
func TestAClockThatWasPutRightGetsIn(t *testing.T) {
	for _, side := range []int{1, -1} {
		t.Run(fmt.Sprintf("%+d minutes", 2*side), func(t *testing.T) {
			w, seed := coincidence(t, 30_000_000, oneSeed), []byte(oneSeed) // of which none is known there
			w.want(w.verifier, w.attempt("alice", w.ahead(seed, side)), otp.ReasonOK)
			w.clock.add(10 * time.Minute)
			w.want(w.verifier, w.attempt("alice", w.ahead(seed, 2*side)), otp.ReasonOK)
			w.driftIs(2 * side)
			for minute := 0; minute <= 2*side; minute++ { // one that was slow has used nothing that is to come
				for range 5 { // which counts as nothing wrong
					w.preview(w.attempt("alice", w.ahead(seed, 0)), otp.ReasonCodeUsed)
					w.want(w.verifier, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonCodeUsed)
				}
				w.driftIs(2 * side)
				w.clock.add(time.Minute)
			}
			other := w.newNode(w.keys, nil)
			w.preview(w.attempt("alice", w.ahead(seed, 0)), otp.ReasonOK)
			r := w.want(w.verifier, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonOK)
			if r.Match.Offset != 0 || r.Match.Span != 0 || r.Match.Drift != 0 {
				t.Errorf("%+v", r.Match)
			}
			w.driftIs(0)
			w.want(other, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonCodeUsed)
			w.clock.add(10 * time.Minute)
			w.want(other, w.attempt("alice", w.ahead(seed, 2*side)), otp.ReasonCodeWrong)
			w.want(other, w.attempt("alice", w.ahead(seed, side)), otp.ReasonOK)
		})
	}
}

// TestWhatPassesBesideTheWindow is the code of now, and no other.
func TestWhatPassesBesideTheWindow(t *testing.T) {
	for _, c := range []struct{ window, drift int }{
		{1, 0}, {1, 1}, {1, -1}, {1, 2}, {1, -2}, {1, 4}, {1, -4}, {2, 3}, {2, -3}, {0, 1}, {0, -1}, {0, 2}, {0, -2}, {0, 0},
	} {
		t.Run(fmt.Sprintf("window %d, drift %+d", c.window, c.drift), func(t *testing.T) {
			w, seed := coincidence(t, 30_000_000, oneSeed), []byte(oneSeed) // of which none is known there
			w.learn(seed, c.drift)
			node := w.nodeOf(c.window, otp.MaxDrift)
			for offset := -8; offset <= 8; offset++ {
				walked, err := node.Walk(t.Context(), w.attempt("alice", w.ahead(seed, offset)))
				if err != nil {
					t.Fatal(err)
				}
				want := otp.ReasonCodeWrong
				if offset == 0 || c.drift-c.window <= offset && offset <= c.drift+c.window {
					want = otp.ReasonOK
				}
				if r := node.Preview(t.Context(), walked); r.Reason != want || (len(walked.Matches) > 0) != (want == otp.ReasonOK) {
					t.Errorf("the code of %+d: %v with %d matches, want %v", offset, r.Reason, len(walked.Matches), want)
				}
			}
			if c.drift == 0 {
				return
			}
			w.want(node, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonOK)
			w.driftIs(0)
		})
	}
}

// TestACodeOfNowThatTheWindowHasPassesOnce: by a coincidence two steps have it, and the phone is two minutes ahead.
func TestACodeOfNowThatTheWindowHasPassesOnce(t *testing.T) {
	const first, last = oneBetween, oneBetween + 2 // the steps that have the code
	for typed, opens := range map[int64]int64{
		-3: 1, -2: 1, // when the first one has left for good, and the last one was not in the window yet
		-1: 9, 0: 9, 1: 9, 2: 9, // never
	} {
		t.Run(fmt.Sprintf("typed at %+d", typed), func(t *testing.T) {
			w := coincidence(t, first+typed-40, oneSeed)
			w.learn([]byte(oneSeed), 2)
			w.driftIs(2)
			code := shown(oneSeed, first)
			if at := w.clock.now().Unix() / 60; at != first+typed || code != shown(oneSeed, last) {
				t.Fatalf("it is %d steps from the first", at-first)
			}
			r := w.want(w.verifier, w.attempt("alice", code), otp.ReasonOK)
			if both := typed == -1 || typed == 0; both && (r.Match.Step != last || r.Match.Span != 2 || r.Match.Drift != 2) || !both && r.Match.Span != 0 {
				t.Errorf("%+v", r.Match)
			}
			for at := typed; at < 7; at++ {
				if r := w.verifier.Verify(t.Context(), w.attempt("alice", code)); r.OK != (at == opens) {
					t.Errorf("at %+d: %v, %+v", at, r.Reason, r.Match)
				}
				w.clock.add(time.Minute)
			}
		})
	}
}

// TestACodeOfTwoDevicesPassesOnceBesideTheWindow, whose steps are between the window of one and now while the other
// would let it in.
func TestACodeOfTwoDevicesPassesOnceBesideTheWindow(t *testing.T) {
	const step, later = otherBehind, otherBehind + 2 // of oneSeed, and of otherSeed, which is three minutes ahead
	for _, seeds := range [][]string{{oneSeed, otherSeed}, {otherSeed, oneSeed}} {
		for typed := int64(step - 2); typed <= later; typed++ {
			t.Run(fmt.Sprintf("%s first, typed at %+d", seeds[0], typed-step), func(t *testing.T) {
				w := coincidence(t, typed-60, seeds...)
				w.learn([]byte(otherSeed), 3)
				node := w.nodeOf(1, 3)
				code := shown(oneSeed, step)
				if at := w.clock.now().Unix() / 60; at != typed || code != shown(otherSeed, later) {
					t.Fatalf("it is %d steps from the first", at-step)
				}
				w.want(node, w.attempt("alice", code), otp.ReasonOK)
				for at := typed; at < later+4; at++ {
					if r := node.Verify(t.Context(), w.attempt("alice", code)); r.OK {
						t.Errorf("at %+d: it passes again: %+v", at-step, r.Match)
					}
					w.clock.add(time.Minute)
				}
			})
		}
	}
}

// TestWhatAClockHasLeftBehind: a last step that no right node would take yet is told of until it is past, and no other.
func TestWhatAClockHasLeftBehind(t *testing.T) {
	w, seed := coincidence(t, 30_000_000, oneSeed), []byte(oneSeed) // nodes of a window of one and a drift of two
	last := func() *otp.Device {
		s, err := w.store.Devices(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		return &s.Devices[0]
	}
	if until := w.verifier.Ahead(last()); !until.IsZero() {
		t.Errorf("of one that was never used: %v", until)
	}
	w.clock.add(time.Hour)
	w.want(w.verifier, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonOK)
	w.clock.add(-time.Hour)
	used := last()
	if until := w.verifier.Ahead(used); until.Unix() != 60*(30_000_060+1) || used.LastStep != 30_000_060 {
		t.Errorf("until %v of step %d", until, used.LastStep)
	}
	w.want(w.verifier, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonCodeUsed)
	for minutes, told := range map[time.Duration]bool{56: true, 57: false, 60: false, 61: false, 100: false} {
		w.clock.add(minutes * time.Minute)
		if until := w.verifier.Ahead(used); until.IsZero() == told {
			t.Errorf("%d minutes later: %v", minutes, until)
		}
		w.clock.add(-minutes * time.Minute)
	}
	for _, nonsense := range []otp.Device{{LastStep: 1 << 40}, {LastStep: 1 << 40, Algorithm: otp.SHA1, Digits: 6}} {
		if until := w.verifier.Ahead(&nonsense); !until.IsZero() {
			t.Errorf("of what is no device: %v", until)
		}
	}
	w.clock.add(61 * time.Minute)
	w.want(w.verifier, w.attempt("alice", w.ahead(seed, 0)), otp.ReasonOK)
}
