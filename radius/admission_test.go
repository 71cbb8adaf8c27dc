package radius

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/probe"
)

func goodLogin(name, password string) []byte {
	return probe.Login(testSecret, name, password).Octets()
}

// TestEveryFlippedBitIsDiscarded is the negative test of Message-Authenticator: there is no bit
// of a packet that somebody in between can change unnoticed.
func TestEveryFlippedBitIsDiscarded(t *testing.T) {
	w := newWorld(t)
	packet := probe.Login(testSecret, "alice", testCode).Add(probe.ProxyState, "proxy").Octets()
	if got := w.feed("192.0.2.1:1000", packet); len(got) != 1 {
		t.Fatalf("%d replies to the packet itself", len(got))
	}
	for bit := range len(packet) * 8 {
		if got := w.feed("192.0.2.1:1000", probe.Flip(packet, bit)); len(got) != 0 {
			t.Errorf("bit %d of octet %d was not noticed: %x", bit%8, bit/8, got[0])
		}
	}
	if got := testutil.ToFloat64(w.metrics.receivedUDP); got != float64(len(packet)*8+1) {
		t.Errorf("%v packets received, want %d", got, len(packet)*8+1)
	}
	if n := len(w.trail.all()); n != 1 {
		t.Errorf("%d attempts, want the first one only", n)
	}
}

// TestPaddingIsIgnored: what follows Length is no part of the packet (RFC 2865 section 3), so its
// bits are the only ones that may change.
func TestPaddingIsIgnored(t *testing.T) {
	packet := goodLogin("alice", testCode)
	padded := append(slices.Clone(packet), 1, 2, 3, 4, 5)
	for bit := range len(padded) * 8 {
		w := newWorldQuick(t)
		got := w.feed("192.0.2.1:1000", probe.Flip(padded, bit))
		if answered := len(got) == 1; answered != (bit/8 >= len(packet)) {
			t.Errorf("bit %d of octet %d of %d: answered %v", bit%8, bit/8, len(packet), answered)
		}
	}
}

// newWorldQuick is a fresh world for each of many cases.
func newWorldQuick(t testing.TB) *world {
	t.Helper()
	return newWorld(t, func(o *Options, w *world) { o.Registerer = nil })
}

func TestMessageAuthenticatorPolicy(t *testing.T) {
	const required, optional = "192.0.2.1:1000", "198.51.100.1:1000"
	login := func() *probe.Request { return probe.Login(testSecret, "alice", testCode) }
	const ma = probe.MessageAuthenticator
	for _, c := range []struct {
		name   string
		from   string
		packet []byte
		want   discard // discardReasons: answered
	}{
		{"required, there", required, login().Octets(), discardReasons},
		{"required, missing", required, login().Without(ma).Octets(), discardUnsigned},
		{"optional, there", optional, login().Octets(), discardReasons},
		{"optional, missing", optional, login().Without(ma).Octets(), discardReasons},
		{"optional, wrong", optional, probe.Login("other", "alice", testCode).Octets(), discardBadAuthenticator},
		{"required, wrong", required, probe.Login("other", "alice", testCode).Octets(), discardBadAuthenticator},
		{"optional, Proxy-State unsigned", optional, login().Without(ma).Add(probe.ProxyState, "x").Octets(), discardUnsignedProxyState},
		{"optional, Proxy-State signed", optional, login().Add(probe.ProxyState, "x").Octets(), discardReasons},
		{"optional, EAP unsigned", optional, login().Without(ma).Add(probe.EAPMessage, "x").Octets(), discardUnsignedEAP},
		{"optional, Status-Server unsigned", optional, probe.NewRequest(probe.StatusServer, testSecret).Octets(), discardUnsignedStatus},
		{"required, Status-Server unsigned", required, probe.NewRequest(probe.StatusServer, testSecret).Octets(), discardUnsignedStatus},
		{"optional, twice", optional, login().Signed().Octets(), discardRepeatedAuthenticator},
		{"required, twice", required, login().Signed().Octets(), discardRepeatedAuthenticator},
		{"optional, 15 octets", optional, login().Without(ma).Add(ma, strings.Repeat("\x00", 15)).Octets(), discardMalformedAuthenticator},
		{"optional, 17 octets", optional, login().Without(ma).Add(ma, strings.Repeat("\x00", 17)).Octets(), discardMalformedAuthenticator},
		{"optional, empty", optional, login().Without(ma).Add(ma, "").Octets(), discardMalformedAuthenticator},
		{"optional, all zero", optional, login().Without(ma).Add(ma, strings.Repeat("\x00", 15)+"\x01").Octets(), discardBadAuthenticator},
		{"required, last", required, login().Without(ma).Signed().Octets(), discardReasons},
	} {
		w := newWorldQuick(t)
		got := w.feed(c.from, c.packet)
		if c.want == discardReasons {
			if len(got) != 1 {
				t.Errorf("%s: %d replies", c.name, len(got))
			}
			continue
		}
		if len(got) != 0 || testutil.ToFloat64(w.metrics.discarded[c.want]) != 1 {
			t.Errorf("%s: not discarded as %v, %d replies", c.name, c.want, len(got))
		}
	}
}

