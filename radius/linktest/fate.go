package linktest

import (
	"math/rand/v2"
	"time"
)

// Faults are what happens to the datagrams of one direction. Each share is of all of them, 0 to 1.
type Faults struct {
	Loss   float64       // never come
	Double float64       // come twice, the second time up to Wander later
	Hold   float64       // come up to Wander later, so that others overtake them
	Wander time.Duration // at most
	Late   float64       // come once more, LateBy later or when [Link.Release] says so
	LateBy time.Duration // 0: only then
}

// fate is what becomes of one datagram.
type fate struct {
	lost   bool
	hold   time.Duration
	double time.Duration // of the copy; 0: none
	late   bool
}

// fateOf decides about the nth datagram of a gateway in one direction. It is a function of what it is
// given and of nothing else.
func (f Faults) fateOf(seed, gateway, direction, n uint64) (x fate) {
	r := rand.New(rand.NewPCG(seed^gateway<<1^direction, n))
	// Always as many numbers in the same order, so that one share can change and the others stay.
	lost, double, hold, late := r.Float64(), r.Float64(), r.Float64(), r.Float64()
	far, further := r.Float64(), r.Float64()
	x.lost = lost < f.Loss
	if hold < f.Hold {
		x.hold = time.Duration(far * float64(f.Wander))
	}
	if double < f.Double {
		x.double = 1 + time.Duration(further*float64(f.Wander))
	}
	x.late = late < f.Late
	return x
}
