package radsec

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// quietFor is how long something that anybody can provoke is said once only.
const quietFor = time.Minute

// quiet lets one thing be logged at most once in quietFor. The zero value is ready.
type quiet struct{ last atomic.Int64 }

// allow reports whether it may be said now; of concurrent callers one may.
func (q *quiet) allow(now time.Time) bool {
	last, n := q.last.Load(), now.UnixNano()
	if last != 0 && n >= last && n-last < int64(quietFor) {
		return false
	}
	return q.last.CompareAndSwap(last, n)
}

// strangers limits what is logged about addresses: once in quietFor per address, and in all no more
// lines than there are slots. Addresses that share a slot share its line. It never grows.
type strangers struct {
	seed  maphash.Seed
	slots [64]quiet
}

func newStrangers() *strangers { return &strangers{seed: maphash.MakeSeed()} }

// of returns the slot of an address.
func (s *strangers) of(addr netip.Addr) *quiet {
	return &s.slots[maphash.Comparable(s.seed, addr)%uint64(len(s.slots))]
}
