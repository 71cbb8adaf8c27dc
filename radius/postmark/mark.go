package postmark

import "time"

// Size is how many octets of control message it takes, beside what else is asked for.
const Size = 64

// A Mark is what is noted beside one datagram.
type Mark struct {
	Came time.Time // by the clock of the machine; zero: not noted
	// Dropped is how many datagrams the socket has thrown away since it is there, modulo 2^32. The
	// kernel notes it from the first one on.
	Dropped uint32
	Counted bool
}

// Age is how long a datagram has been lying, by the clock of the machine. One whose time is not noted is
// new, and so is one from the future: the clock was set back meanwhile.
func (m Mark) Age(now time.Time) time.Duration {
	if m.Came.IsZero() {
		return 0
	}
	return max(now.Sub(m.Came), 0)
}

// Dropped adds up how many datagrams one socket has thrown away; the zero value is ready. It is for one
// goroutine.
type Dropped struct{ last uint32 }

// Since is how many more they are than when it was last asked.
func (d *Dropped) Since(m Mark) uint32 {
	if !m.Counted {
		return 0
	}
	more := m.Dropped - d.last
	if more > 1<<31 { // an older mark than the last one
		return 0
	}
	d.last = m.Dropped
	return more
}
