package overload

import "sync/atomic"

// Slots are places that nobody has a share of: they bound a number, and know neither clients nor paces.
type Slots struct {
	most  int64
	taken atomic.Int64
}

// NewSlots returns so many.
func NewSlots(most int) *Slots { return &Slots{most: int64(most)} }

// Take takes one, and reports whether there was one. The last eighth is for what goes first.
func (s *Slots) Take(first bool) bool {
	most := s.most
	if !first {
		most -= most / 8
	}
	if s.taken.Add(1) > most {
		s.taken.Add(-1)
		return false
	}
	return true
}

// Release gives one back.
func (s *Slots) Release() { s.taken.Add(-1) }

// Load is how many are taken.
func (s *Slots) Load() int64 { return s.taken.Load() }
