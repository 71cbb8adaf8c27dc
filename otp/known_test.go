package otp

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// anyOf is a proof that several codes match, as by a coincidence of digits. It counts what it is compared with.
type anyOf struct {
	codes    []string
	compared int
}

func (p *anyOf) Match(code []byte) bool {
	p.compared++
	return slices.Contains(p.codes, string(code))
}

func (p *anyOf) Octets() []byte { return nil }

// drifting is a device of RFC 6238 whose clock was learned to be off, and the code of a step so far from now.
func drifting(drift int) (d *knownDevice, now time.Time, code func(offset int) string) {
	d, now = vectorDevice(), time.Unix(1_000_000_020, 0)
	d.drift = int32(drift)
	return d, now, func(offset int) string {
		return string(newGenerator(SHA1).code(d.key(), 6, stepAt(now, time.Minute)+int64(offset)))
	}
}

// TestTheSpanOfAWalk is that from the first code to the last one, and no store refuses the longest there is.
func TestTheSpanOfAWalk(t *testing.T) {
	longest, g := 0, newGenerator(SHA1)
	for window := range MaxWindow + 1 {
		for drift := -MaxDrift; drift <= MaxDrift; drift++ {
			d, now, code := drifting(drift)
			low, high := min(drift-window, 0), max(drift+window, 0)
			all := &anyOf{codes: []string{code(low), code(high)}}
			matches := d.walk(g, all, now, window, MaxDrift, nil)
			want := max(2*window, max(drift, -drift)+window)
			if len(matches) != 1 || !matches[0].passes || matches[0].Span != want || matches[0].Offset != high {
				t.Fatalf("window %d, drift %d: %+v, want a span of %d", window, drift, matches, want)
			}
			longest = max(longest, want)
			for _, proof := range []*anyOf{{}, {codes: []string{code(low)}}, {codes: []string{code(high)}}, {codes: []string{code(0)}}} {
				d.walk(g, proof, now, window, MaxDrift, nil)
				if proof.compared != all.compared || proof.compared != want+1 {
					t.Errorf("window %d, drift %d: compared with %d codes, want %d whichever matches", window, drift, proof.compared, want+1)
				}
			}
		}
	}
	if longest != MaxSpan {
		t.Errorf("the longest span is %d, and MaxSpan %d", longest, MaxSpan)
	}
}

// TestAStepIsSeenUntilItLeaves: from when it lets somebody in to when it leaves for good, whether it lets in or not.
func TestAStepIsSeenUntilItLeaves(t *testing.T) {
	g := newGenerator(SHA1)
	for _, window := range []int{0, 1, MaxWindow} {
		for _, drift := range []int{-MaxDrift, -3, -2, -1, 0, 1, 2, 3, MaxDrift} {
			d, now, code := drifting(drift)
			for offset := drift - window; offset <= drift+window; offset++ {
				proof := &anyOf{codes: []string{code(offset)}}
				m := d.walk(g, proof, now, window, MaxDrift, nil)[0]
				last := now
				for later := range 40 {
					at := now.Add(time.Duration(later) * time.Minute)
					seen := d.walk(g, proof, at, window, MaxDrift, nil)
					if len(seen) == 1 && seen[0].passes {
						last = at
					}
					if here := len(seen) == 1 && seen[0].Step == m.Step; here != (at.Unix() < m.leaves) {
						t.Fatalf("window %d, drift %d, step %+d: seen %v %d minutes later, and it leaves after %d s", window, drift, offset, here, later, m.leaves-now.Unix())
					}
				}
				if want := (stepAt(last, time.Minute) + 1) * 60; m.leaves != want {
					t.Errorf("window %d, drift %d, step %+d: leaves at %d, lets in until %d", window, drift, offset, m.leaves, want)
				}
			}
		}
	}
}

// TestADeviceThatDoesNotLetInIsSeenBesideOneThatDoes, of as many digits, and alone it is nothing.
func TestADeviceThatDoesNotLetInIsSeenBesideOneThatDoes(t *testing.T) {
	between := Match{Device: "between", Digits: 6}
	right, longer := Match{Device: "right", Digits: 6, passes: true}, Match{Device: "longer", Digits: 8, passes: true}
	for _, c := range []struct{ in, want []Match }{
		{nil, nil}, {[]Match{between}, nil}, {[]Match{between, between}, nil}, {[]Match{right}, []Match{right}},
		{[]Match{between, right}, []Match{between, right}}, {[]Match{right, between}, []Match{right, between}},
		{[]Match{between, longer}, []Match{longer}}, {[]Match{longer, between}, []Match{longer}},
		{[]Match{between, longer, right}, []Match{between, longer, right}},
	} {
		name := fmt.Sprint(c.in)
		if got := passing(slices.Clone(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestADriftThatNobodyLearnsIsNoWork: whatever a store has.
func TestADriftThatNobodyLearnsIsNoWork(t *testing.T) {
	for _, drift := range []int{1 << 30, -1 << 30} {
		k, err := newKnownDevice(&Device{ID: "d", Algorithm: SHA1, Digits: 6, Period: time.Minute, Drift: drift}, []byte(vectorSeeds[SHA1]))
		if err != nil {
			t.Fatal(err)
		}
		proof := &anyOf{}
		k.walk(newGenerator(SHA1), proof, time.Unix(1e9, 0), MaxWindow, MaxDrift, nil)
		if proof.compared > MaxSpan+1 {
			t.Errorf("a drift of %d: compared with %d codes", drift, proof.compared)
		}
	}
}
