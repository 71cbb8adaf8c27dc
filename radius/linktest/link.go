package linktest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Bounds of a link.
const (
	maxGateways = 1024
	maxUnderWay = 1 << 15 // datagrams that wait for their time, late copies included
)

// Options configure a link.
type Options struct {
	Server      netip.AddrPort
	Seed        uint64
	There, Back Faults // from gateways to the server, and from there to them
}

// A Link is one path to a server.
type Link struct {
	options Options
	front   *net.UDPConn
	done    sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	gateways map[netip.AddrPort]*gateway
	late     []func() // copies that wait for Release
	underWay int

	counts struct{ passed, lost, doubled, held, late, overflowed atomic.Uint64 }
}

// gateway is one source of datagrams, and the port that stands for it at the server.
type gateway struct {
	number      uint64
	addr        netip.AddrPort
	conn        *net.UDPConn
	there, back atomic.Uint64 // datagrams so far
}

// Counts are what became of datagrams so far, in both directions.
type Counts struct {
	Passed     uint64 // at least once
	Lost       uint64
	Doubled    uint64
	Held       uint64
	Late       uint64 // late copies that were sent
	Overflowed uint64 // lost because of the link's own bounds
}

// Start opens a link, which closes with the test.
func Start(t testing.TB, o Options) *Link {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatalf("linktest: %v", err)
	}
	t.Cleanup(l.Close)
	return l
}

// Open is [Start] for whoever closes it.
func Open(o Options) (*Link, error) {
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Server.Addr(), 0)))
	if err != nil {
		return nil, err
	}
	_ = front.SetReadBuffer(1 << 20) // less only loses more
	l := &Link{options: o, front: front, gateways: make(map[netip.AddrPort]*gateway)}
	l.done.Go(l.readFront)
	return l, nil
}

// Addr is where gateways send to.
func (l *Link) Addr() netip.AddrPort {
	a := l.front.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Counts returns them.
func (l *Link) Counts() Counts {
	c := &l.counts
	return Counts{c.passed.Load(), c.lost.Load(), c.doubled.Load(), c.held.Load(), c.late.Load(), c.overflowed.Load()}
}

// Change has other faults happen from now on.
func (l *Link) Change(there, back Faults) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.options.There, l.options.Back = there, back
}

// Release sends the late copies that wait for it, and returns how many there were.
func (l *Link) Release() int {
	l.mu.Lock()
	late := l.late
	l.late = nil
	l.underWay -= len(late)
	l.mu.Unlock()
	for _, send := range late {
		send()
	}
	return len(late)
}

// Close ends the link. What is under way is lost.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	_ = l.front.Close()
	for _, g := range l.gateways {
		_ = g.conn.Close()
	}
	l.mu.Unlock()
	l.done.Wait()
}

func (l *Link) readFront() {
	for b := make([]byte, 1<<16); ; {
		n, from, err := l.front.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		g := l.gatewayAt(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		if g == nil {
			l.counts.overflowed.Add(1)
			continue
		}
		octets := bytes.Clone(b[:n])
		l.pass(g, 0, g.there.Add(1), func() { _, _ = g.conn.Write(octets) })
	}
}

// readBack carries what the server answers to a gateway. That nobody listens there at the moment is no
// end.
func (l *Link) readBack(g *gateway) {
	for b := make([]byte, 1<<16); ; {
		n, err := g.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		octets := bytes.Clone(b[:n])
		l.pass(g, 1, g.back.Add(1), func() { _, _ = l.front.WriteToUDPAddrPort(octets, g.addr) })
	}
}

// gatewayAt returns the gateway with an address, nil when there is no room for another.
func (l *Link) gatewayAt(addr netip.AddrPort) *gateway {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.gateways[addr]; g != nil {
		return g
	}
	if l.closed || len(l.gateways) >= maxGateways {
		return nil
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.options.Server))
	if err != nil {
		return nil
	}
	g := &gateway{number: uint64(len(l.gateways)), addr: addr, conn: conn}
	l.gateways[addr] = g
	l.done.Go(func() { l.readBack(g) })
	return g
}

// pass has a datagram meet its fate. direction is 0 for those to the server, 1 for those from it.
func (l *Link) pass(g *gateway, direction, n uint64, send func()) {
	l.mu.Lock()
	f := l.options.There
	if direction == 1 {
		f = l.options.Back
	}
	l.mu.Unlock()
	x := f.fateOf(l.options.Seed, g.number, direction, n)
	if x.late {
		l.sendLate(f.LateBy, send)
	}
	if x.double > 0 && !x.lost {
		l.counts.doubled.Add(1)
		l.after(x.hold+x.double, send)
	}
	switch {
	case x.lost:
		l.counts.lost.Add(1)
	case x.hold > 0:
		l.counts.held.Add(1)
		l.counts.passed.Add(1)
		l.after(x.hold, send)
	default:
		l.counts.passed.Add(1)
		send()
	}
}

// sendLate sends a copy so much later, or when it is released.
func (l *Link) sendLate(by time.Duration, send func()) {
	count := func() { l.counts.late.Add(1); send() }
	if by > 0 {
		l.after(by, count)
		return
	}
	if l.enter() {
		l.mu.Lock()
		l.late = append(l.late, count)
		l.mu.Unlock()
	}
}

// after does it later. A port that is closed by then takes nothing.
func (l *Link) after(d time.Duration, send func()) {
	if l.enter() {
		time.AfterFunc(d, func() {
			l.mu.Lock()
			l.underWay--
			l.mu.Unlock()
			send()
		})
	}
}

// enter makes room for a datagram that has to wait, if there is any.
func (l *Link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.underWay >= maxUnderWay {
		l.counts.overflowed.Add(1)
		return false
	}
	l.underWay++
	return true
}
