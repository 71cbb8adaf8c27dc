// Package duplicates remembers requests and their replies, so that a retransmission gets the same
// octets again and is not processed twice (RFC 5080 section 2.2.2).
package duplicates

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Lifetime is how long a request is remembered, counted from its arrival. RFC 5080
// section 2.2.2 allows 5 to 30 seconds. It is the longest of them: the known gateways send their
// last retransmission within 15 s of the first, a proxy in between can add as much, and
// claims stay idempotent for as long (otp.ClaimLifetime), so that a late duplicate gets either the
// stored octets or, on another node, the same decision.
const Lifetime = 30 * time.Second

// Bounds of what is remembered; the oldest goes first. A request that was forgotten too early is
// processed again, and the claim's token gives it its first answer.
const (
	MaxEntries = 1 << 18
	MaxBytes   = 96 << 20
	overhead   = 256 // of an entry without its reply, the map's share included
)

// A Key is what makes two packets the same request (RFC 5080 section 2.2.2), apart from
// the Request Authenticator. It holds no pointers, so that the collector need not look into the map.
type Key struct {
	source, local         [16]byte
	sourcePort, localPort uint16
	code, identifier      byte
}

// KeyOf returns the key of a request with this code and Identifier, from source to local. Over TLS, logins
// and accounting come by one connection, and a peer may number them apart.
func KeyOf(source, local netip.AddrPort, code, identifier byte) Key {
	return Key{
		source: source.Addr().As16(), sourcePort: source.Port(),
		local: local.Addr().As16(), localPort: local.Port(),
		code: code, identifier: identifier,
	}
}

// Source is the address that the request came from.
func (k Key) Source() netip.Addr { return netip.AddrFrom16(k.source).Unmap() }

// An Entry is one remembered request. Its fields belong to the mutex of its cache.
type Entry struct {
	key           Key
	authenticator [16]byte
	sum           uint64 // of all octets
	expires       int64  // unix nanoseconds
	reply         []byte // nil: still in flight
	superseded    bool   // its answer must not be sent any more
	listed        bool
	older, newer  *Entry
}

// Verdict is what a cache knows about a packet.
type Verdict uint8

// The verdicts.
const (
	InFlight Verdict = iota // the same request is being worked on: drop this one
	Answered                // it has been answered: send the same octets again
	Fresh                   // never seen, or it supersedes an older request: work on it
)

// A Cache remembers requests and their replies. One mutex: a request takes it twice, each time
// for less than a microsecond.
type Cache struct {
	seed       maphash.Seed
	maxEntries int
	maxBytes   int

	mu             sync.Mutex
	entries        map[Key]*Entry
	oldest, newest *Entry // in order of arrival
	count, bytes   int
}

// New returns a cache that remembers at most so many requests, and octets in all.
func New(maxEntries, maxBytes int) *Cache {
	return &Cache{
		seed:       maphash.MakeSeed(),
		maxEntries: maxEntries,
		maxBytes:   maxBytes,
		entries:    make(map[Key]*Entry),
	}
}

// Begin says what is known about the request with these octets, a whole header at least, and for
// an answered one its reply. For a fresh one it returns the entry that must be given to Answer or
// Forget.
func (d *Cache) Begin(key Key, octets []byte, now time.Time) (*Entry, Verdict, []byte) {
	e := &Entry{key: key, sum: maphash.Bytes(d.seed, octets), expires: now.Add(Lifetime).UnixNano()}
	copy(e.authenticator[:], octets[4:20])
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(now.UnixNano())
	if old := d.entries[key]; old != nil {
		// An attribute may not change while Identifier and authenticator stay (RFC 2865
		// section 4.1), but if one does, the answer to the old request is not the answer to this one.
		if old.authenticator == e.authenticator && old.sum == e.sum {
			if old.reply != nil {
				return nil, Answered, old.reply
			}
			return nil, InFlight, nil
		}
		old.superseded = true
		d.remove(old)
	}
	d.add(e)
	return e, Fresh, nil
}

// Answer keeps the reply of e for duplicates. It is false when e was superseded: the gateway has
// given the Identifier to another request, so the reply must not be sent.
func (d *Cache) Answer(e *Entry, reply []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.superseded {
		return false
	}
	if e.listed {
		e.reply = reply
		d.bytes += len(reply)
		d.expire(0)
	}
	return true
}

// Forget makes the next retransmission of e a Fresh request: this one got no answer.
func (d *Cache) Forget(e *Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(e)
}

// Superseded reports whether a newer request has taken the place of e.
func (d *Cache) Superseded(e *Entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.superseded
}

// Len is how many requests are remembered.
func (d *Cache) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// expire drops what is too old, and the oldest of what is too much.
func (d *Cache) expire(now int64) {
	for d.oldest != nil && (d.oldest.expires <= now || d.count > d.maxEntries || d.bytes > d.maxBytes) {
		d.remove(d.oldest)
	}
}

func (d *Cache) add(e *Entry) {
	e.listed = true
	e.older = d.newest
	if d.newest != nil {
		d.newest.newer = e
	} else {
		d.oldest = e
	}
	d.newest = e
	d.entries[e.key] = e
	d.count++
	d.bytes += overhead
	d.expire(0)
}

func (d *Cache) remove(e *Entry) {
	if !e.listed {
		return
	}
	e.listed = false
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		d.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		d.newest = e.older
	}
	e.older, e.newer = nil, nil
	delete(d.entries, e.key)
	d.count--
	d.bytes -= overhead + len(e.reply)
}
