package flood

import "otpgate/cmd/radload/port"

// writeTogether sends a batch as one message that the kernel takes apart. It is false when that is not done here.
func (s *stream) writeTogether(p port.Port, ms []port.Message, r *Result) bool {
	if !s.together || len(ms) < 2 {
		return false
	}
	whole := port.Message{Buffers: s.whole[:0]}
	for i := range ms {
		whole.Buffers = append(whole.Buffers, ms[i].Buffers[0])
	}
	s.whole, s.one[0] = whole.Buffers, whole
	for range 2 {
		switch sent, err := p.WriteBatch(s.one[:], 0); {
		case sent == 1:
			r.Sent += uint64(len(ms))
			return true
		case port.Unreached(err):
			r.Unreached++
		default:
			s.together = false // this kernel does not, or not on this path
			return false
		}
	}
	r.SendErrors += uint64(len(ms))
	return true
}

// size is how many octets each of the packets has; 0 when they differ.
func (m *maker) size() int {
	if len(m.pool) == 0 {
		return 0
	}
	for _, p := range m.pool {
		if len(p) != len(m.pool[0]) {
			return 0
		}
	}
	return len(m.pool[0])
}
