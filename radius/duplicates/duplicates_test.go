package duplicates

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
	b := make([]byte, 20, 20+len(rest))
	b[0], b[1], b[4] = 1, identifier, authenticator
	return append(b, rest...)
}

func testKey(identifier byte) Key {
	return KeyOf(netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.9:1812"), 1, identifier)
}

func TestDuplicatesOverTheirLife(t *testing.T) {
	d := New(100, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	packet, reply := packetOf(1, 1, 'x'), []byte("reply")
	check := func(what string, at time.Time, octets []byte, want Verdict) Handle {
		t.Helper()
		e, got, stored := d.Begin(testKey(octets[1]), octets, at)
		if got != want || (want == Fresh) != (e != Handle{}) || (want == Answered) != bytes.Equal(stored, reply) {
			t.Fatalf("%s: %v %v %q, want %v", what, e, got, stored, want)
		}
		return e
	}
	e := check("first", now, packet, Fresh)
	check("again, in flight", now, packet, InFlight)
	if !d.Answer(e, reply) {
		t.Fatal("the answer was not wanted")
	}
	check("again, answered", now, packet, Answered)
	check("after 29 s", now.Add(29*time.Second), packet, Answered)
	check("another identifier", now, packetOf(2, 1, 'x'), Fresh)
	e = check("after 30 s", now.Add(Lifetime), packet, Fresh)
	d.Forget(e)
	e = check("after no answer", now.Add(Lifetime), packet, Fresh)
	newer := check("a new authenticator", now.Add(Lifetime), packetOf(1, 2, 'x'), Fresh)
	if d.Answer(e, reply) {
		t.Error("the answer to a superseded request would have been sent")
	}
	if !d.Superseded(e) || d.Superseded(newer) {
		t.Error("the wrong one counts as superseded")
	}
	d.Forget(e) // must not take the newer one away
	check("the newer one", now.Add(Lifetime), packetOf(1, 2, 'x'), InFlight)
	check("the same authenticator, other octets", now.Add(Lifetime), packetOf(1, 2, 'y'), Fresh)
	if d.Answer(newer, reply) {
		t.Error("the answer to other octets would have been sent")
	}
}

func TestDuplicatesAreToldApartByTheWholeWay(t *testing.T) {
	d := New(100, 1<<20)
	packet := packetOf(1, 1)
	for _, way := range [][2]string{
		{"192.0.2.1:1000", "192.0.2.9:1812"},
		{"192.0.2.1:1001", "192.0.2.9:1812"},
		{"192.0.2.2:1000", "192.0.2.9:1812"},
		{"192.0.2.1:1000", "192.0.2.8:1812"},
		{"192.0.2.1:1000", "192.0.2.9:1645"},
		{"[2001:db8::1]:1000", "[2001:db8::9]:1812"},
	} {
		key := KeyOf(netip.MustParseAddrPort(way[0]), netip.MustParseAddrPort(way[1]), 1, 1)
		if _, got, _ := d.Begin(key, packet, time.Unix(1, 0)); got != Fresh {
			t.Errorf("%v is taken for another", way)
		}
	}
	report := packetOf(1, 1)
	report[0] = 4
	key := KeyOf(netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.9:1812"), 4, 1)
	if _, got, _ := d.Begin(key, report, time.Unix(1, 0)); got != Fresh {
		t.Error("accounting is taken for a login")
	}
}

func TestDuplicatesAreBounded(t *testing.T) {
	const most = 50
	d := New(most, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	var first Handle
	for i := range 200 {
		e, _, _ := d.Begin(testKey(byte(i)), packetOf(byte(i), 1), now)
		if i == 0 {
			first = e
		}
		d.Answer(e, []byte("r"))
	}
	if n := d.Len(); n != most || len(d.entries) != most {
		t.Errorf("%d entries and %d in the map, want %d", n, len(d.entries), most)
	}
	if _, got, _ := d.Begin(testKey(199), packetOf(199, 1), now); got != Answered {
		t.Error("the newest was dropped")
	}
	if !d.Answer(first, []byte("late")) {
		t.Error("a request that was forgotten for want of room was not superseded: it gets its answer")
	}

	d = New(1000, 10_000)
	for i := range 200 {
		e, _, _ := d.Begin(testKey(byte(i)), packetOf(byte(i), 1), now)
		d.Answer(e, make([]byte, 1000))
	}
	if d.bytes > 10_000 || d.Len() == 0 {
		t.Errorf("%d octets in %d entries", d.bytes, d.Len())
	}
	for d.oldest != none {
		d.remove(d.oldest)
	}
	if d.bytes != 0 || d.count != 0 || d.newest != none || len(d.entries) != 0 {
		t.Errorf("an empty cache holds %d octets, %d entries, %d in the map", d.bytes, d.count, len(d.entries))
	}
}

// TestASupersededRequestStaysSuperseded: whatever becomes of the newer one, and of the memory of either.
func TestASupersededRequestStaysSuperseded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for what, then := range map[string]func(*Cache, Handle){
		"the newer one is in flight":  func(*Cache, Handle) {},
		"the newer one is answered":   func(d *Cache, newer Handle) { d.Answer(newer, []byte("newer")) },
		"the newer one is forgotten":  func(d *Cache, newer Handle) { d.Forget(newer) },
		"a third one has their place": func(d *Cache, _ Handle) { d.Begin(testKey(1), packetOf(1, 3), now) },
		"there was no room for it": func(d *Cache, _ Handle) {
			d.Begin(testKey(2), packetOf(2, 1), now)
			d.Begin(testKey(3), packetOf(3, 1), now)
		},
	} {
		d := New(3, 1<<20)
		old, _, _ := d.Begin(testKey(1), packetOf(1, 1), now)
		newer, _, _ := d.Begin(testKey(1), packetOf(1, 2), now)
		then(d, newer)
		if !d.Superseded(old) || d.Answer(old, []byte("old")) {
			t.Errorf("%s: the answer to the older one would be sent", what)
		}
	}
}

// TestAHandleIsOfOneRequest: what is answered late, or twice, changes nothing about who has the memory since.
func TestAHandleIsOfOneRequest(t *testing.T) {
	d := New(100, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	first, _, _ := d.Begin(testKey(1), packetOf(1, 1), now)
	d.Forget(first)
	second, _, _ := d.Begin(testKey(2), packetOf(2, 1), now)
	d.Forget(first)
	d.Answer(first, []byte("first"))
	if _, got, _ := d.Begin(testKey(2), packetOf(2, 1), now); got != InFlight {
		t.Errorf("after an answer to another one: %v", got)
	}
	d.Forget(Handle{})
	if d.Superseded(Handle{}) || !d.Answer(Handle{}, []byte("nobody's")) {
		t.Error("no handle is superseded")
	}
	for _, length := range []int{0, 1, shortReply, shortReply + 1, 4096} {
		d.Forget(second)
		second, _, _ = d.Begin(testKey(2), packetOf(2, 1), now)
		want := bytes.Repeat([]byte("r"), length)
		d.Answer(second, want)
		if _, got, reply := d.Begin(testKey(2), packetOf(2, 1), now); got != Answered || !bytes.Equal(reply, want) {
			t.Errorf("a reply of %d octets: %v, %d octets", length, got, len(reply))
		}
	}
}

// TestAClockThatIsSetMakesNothingOlder: times of the running process are compared by the clock that nobody
// sets. A reply that was forgotten early would have its login decided again, long after its claim.
func TestAClockThatIsSetMakesNothingOlder(t *testing.T) {
	d := New(100, 1<<20)
	began := time.Now()
	h, _, _ := d.Begin(testKey(1), packetOf(1, 1), began)
	d.Answer(h, []byte("reply"))
	if _, got, _ := d.Begin(testKey(1), packetOf(1, 1), began.Add(Lifetime-time.Second)); got != Answered {
		t.Errorf("before its time is over: %v", got)
	}
	d = New(100, 1<<20)
	d.Begin(testKey(1), packetOf(1, 1), began)
	d.Begin(testKey(2), packetOf(2, 1), began.Add(-time.Hour)) // a clock without a monotonic reading
	if _, got, _ := d.Begin(testKey(3), packetOf(3, 1), began.Add(Lifetime)); got != Fresh || d.Len() != 1 {
		t.Errorf("%d are remembered after their time", d.Len())
	}
}

func TestBeginningAndAnsweringAllocateNothing(t *testing.T) {
	d := New(64, 1<<20)
	now, n, reply := time.Unix(1_700_000_000, 0), 0, make([]byte, 38)
	packets := [][]byte{}
	for i := range 256 {
		packets = append(packets, packetOf(byte(i), 1))
	}
	step := func() {
		packet := packets[n%256]
		n++
		h, _, _ := d.Begin(testKey(packet[1]), packet, now)
		d.Superseded(h)
		d.Answer(h, reply)
	}
	for range 2000 {
		step()
	}
	if each := testing.AllocsPerRun(1000, step); each > 0 {
		t.Errorf("%v allocations for each request", each)
	}
}

func TestOneOfManyConcurrentDuplicatesIsFresh(t *testing.T) {
	d := New(1000, 1<<20)
	now := time.Unix(1_700_000_000, 0)
	for round := range 50 {
		var wg sync.WaitGroup
		var winners atomic.Int32
		for range 16 {
			wg.Go(func() {
				if e, got, _ := d.Begin(testKey(byte(round)), packetOf(byte(round), 1), now); got == Fresh {
					winners.Add(1)
					d.Answer(e, []byte("r"))
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
			d := New(MaxEntries, MaxBytes)
			now := time.Unix(1_700_000_000, 0)
			var port atomic.Uint32
			step := func() {
				n := port.Add(1)
				key := testKey(byte(n))
				key.source[0], key.source[1], key.sourcePort = byte(n>>24), byte(n>>16), uint16(n)
				if e, got, _ := d.Begin(key, packetOf(byte(n), 1), now); got == Fresh {
					d.Answer(e, []byte("reply"))
				}
			}
			for range MaxEntries {
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
