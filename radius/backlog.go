package radius

import (
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// Bounds of what a reader throws away before it begins. The kernel keeps some 11,000 small
// datagrams in a receive buffer of the size that we ask for.
const (
	maxBacklog  = 1 << 14
	backlogTime = 500 * time.Millisecond
)

// discardBacklog throws away what has come in between New and Serve, when that was so long that
// nobody may wait for the answer any more: it would use up the step of somebody who has long been
// asked for another code. The queue does not tell how old a datagram is, so those that are not old
// yet go too: gateways send again what they still want.
func (s *Server) discardBacklog(k *socket, in []ipv4.Message) {
	begun := s.now()
	if begun.Sub(s.bound) < s.options.Budget {
		return
	}
	discarded := 0
	for discarded < maxBacklog && s.now().Sub(begun) < backlogTime {
		n, err := k.ReadBatch(in, syscall.MSG_DONTWAIT)
		discarded += max(n, 0)
		if err != nil || n < len(in) {
			break // an error that stays is for the reader to find
		}
	}
	if discarded == 0 {
		return
	}
	s.metrics.discarded[discardBeforeStart].Add(float64(discarded))
	s.metrics.received.Add(float64(discarded))
	s.logger.Warn("packets discarded", "address", k.local.String(), "packets", discarded,
		"reason", discardBeforeStart.String(), "hint", discardBeforeStart.hint())
}
