//go:build !race

package radius

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/probe"
)

// TestAllocations holds what the steps of a login allocate to what they did when that was last written
// down: neither more, nor less, so that what was gained stays. The race detector allocates by itself, so
// `make unit` runs this without it.
func TestAllocations(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		o.Audit = noTrail{}
		w.codes.result = &otp.Result{OK: true, Reason: otp.ReasonOK}
	})
	r, out := newWire(w.Server)
	r.socket.batchConn = deaf{out}
	now := time.Now()
	ctx := context.Background()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would empty the pools now and then
	good := goodLogin("alice", testCode)
	from := func(addr string, octets []byte) func() {
		m := datagramFrom(addr, octets)
		return func() {
			r.datagram(r.socket, &m, now)
			r.answer()
		}
	}
	client := w.table.Load().find(netip.MustParseAddr("192.0.2.1"))
	in, _, ok := admit(good, client, false)
	if !ok {
		t.Fatal("a good login is not taken")
	}
	arrived := arrival{client: client, source: netip.MustParseAddrPort(vpnAddr), way: answer{via: r.socket}, now: now}
	prepared := w.newAttempt(in, &arrived)
	alice, _ := w.accounts.FindKnown("alice", nil)
	if next := w.prepare(ctx, prepared, alice); next != nextClaim {
		t.Fatal("a good login is not ready to be claimed:", next)
	}
	prepared.decision, prepared.reason, prepared.device = otp.Accept, otp.ReasonOK, "device"
	var read request
	var stages audit.Stages
	var line logLine
	octets := slices.Clone(in.octets)
	duplicate := from(vpnAddr, good)
	w.login(ctx, r.sort([]ipv4.Message{datagramFrom(vpnAddr, good)})) // which is answered from memory from here on

	for _, c := range []struct {
		what string
		want float64
		do   func()
	}{
		{"a stranger's packet", 0, from(fromNobody, good)},
		{"a short packet", 0, from(fromNobody, []byte{1, 2, 3})},
		{"a wrong Message-Authenticator", 0, from(vpnAddr, probe.Login("other", "alice", testCode).Octets())},
		{"a duplicate, answered from memory", 1, duplicate},
		{"precheck", 0, func() { precheck(good, forLogins) }},
		{"admit", 0, func() { admit(good, client, false) }},
		{"the reading of a request", 2, func() {
			read = request{}
			read.read(octets, in, client)
		}},
		{"an attempt, up to its claim", 14, func() {
			a := w.newAttempt(in, &arrived)
			w.prepare(ctx, a, alice)
			w.over(a)
		}},
		{"the line in the log", 1, func() { prepared.log(ctx, w.logger, now, &line) }},
		{"the metrics", 0, func() { w.metrics.observe(prepared) }},
		{"the record of the audit trail", 1, func() { prepared.event(false, &stages) }},
		{"seal", 1, func() { _, _ = client.seal(in.key, octets, 2, prepared.granted) }},
	} {
		if got := testing.AllocsPerRun(500, c.do); got != c.want {
			t.Errorf("%s: %v allocations, written down are %v", c.what, got, c.want)
		}
	}
	whole, packets := wholeWorld(t, 64)
	for _, c := range []struct{ size, want int }{{16, 11}, {64, 9}} {
		// One more or less is a matter of how much the trail, which is written beside it, takes at a time.
		if got := allocationsOfALogin(whole, packets, c.size); got < c.want-1 || got > c.want+1 {
			t.Errorf("a login among %d: %d allocations, written down are %d", c.size, got, c.want)
		}
	}
}

// allocationsOfALogin is what a login allocates from its datagram to its answer, in a batch of so many, with all that a
// node does for it but the store's part.
func allocationsOfALogin(w *world, packets [][]byte, size int) int {
	r, out := newWire(w.Server)
	r.socket.batchConn = deaf{out}
	in := make([]ipv4.Message, size)
	for i := range in {
		in[i] = datagramFrom(vpnAddr, packets[i])
		in[i].Addr.(*net.UDPAddr).IP = make(net.IP, 4)
	}
	port := uint32(1 << 20)
	batch := func() {
		for i := range in {
			port++
			addr := netip.AddrFrom4([4]byte{127, byte(port >> 16), byte(port >> 8), byte(port)}).As4()
			copy(in[i].Addr.(*net.UDPAddr).IP, addr[:])
		}
		w.login(context.Background(), r.sort(in))
	}
	return int(testing.AllocsPerRun(2000/size, batch)/float64(size) + 0.5)
}

// deaf is a socket that keeps nothing of what is written.
type deaf struct{ *wire }

func (deaf) WriteBatch(ms []ipv4.Message, _ int) (int, error) { return len(ms), nil }
