package radsec

import (
	"container/list"
	"crypto/sha256"
	"io"
	"net/netip"
	"sync"
)

// admission bounds the connections: in all; those of one address that nobody knows yet, a quarter of
// all; and those of one certificate, half of all, so that one gateway that leaks connections does not keep
// the others out. Where all places are taken, the connection that is in the handshake for longest gives its place
// to the one that comes: an honest handshake takes milliseconds, and strangers that say nothing must not keep the
// others out, from however many addresses. It keeps no more than there are connections.
type admission struct {
	most int

	mu           sync.Mutex
	total        int
	unknown      list.List // of *ticket, the oldest first; of total: in the handshake
	crowded      int       // not of total: gave their place away, and have not left yet
	addresses    map[netip.Prefix]int
	certificates map[[sha256.Size]byte]int
}

// ticket is one connection's place.
type ticket struct {
	address     netip.Prefix
	conn        io.Closer
	unknown     *list.Element // of the list; nil: identified, or crowded
	crowded     bool          // the place is another's
	certificate [sha256.Size]byte
}

func newAdmission(most int) *admission {
	return &admission{most: most, addresses: map[netip.Prefix]int{}, certificates: map[[sha256.Size]byte]int{}}
}

// enter takes a place for a connection, which must leave if the outcome is accepted.
func (a *admission) enter(from netip.Addr, conn io.Closer) (*ticket, outcome) {
	t := &ticket{address: neighbours(from), conn: conn}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.addresses[t.address] >= max(a.most/4, 1):
		return nil, tooManyOfAddress
	case a.total >= a.most && !a.crowdOut():
		return nil, tooMany
	}
	a.total++
	t.unknown = a.unknown.PushBack(t)
	a.addresses[t.address]++
	return t, accepted
}

// crowdOut closes the connection that is in the handshake for longest, whose place is free then. It is false when
// there is none, or when too many that were closed have not left yet.
func (a *admission) crowdOut() bool {
	oldest := a.unknown.Front()
	if oldest == nil || a.crowded >= max(a.most/4, 1) {
		return false
	}
	t := oldest.Value.(*ticket)
	a.total--
	a.crowded++
	t.crowded = true
	a.forgetAddress(t)
	_ = t.conn.Close()
	return true
}

// gaveWay reports whether the place is another's.
func (a *admission) gaveWay(t *ticket) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.crowded
}

// identified takes the connection off its address's count and counts it for its certificate.
func (a *admission) identified(t *ticket, raw []byte) outcome {
	sum := sha256.Sum256(raw)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case t.crowded:
		return crowdedOut
	case a.certificates[sum] >= max(a.most/2, 1):
		return tooManyOfCertificate
	}
	t.certificate = sum
	a.certificates[sum]++
	a.forgetAddress(t)
	return accepted
}

// leave gives the place back.
func (a *admission) leave(t *ticket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case t.crowded:
		a.crowded--
		return
	case t.unknown != nil:
		a.forgetAddress(t)
	default:
		if a.certificates[t.certificate]--; a.certificates[t.certificate] == 0 {
			delete(a.certificates, t.certificate)
		}
	}
	a.total--
}

func (a *admission) forgetAddress(t *ticket) {
	a.unknown.Remove(t.unknown)
	t.unknown = nil
	if a.addresses[t.address]--; a.addresses[t.address] == 0 {
		delete(a.addresses, t.address)
	}
}

// count returns how many connections are in the handshake, and how many are through.
func (a *admission) count() (unknown, open int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	unknown = a.unknown.Len()
	return unknown, a.total - unknown
}

// neighbours is what one owner can be expected to have: an IPv4 address, or a /64.
func neighbours(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of no address: all of them are one
	}
	return p
}
