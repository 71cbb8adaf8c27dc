package overload

import (
	"sync/atomic"
	"time"
)

// few is how many a client may always have under way, and how many may be under way however slowly they are done.
const few = 64

// A Verdict says whether something may begin.
type Verdict uint8

// The verdicts. The zero value lets nobody in.
const (
	Full    Verdict = iota // all places are taken
	Crowded                // all places are taken that one client can have
	Slow                   // it would be done too late
	Entered                // it has a place, and Leave must be called
)

// A Room is where things are that are under way.
type Room struct {
	most  int64
	vain  int64 // what a client can have that is in vain
	taken atomic.Int64
	pace  pace
}

// NewRoom returns one with so many places, at least one, and so many, a few at least, for a client that is in vain.
func NewRoom(most, vain int) *Room {
	return &Room{most: max(int64(most), 1), vain: max(int64(vain), few)}
}

// Enter takes a place for something of the client whose share it is. When it cannot be done within patience
// it is worth nothing. First is for what goes before others: see the package comment.
func (r *Room) Enter(s *Share, first bool, patience time.Duration, now time.Time) Verdict {
	taken, held := r.taken.Add(1), s.held.Add(1)
	why := Entered
	switch {
	case taken > r.most, !first && taken > r.most-r.most/8:
		why = Full
	case first:
	case held > r.limit(s, r.most-taken+1):
		why = Crowded
	case taken > few && r.pace.late(taken, patience, now):
		why = Slow
	}
	if why != Entered {
		r.taken.Add(-1)
		s.held.Add(-1)
	}
	return why
}

// limit is how many a client may have under way while so many places are free.
func (r *Room) limit(s *Share, free int64) int64 {
	if s.InVain() {
		return r.vain
	}
	return max(3*free, few)
}

// Crowded reports whether a client that is in vain has all that it may have.
func (r *Room) Crowded(s *Share) bool { return s.InVain() && s.held.Load() >= r.vain }

// NotDone is how long it took what was not done, and says nothing about the pace.
const NotDone time.Duration = -1

// Leave gives a place back. Took is how long it took to do what had it, or NotDone.
func (r *Room) Leave(s *Share, took time.Duration, now time.Time) {
	if took >= 0 {
		r.pace.done(took, now)
	}
	s.held.Add(-1)
	r.taken.Add(-1)
}

// Load is how many places are taken.
func (r *Room) Load() int64 { return r.taken.Load() }
