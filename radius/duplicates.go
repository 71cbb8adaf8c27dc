package radius

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// duplicateLifetime is how long a request is remembered, counted from its arrival. RFC 5080
// section 2.2.2 allows 5 to 30 seconds. It is the longest of them: the known gateways send their
// last retransmission within 15 s of the first, a proxy in between can add as much, and
// claims stay idempotent for as long (otp.ClaimLifetime), so that a late duplicate gets either the
// stored octets or, on another node, the same decision.
const duplicateLifetime = 30 * time.Second

// Bounds of what is remembered; the oldest goes first. A request that was forgotten too early is
// processed again, and the claim's token gives it its first answer.
const (
	maxDuplicates     = 1 << 18
	maxDuplicateBytes = 96 << 20
	duplicateOverhead = 256 // of an entry without its reply, the map's share included
)

// duplicateKey is what makes two packets the same request (RFC 5080 section 2.2.2), apart from
// the Request Authenticator. It holds no pointers, so that the collector need not look into the map.
type duplicateKey struct {
	source, local         [16]byte
	sourcePort, localPort uint16
	identifier            byte
}

func keyOf(source, local netip.AddrPort, identifier byte) duplicateKey {
	return duplicateKey{
		source: source.Addr().As16(), sourcePort: source.Port(),
		local: local.Addr().As16(), localPort: local.Port(),
		identifier: identifier,
	}
}

// entry is one remembered request. Its fields belong to the mutex of duplicates.
type entry struct {
	key           duplicateKey
	authenticator [16]byte
	sum           uint64 // of all octets
	expires       int64  // unix nanoseconds
	reply         []byte // nil: still in flight
	superseded    bool   // its answer must not be sent any more
	listed        bool
	older, newer  *entry
}

// verdict is what duplicates knows about a packet.
type verdict uint8

const (
	inFlight verdict = iota // the same request is being worked on: drop this one
	answered                // it has been answered: send the same octets again
	fresh                   // never seen, or it supersedes an older request: work on it
)

// duplicates remembers requests and their replies. One mutex: a request takes it twice, each time
// for less than a microsecond.
type duplicates struct {
	seed       maphash.Seed
	maxEntries int
	maxBytes   int

	mu             sync.Mutex
	entries        map[duplicateKey]*entry
	oldest, newest *entry // in order of arrival
	count, bytes   int
}

func newDuplicates(maxEntries, maxBytes int) *duplicates {
	return &duplicates{
		seed:       maphash.MakeSeed(),
		maxEntries: maxEntries,
		maxBytes:   maxBytes,
		entries:    make(map[duplicateKey]*entry),
	}
}

// begin says what is known about the request with these octets, and for an answered one its
// reply. For a fresh one it returns the entry that must be given to answer or forget.
func (d *duplicates) begin(key duplicateKey, octets []byte, now time.Time) (*entry, verdict, []byte) {
	e := &entry{key: key, sum: maphash.Bytes(d.seed, octets), expires: now.Add(duplicateLifetime).UnixNano()}
	copy(e.authenticator[:], octets[4:headerLength])
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(now.UnixNano())
	if old := d.entries[key]; old != nil {
		// An attribute may not change while Identifier and authenticator stay (RFC 2865
		// section 4.1), but if one does, the answer to the old request is not the answer to this one.
		if old.authenticator == e.authenticator && old.sum == e.sum {
			if old.reply != nil {
				return nil, answered, old.reply
			}
			return nil, inFlight, nil
		}
		old.superseded = true
		d.remove(old)
	}
	d.add(e)
	return e, fresh, nil
}

// answer keeps the reply of e for duplicates. It is false when e was superseded: the gateway has
// given the Identifier to another request, so the reply must not be sent.
func (d *duplicates) answer(e *entry, reply []byte) bool {
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

// forget makes the next retransmission of e a fresh request: this one got no answer.
func (d *duplicates) forget(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remove(e)
}

// superseded reports whether a newer request has taken the place of e.
func (d *duplicates) superseded(e *entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return e.superseded
}

// length is how many requests are remembered.
func (d *duplicates) length() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// expire drops what is too old, and the oldest of what is too much.
func (d *duplicates) expire(now int64) {
	for d.oldest != nil && (d.oldest.expires <= now || d.count > d.maxEntries || d.bytes > d.maxBytes) {
		d.remove(d.oldest)
	}
}

func (d *duplicates) add(e *entry) {
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
	d.bytes += duplicateOverhead
	d.expire(0)
}

func (d *duplicates) remove(e *entry) {
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
	d.bytes -= duplicateOverhead + len(e.reply)
}
