package overload

import (
	"sync/atomic"
	"time"
)

// A Share is what one client has under way in one room. The zero value is ready.
type Share struct {
	held atomic.Int64
	vain atomic.Int64 // how much of what was done for it was in vain, of all

	span, turns atomic.Int64 // how many turns it has had in which span
}

// all is the whole of what was done for a client, and memory how many things that is about.
const (
	all    = 1 << 20
	memory = 64
)

// Note notes whether something that was done for the client was of use.
func (s *Share) Note(vain bool) {
	part := int64(0)
	if vain {
		part = all
	}
	s.vain.Add((part - s.vain.Load()) / memory) // of two at a time one may count twice
}

// InVain reports whether hardly anything of what was last done for the client was of use: less than an eighth.
func (s *Share) InVain() bool { return s.vain.Load() > all-all/8 }

// Turns reports whether a turn is left. It takes none: that is for what is known to be the client's.
func (s *Share) Turns(now time.Time) bool {
	return s.span.Load() != spanOf(now) || s.turns.Load() < few
}

// Turn reports whether a client that is in vain may begin something now: a few times in each span of the pace, some
// 500 times a second.
func (s *Share) Turn(now time.Time) bool {
	if n := spanOf(now); s.span.Swap(n) != n {
		s.turns.Store(0)
	}
	return s.turns.Add(1) <= few
}
