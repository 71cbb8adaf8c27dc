package radius

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func packetOf(identifier, authenticator byte, rest ...byte) []byte {
	b := make([]byte, headerLength, headerLength+len(rest))
	b[0], b[1], b[4] = codeAccessRequest, identifier, authenticator
	return append(b, rest...)
}

func testKey(identifier byte) duplicateKey {
	return keyOf(netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.9:1812"), identifier)
}

func TestDuplicatesOverTheirLife(t *testing.T) {
	d := newDuplicates(100, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	packet, reply := packetOf(1, 1, 'x'), []byte("reply")
	check := func(what string, at time.Time, octets []byte, want verdict) *entry {
		t.Helper()
		e, got, stored := d.begin(testKey(octets[1]), octets, at)
		if got != want || (want == fresh) != (e != nil) || (want == answered) != bytes.Equal(stored, reply) {
			t.Fatalf("%s: %v %v %q, want %v", what, e, got, stored, want)
		}
		return e
	}
	e := check("first", now, packet, fresh)
	check("again, in flight", now, packet, inFlight)
	if !d.answer(e, reply) {
		t.Fatal("the answer was not wanted")
	}
	check("again, answered", now, packet, answered)
	check("after 29 s", now.Add(29*time.Second), packet, answered)
	check("another identifier", now, packetOf(2, 1, 'x'), fresh)
	e = check("after 30 s", now.Add(duplicateLifetime), packet, fresh)
	d.forget(e)
	e = check("after no answer", now.Add(duplicateLifetime), packet, fresh)
	newer := check("a new authenticator", now.Add(duplicateLifetime), packetOf(1, 2, 'x'), fresh)
	if d.answer(e, reply) {
		t.Error("the answer to a superseded request would have been sent")
	}
	if !d.superseded(e) || d.superseded(newer) {
		t.Error("the wrong one counts as superseded")
	}
	d.forget(e) // must not take the newer one away
	check("the newer one", now.Add(duplicateLifetime), packetOf(1, 2, 'x'), inFlight)
	check("the same authenticator, other octets", now.Add(duplicateLifetime), packetOf(1, 2, 'y'), fresh)
	if d.answer(newer, reply) {
		t.Error("the answer to other octets would have been sent")
	}
}

func TestDuplicatesAreToldApartByTheWholeWay(t *testing.T) {
	d := newDuplicates(100, 1<<20)
	packet := packetOf(1, 1)
	for _, way := range [][2]string{
		{"192.0.2.1:1000", "192.0.2.9:1812"},
		{"192.0.2.1:1001", "192.0.2.9:1812"},
		{"192.0.2.2:1000", "192.0.2.9:1812"},
		{"192.0.2.1:1000", "192.0.2.8:1812"},
		{"192.0.2.1:1000", "192.0.2.9:1645"},
		{"[2001:db8::1]:1000", "[2001:db8::9]:1812"},
	} {
		key := keyOf(netip.MustParseAddrPort(way[0]), netip.MustParseAddrPort(way[1]), 1)
		if _, got, _ := d.begin(key, packet, time.Unix(1, 0)); got != fresh {
			t.Errorf("%v is taken for another", way)
		}
	}
}

func TestDuplicatesAreBounded(t *testing.T) {
	const most = 50
	d := newDuplicates(most, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	var first *entry
	for i := range 200 {
		e, _, _ := d.begin(testKey(byte(i)), packetOf(byte(i), 1), now)
		if first == nil {
			first = e
		}
		d.answer(e, []byte("r"))
	}
	if n := d.length(); n != most || len(d.entries) != most {
		t.Errorf("%d entries and %d in the map, want %d", n, len(d.entries), most)
	}
	if _, got, _ := d.begin(testKey(199), packetOf(199, 1), now); got != answered {
		t.Error("the newest was dropped")
	}
	if !d.answer(first, []byte("late")) {
		t.Error("a request that was forgotten for want of room was not superseded: it gets its answer")
	}

	d = newDuplicates(1000, 10_000)
	for i := range 200 {
		e, _, _ := d.begin(testKey(byte(i)), packetOf(byte(i), 1), now)
		d.answer(e, make([]byte, 1000))
	}
	if d.bytes > 10_000 || d.length() == 0 {
		t.Errorf("%d octets in %d entries", d.bytes, d.length())
	}
	for d.oldest != nil {
		d.forget(d.oldest)
	}
	if d.bytes != 0 || d.count != 0 || d.newest != nil || len(d.entries) != 0 {
		t.Errorf("an empty cache holds %d octets, %d entries, %d in the map", d.bytes, d.count, len(d.entries))
	}
}

func TestOneOfManyConcurrentDuplicatesIsFresh(t *testing.T) {
	d := newDuplicates(1000, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	for round := range 50 {
		var wg sync.WaitGroup
		var winners atomic.Int32
		for range 16 {
			wg.Go(func() {
				if e, got, _ := d.begin(testKey(byte(round)), packetOf(byte(round), 1), now); got == fresh {
					winners.Add(1)
					d.answer(e, []byte("r"))
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d of 16 were fresh", winners.Load())
		}
	}
}

// BenchmarkDuplicates is why there is one mutex: a request costs two operations.
func BenchmarkDuplicates(b *testing.B) {
	for _, full := range []bool{false, true} {
		b.Run(fmt.Sprintf("full=%v", full), func(b *testing.B) {
			d := newDuplicates(maxDuplicates, maxDuplicateBytes)
			now := time.Unix(1_700_000_000, 0)
			var port atomic.Uint32
			step := func() {
				n := port.Add(1)
				key := testKey(byte(n))
				key.source[0], key.source[1], key.sourcePort = byte(n>>24), byte(n>>16), uint16(n)
				if e, _, _ := d.begin(key, packetOf(byte(n), 1), now); e != nil {
					d.answer(e, []byte("reply"))
				}
			}
			for range maxDuplicates {
				if full {
					step()
				}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					step()
				}
			})
		})
	}
}