// TestAMissingMessageAuthenticatorIsExplained: the person who connects an old gateway reads in
// the log what to do, and whoever floods us does not fill the disk with it.
func TestAMissingMessageAuthenticatorIsExplained(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := newWorld(t, func(o *Options, _ *world) { o.Now = func() time.Time { return now } })
	unsigned := probe.Login(testSecret, "alice", testCode).Without(probe.MessageAuthenticator).Octets()
	count := func() int { return strings.Count(w.logged.String(), "message_authenticator: optional") }
	for range 100 {
		w.feed("192.0.2.1:1000", unsigned)
	}
	if count() != 1 {
		t.Fatalf("%d lines in one minute:\n%s", count(), w.logged)
	}
	for _, want := range []string{"client=vpn", "source=192.0.2.1", "reason=missing_message_authenticator", "set the gateway to send Message-Authenticator"} {
		if !strings.Contains(w.logged.String(), want) {
			t.Errorf("the line does not hold %q:\n%s", want, w.logged)
		}
	}
	now = now.Add(59 * time.Second)
	w.feed("192.0.2.1:1000", unsigned)
	if count() != 1 {
		t.Errorf("a second line after 59 s")
	}
	now = now.Add(2 * time.Second)
	w.feed("192.0.2.1:1000", unsigned)
	if count() != 2 {
		t.Errorf("%d lines after a minute, want 2", count())
	}
}

func TestStrangersGetFewLines(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := newWorld(t, func(o *Options, _ *world) { o.Now = func() time.Time { return now } })
	for i := range 5000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 99).String()
		if got := w.feed(from, goodLogin("alice", testCode)); len(got) != 0 {
			t.Fatal("a stranger was answered")
		}
	}
	if n := strings.Count(w.logged.String(), "\n"); n == 0 || n > 64 {
		t.Errorf("%d lines about 5000 strangers", n)
	}
	if got := testutil.ToFloat64(w.metrics.discarded[discardUnknownClient]); got != 5000 {
		t.Errorf("%v counted", got)
	}
}

// TestUnknownClientsCostNoAllocation is invariant 4 of the design.
func TestUnknownClientsCostNoAllocation(t *testing.T) {
	w := newWorld(t)
	r, _ := newWire(w.Server)
	now := time.Now()
	for _, from := range []string{"203.0.113.9:1000", "[2001:db8:ffff::1]:1000"} {
		m := datagramFrom(from, goodLogin("alice", testCode))
		if n := testing.AllocsPerRun(200, func() {
			if r.datagram(r.socket, &m, now); r.logins != nil {
				t.Fatal("a stranger's packet became an attempt")
			}
		}); n != 0 {
			t.Errorf("%v allocations for a packet from %s", n, from)
		}
	}
	short := datagramFrom("203.0.113.9:1000", []byte{1, 2, 3})
	if n := testing.AllocsPerRun(200, func() { r.datagram(r.socket, &short, now) }); n != 0 {
		t.Errorf("%v allocations for a short packet", n)
	}
	forged := datagramFrom("192.0.2.1:1000", probe.Login("other", "alice", testCode).Octets())
	// None at all, but that the race detector makes sync.Pool forget what it keeps.
	if n := testing.AllocsPerRun(200, func() { r.datagram(r.socket, &forged, now) }); n > 12 {
		t.Errorf("%v allocations for a forged packet", n)
	}
}

func TestAFullParseAllocatesLittle(t *testing.T) {
	w := newWorld(t)
	c := w.table.Load().find(netip.MustParseAddr("192.0.2.1"))
	q := probe.Login(testSecret, "alice", testCode)
	for _, kind := range []byte{4, 5, 6, 30, 31, 32, 61} {
		q.Add(kind, "0123")
	}
	packet := q.Octets()
	var r request
	if n := testing.AllocsPerRun(200, func() {
		in, _, _ := admit(packet, c, false)
		r = request{}
		r.read(in.octets, in, c)
	}); n > 12 { // without the race detector the password alone
		t.Errorf("%v allocations for a packet of ten attributes", n)
	}
}

func TestWalkTakesExactlyWellFormedAttributes(t *testing.T) {
	header := make([]byte, headerLength)
	for _, c := range []struct {
		attributes []byte
		ok         bool
	}{
		{nil, true},
		{[]byte{1, 2}, true},
		{[]byte{1, 3, 'x', 24, 2}, true},
		{[]byte{1}, false},
		{[]byte{1, 0}, false},
		{[]byte{1, 1}, false},
		{[]byte{1, 3}, false},
		{[]byte{1, 2, 5}, false},
		{[]byte{1, 255, 'x'}, false},
	} {
		octets := append(slices.Clone(header), c.attributes...)
		if _, ok := walk(octets); ok != c.ok {
			t.Errorf("attributes %x: well-formed %v, want %v", c.attributes, ok, c.ok)
		}
	}
}

func TestLengthMustFit(t *testing.T) {
	w := newWorld(t)
	c := w.table.Load().find(netip.MustParseAddr("192.0.2.1"))
	packet := goodLogin("alice", testCode)
	for _, length := range []int{0, 19, len(packet) + 1, 4097, 65535} {
		b := append(slices.Clone(packet), make([]byte, 5000)...)[:max(len(packet), min(length-1, 4096))]
		binary.BigEndian.PutUint16(b[2:], uint16(length))
		if _, why, ok := admit(b, c, false); ok || why != discardBadLength {
			t.Errorf("length %d of %d octets: %v", length, len(b), why)
		}
	}
}

func TestEveryDiscardReasonHasAWord(t *testing.T) {
	seen := map[string]bool{}
	for d := range discardReasons {
		if d.String() == "" || seen[d.String()] {
			t.Errorf("reason %d: %q", d, d.String())
		}
		seen[d.String()] = true
	}
}
