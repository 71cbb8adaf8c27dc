package radsec

import (
	"crypto/sha256"
	"net/netip"
	"sync"
)

// admission bounds the connections: in all; those of one address that nobody knows yet, a quarter of
// all; and those of one certificate, half of all, so that one gateway that leaks connections does not keep
// the others out. It keeps no more than there are connections.
type admission struct {
	most int

	mu           sync.Mutex
	total        int
	unknown      int // of total: in the handshake
	addresses    map[netip.Prefix]int
	certificates map[[sha256.Size]byte]int
}

// ticket is one connection's place.
type ticket struct {
	address     netip.Prefix
	certificate [sha256.Size]byte
	identified  bool
}

func newAdmission(most int) *admission {
	return &admission{most: most, addresses: map[netip.Prefix]int{}, certificates: map[[sha256.Size]byte]int{}}
}

// enter takes a place for a connection, which must leave if the outcome is accepted.
func (a *admission) enter(from netip.Addr) (*ticket, outcome) {
	t := &ticket{address: neighbours(from)}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.total >= a.most:
		return nil, tooMany
	case a.addresses[t.address] >= max(a.most/4, 1):
		return nil, tooManyOfAddress
	}
	a.total++
	a.unknown++
	a.addresses[t.address]++
	return t, accepted
}

// identified takes the connection off its address's count and counts it for its certificate.
func (a *admission) identified(t *ticket, raw []byte) outcome {
	sum := sha256.Sum256(raw)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.certificates[sum] >= max(a.most/2, 1) {
		return tooManyOfCertificate
	}
	t.certificate, t.identified = sum, true
	a.certificates[sum]++
	a.forgetAddress(t)
	return accepted
}

// leave gives the place back.
func (a *admission) leave(t *ticket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if !t.identified {
		a.forgetAddress(t)
		return
	}
	if a.certificates[t.certificate]--; a.certificates[t.certificate] == 0 {
		delete(a.certificates, t.certificate)
	}
}

func (a *admission) forgetAddress(t *ticket) {
	a.unknown--
	if a.addresses[t.address]--; a.addresses[t.address] == 0 {
		delete(a.addresses, t.address)
	}
}

// count returns how many connections are in the handshake, and how many are through.
func (a *admission) count() (unknown, open int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unknown, a.total - a.unknown
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
