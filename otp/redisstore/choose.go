package redisstore

// newest is the answer of the highest epoch, and of those one that tells another master than before, because one
// sentinel is the first to promote it; the one that was left for that is the last to be believed. It needs the lock.
func (s *sentinels) newest(told []answer) answer {
	best := told[0]
	for _, a := range told[1:] {
		if a.epoch > best.epoch || a.epoch == best.epoch && s.rank(a) > s.rank(best) {
			best = a
		}
	}
	return best
}

func (s *sentinels) rank(a answer) int {
	switch a.address {
	case s.left:
		return 0
	case s.master:
		return 1
	}
	return 2
}

// behind reports whether all that was told is older than what is known, and was not before: a sentinel that has not
// answered yet may know.
func (s *sentinels) behind(told []answer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := s.newest(told)
	return best.epoch < s.epoch && s.unheeded == "" || best.epoch == s.epoch && best.address == s.left
}

// choose takes the newest of what was told. A sentinel that has not heard of a failover that was told before, as
// after a partition, is not believed unless all of them say so: its master takes codes again that were used. Nor are
// all of them when they were asked before another answer changed the master, as is told by how many changes there were
// then: many are asked at once during a failover, and what was said first may arrive last.
func (s *sentinels) choose(told []answer, asked uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range told {
		if a.soon > 0 {
			s.soon[a.by] = a.soon
		}
	}
	best := s.newest(told)
	if overtaken := asked != s.changes; overtaken && best.epoch <= s.epoch || asked < s.lowered {
		return s.master
	}
	if older := best.epoch < s.epoch; !older {
		s.follow(best)
	} else if len(told) == len(s.clients) {
		s.follow(best)
		s.lowered = s.changes
	}
	s.unheeded = ""
	for _, a := range told {
		if a.epoch < s.epoch && (a.address != s.master || best.epoch < s.epoch) {
			s.unheeded = a.address
		}
	}
	return s.master
}

// follow makes what was told what is known. It needs the lock.
func (s *sentinels) follow(told answer) {
	if told.epoch == s.epoch && told.address == s.master {
		return
	}
	s.changes++
	if s.left = ""; told.epoch == s.epoch {
		s.left = s.master
	}
	s.epoch = told.epoch
	if told.address == s.master {
		return
	}
	if s.master != "" {
		s.logger.Warn("Redis has another master", "before", s.master, "now", told.address)
	}
	s.master = told.address
	s.dialer.cut(told.address)
}
