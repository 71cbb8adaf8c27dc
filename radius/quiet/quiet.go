// Package quiet limits what is logged about things that anybody can provoke: once a minute for each
// thing, and no more things at a time than there are slots.
package quiet

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// For is how long something that anybody can provoke is said once only.
const For = time.Minute

// Reminder is how long something is said once only that is as it is set up to be.
const Reminder = 24 * time.Hour

// A Limit lets one thing be logged at most once in [For]. The zero value is ready.
type Limit struct{ last atomic.Int64 }

// Allow reports whether it may be said now; of concurrent callers one may.
func (q *Limit) Allow(now time.Time) bool { return q.After(For, now) }

// After is Allow with another time than [For].
func (q *Limit) After(pause time.Duration, now time.Time) bool {
	last, n := q.last.Load(), now.UnixNano()
	if last != 0 && n >= last && n-last < int64(pause) {
		return false
	}
	return q.last.CompareAndSwap(last, n)
}

// Succeed makes q remember what old said: that need not be said again.
func (q *Limit) Succeed(old *Limit) { q.last.Store(old.last.Load()) }

// Strangers limits what is logged about addresses that belong to no client: once in [For] per
// address, and in all no more lines than there are slots. Addresses that share a slot share its
// line. It never grows and never allocates.
type Strangers struct {
	seed  maphash.Seed
	slots [64]Limit
}

// NewStrangers returns limits for addresses.
func NewStrangers() *Strangers { return &Strangers{seed: maphash.MakeSeed()} }

// Of returns the limit of an address.
func (s *Strangers) Of(addr netip.Addr) *Limit {
	return &s.slots[maphash.Comparable(s.seed, addr)%uint64(len(s.slots))]
}
