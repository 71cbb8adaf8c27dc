package duplicates

import (
	"hash/maphash"
	"math"
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
	overhead   = 256 // of an entry, the map's share included, and a reply that fits into it
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

// A Handle names a request that was Fresh. The zero value names none.
type Handle struct {
	key        Key
	at         int32  // of its entry
	generation uint32 // of what the entry is used for; 0: of nothing
}

// Verdict is what a cache knows about a packet.
type Verdict uint8

// The verdicts.
const (
	InFlight Verdict = iota // the same request is being worked on: drop this one
	Answered                // it has been answered: send the same octets again
	Fresh                   // never seen, or it supersedes an older request: work on it
)

// A Cache remembers requests and their replies. One mutex: a request takes it three times, each time
// for less than a microsecond.
type Cache struct {
	seed       maphash.Seed
	maxEntries int
	maxBytes   int

	mu             sync.Mutex
	began          time.Time // zero: nothing has come yet
	entries        map[Key]int32
	slab           slab
	oldest, newest int32 // in order of arrival
	count, bytes   int
}

// New returns a cache that remembers at most so many requests, and octets in all.
func New(maxEntries, maxBytes int) *Cache {
	return &Cache{
		seed:       maphash.MakeSeed(),
		maxEntries: maxEntries,
		maxBytes:   maxBytes,
		entries:    make(map[Key]int32),
		slab:       slab{free: none},
		oldest:     none,
		newest:     none,
	}
}

// Begin says what is known about the request with these octets, a whole header at least, and for
// an answered one its reply. For a fresh one it returns the handle that must be given to Answer or
// Forget.
func (d *Cache) Begin(key Key, octets []byte, now time.Time) (Handle, Verdict, []byte) {
	sum, authenticator := maphash.Bytes(d.seed, octets), [16]byte(octets[4:20])
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.age(now)
	d.expire(at)
	if i, ok := d.entries[key]; ok {
		// An attribute may not change while Identifier and authenticator stay (RFC 2865
		// section 4.1), but if one does, the answer to the old request is not the answer to this one.
		old := d.slab.at(i)
		if old.authenticator == authenticator && old.sum == sum {
			if reply, answered := old.reply(); answered {
				return Handle{}, Answered, reply
			}
			return Handle{}, InFlight, nil
		}
		d.supersede(i)
	}
	i := d.slab.take()
	e := d.slab.at(i)
	e.key, e.authenticator, e.sum, e.expires = key, authenticator, sum, at+int64(Lifetime)
	h := Handle{key, i, e.generation}
	d.add(i)
	return h, Fresh, nil
}

// age is now as nanoseconds since the cache's first packet, by the monotonic clock where now has one: a
// clock that is set makes nothing older.
func (d *Cache) age(now time.Time) int64 {
	if d.began.IsZero() {
		d.began = now
	}
	return int64(now.Sub(d.began))
}

// of is the entry of h, or nil when it has been forgotten since.
func (d *Cache) of(h Handle) *entry {
	if h.generation == 0 {
		return nil
	}
	if e := d.slab.at(h.at); e.generation == h.generation {
		return e
	}
	return nil
}

// superseded: an entry that was forgotten for want of room cannot tell, but the one in its place can.
func (d *Cache) superseded(h Handle) bool {
	if e := d.of(h); e != nil {
		return e.state == superseded
	}
	_, another := d.entries[h.key]
	return another && h.generation != 0
}

// Answer keeps the reply of a request for duplicates. It is false when the request was superseded: the
// gateway has given the Identifier to another one, so the reply must not be sent.
func (d *Cache) Answer(h Handle, reply []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.superseded(h) {
		if e := d.of(h); e != nil {
			d.remove(h.at)
		}
		return false
	}
	if e := d.of(h); e != nil {
		d.bytes += e.answer(reply)
		d.expire(math.MinInt64)
	}
	return true
}

// Forget makes the next retransmission of a request a Fresh one: this one got no answer.
func (d *Cache) Forget(h Handle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of(h) != nil {
		d.remove(h.at)
	}
}

// Superseded reports whether a newer request has taken the place of h.
func (d *Cache) Superseded(h Handle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.superseded(h)
}

// Len is how many requests are remembered.
func (d *Cache) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// expire drops what is too old, and the oldest of what is too much.
func (d *Cache) expire(now int64) {
	for d.oldest != none && (d.slab.at(d.oldest).expires <= now || d.count > d.maxEntries || d.bytes > d.maxBytes) {
		d.remove(d.oldest)
	}
}

func (d *Cache) add(i int32) {
	e := d.slab.at(i)
	e.older, e.newer = d.newest, none
	if d.newest != none {
		d.slab.at(d.newest).newer = i
	} else {
		d.oldest = i
	}
	d.newest = i
	d.entries[e.key] = i
	d.count++
	d.bytes += overhead
	d.expire(math.MinInt64)
}

// supersede takes an entry out of what is found, and keeps it until whoever works on it has been told.
func (d *Cache) supersede(i int32) {
	e := d.slab.at(i)
	if e.state == answered { // nobody works on it
		d.remove(i)
		return
	}
	e.state = superseded
	delete(d.entries, e.key)
}

func (d *Cache) remove(i int32) {
	e := d.slab.at(i)
	if e.older != none {
		d.slab.at(e.older).newer = e.newer
	} else {
		d.oldest = e.newer
	}
	if e.newer != none {
		d.slab.at(e.newer).older = e.older
	} else {
		d.newest = e.older
	}
	if e.state != superseded {
		delete(d.entries, e.key)
	}
	d.count--
	d.bytes -= overhead + len(e.long)
	d.slab.give(i)
}
