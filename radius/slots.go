package radius

import "sync/atomic"

// slots bounds what is in flight.
type slots struct {
	taken atomic.Int64
	most  int64
}

func (s *slots) take() bool {
	if s.taken.Add(1) > s.most {
		s.taken.Add(-1)
		return false
	}
	return true
}

func (s *slots) release() { s.taken.Add(-1) }

// wait reports whether one more attempt may wait for a peer. Fewer may than there are slots: a
// directory that hangs must not keep those out who need no directory. One that may not is given up.
func (s *Server) wait(a *attempt) bool {
	if s.waiting.Add(1) <= int64(max(s.options.MaxInFlight/2, 1)) {
		return true
	}
	s.waiting.Add(-1)
	s.abandon(a)
	return false
}
