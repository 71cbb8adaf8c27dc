package radsec

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/radsec/radsectest"
)

func TestOptions(t *testing.T) {
	_, err := New(Options{MaxConnections: -1, MaxPending: -1, IdleTime: -1})
	for _, want := range []string{"radsec: ", "address", "Certificate", "ClientCAs", "Handler", "MaxConnections", "MaxPending", "IdleTime", "Now"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %s", err, want)
		}
	}
}

// TestNewLeavesNothingBehind: the first address is free again when the second cannot be had.
func TestNewLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	o := w.o
	o.Registerer, o.Listen = nil, []string{address, w.address()}
	if _, err := New(o); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestMaxConnections: one more than that is closed at once, counted and logged once, and there is
// room again when one has ended.
func TestMaxConnections(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxConnections = 4 })
	certificates := []tls.Certificate{w.pair(radsectest.Client("nas.example")), w.pair(radsectest.Client("nas.example"))}
	var conns []*tls.Conn
	for n := range 4 {
		conn, err := w.try(w.config(certificates[n/2]))
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, packet(1, 20))
		want(t, conn, packet(1, 20))
		conns = append(conns, conn)
	}
	for range 3 {
		if _, err := w.try(w.config()); err == nil {
			t.Error("one too many")
		}
	}
	waitUntil(t, "all refused", func() bool { return w.came(tooMany) == 3 })
	if n := strings.Count(w.log.String(), "max_connections"); n != 1 {
		t.Errorf("%d log lines", n)
	}
	conns[0].Close()
	w.ended(byPeer)
	w.through(3)
	conn := w.dial()
	write(t, conn, packet(1, 20))
	want(t, conn, packet(1, 20))
}

// TestOneAddressDoesNotTakeAll: what is in the handshake and comes from one address is at most a
// quarter; what is through does not count for it.
func TestOneAddressDoesNotTakeAll(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxConnections = 8 })
	w.dial()
	w.through(1)
	var silent []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	waitUntil(t, "two handshakes", func() bool { unknown, _ := w.admission.count(); return unknown == 2 })
	if _, err := w.try(w.config()); err == nil {
		t.Error("a third handshake")
	}
	waitUntil(t, "it is counted", func() bool { return w.came(tooManyOfAddress) == 1 })
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := tls.DialWithDialer(&other, "tcp", w.address(), w.config())
	if err != nil {
		t.Fatal("another address:", err)
	}
	conn.Close()
	silent[0].Close()
	waitUntil(t, "it is gone", func() bool { unknown, _ := w.admission.count(); return unknown == 1 })
	w.dial()
	waitUntil(t, "it is through", func() bool { return w.came(accepted) == 3 })
}

// TestSilentStrangersKeepNobodyOut: four addresses hold all places with connections that say nothing. Whoever comes
// then gets the place of the one that has been silent for longest, and who is through keeps its own.
func TestSilentStrangersKeepNobodyOut(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxConnections = 8 })
	var silent []net.Conn
	for n := range 8 {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+n/2))}}
		c, err := from.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
		waitUntil(t, "it is in the handshake", func() bool { unknown, _ := w.admission.count(); return unknown == n+1 })
	}
	var through []*tls.Conn
	for n := range 3 {
		conn := w.dial()
		write(t, conn, packet(n, 20))
		want(t, conn, packet(n, 20))
		through = append(through, conn)
		if unknown, open := w.admission.count(); unknown != 7-n || open != n+1 {
			t.Errorf("%d in the handshake, %d through", unknown, open)
		}
		waitUntil(t, "one has given way", func() bool { return w.came(crowdedOut) == n+1 })
	}
	w.logged(t, crowdedOut.hint())
	for n, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(moment))
		_, err := c.Read(make([]byte, 1))
		if gone := !errors.Is(err, os.ErrDeadlineExceeded); gone != (n < 3) {
			t.Errorf("silent connection %d: %v", n, err)
		}
	}
	for n, conn := range through {
		write(t, conn, packet(n, 30))
		want(t, conn, packet(n, 30))
	}
}

// TestNoMoreGiveWayThanHaveLeft: what has given its place away is bounded as well, until it is gone.
func TestNoMoreGiveWayThanHaveLeft(t *testing.T) {
	a := newAdmission(4)
	var tickets []*ticket
	enter := func(n int) outcome {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		k, out := a.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), here)
		if out == accepted {
			tickets = append(tickets, k)
		}
		return out
	}
	for n, want := range []outcome{accepted, accepted, accepted, accepted, accepted, tooMany} {
		if out := enter(n); out != want {
			t.Errorf("connection %d: %v, want %v", n, out, want)
		}
	}
	if out := a.identified(tickets[0], []byte("one")); out != crowdedOut {
		t.Errorf("a handshake that was complete too late: %v", out)
	}
	if out := a.identified(tickets[1], []byte("one")); out != accepted {
		t.Errorf("the oldest that is left: %v", out)
	}
	a.leave(tickets[0])
	if out := enter(6); out != accepted || !tickets[2].crowded || tickets[1].crowded {
		t.Errorf("when it has left: %v", out)
	}
	for _, k := range tickets[1:] {
		a.leave(k)
	}
	if a.total+a.crowded+a.unknown.Len()+len(a.addresses)+len(a.certificates) != 0 {
		t.Errorf("something is left: %+v", a)
	}
}

// TestOneCertificateDoesNotTakeAll: it may have half of all connections.
func TestOneCertificateDoesNotTakeAll(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxConnections = 8 })
	config := w.config()
	for n := range 5 {
		conn, err := w.try(config)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(packet(1, 20))
		if _, err := conn.Read(make([]byte, 20)); (err == nil) != (n < 4) {
			t.Errorf("connection %d: %v", n, err)
		}
	}
	waitUntil(t, "it is counted", func() bool { return w.came(tooManyOfCertificate) == 1 })
	conn := w.dial() // another certificate
	write(t, conn, packet(1, 20))
	want(t, conn, packet(1, 20))
}

func TestNeighbours(t *testing.T) {
	a := newAdmission(40)
	enter := func(addr string, times int) (ok int) {
		for range times {
			if _, out := a.enter(netip.MustParseAddr(addr), nil); out == accepted {
				ok++
			}
		}
		return ok
	}
	for _, c := range []struct {
		addr string
		ok   int
	}{{"2001:db8::1", 6}, {"2001:db8::ffff:2", 4}, {"2001:db8::3", 0}, {"2001:db8:0:1::1", 6}, {"192.0.2.1", 6}, {"192.0.2.2", 6}} {
		if ok := enter(c.addr, 6); ok != c.ok {
			t.Errorf("%s: %d, want %d", c.addr, ok, c.ok)
		}
	}
}

// TestRecheck: connections end when their client, their authority or their certificate's time is gone.
func TestRecheck(t *testing.T) {
	day := 24 * time.Hour
	leaf := radsectest.Client("nas.example")
	leaf.NotAfter = time.Now().Add(day)
	for _, c := range []struct {
		name   string
		change func(t *testing.T, w *world)
		end    ending
	}{
		{"nothing", func(*testing.T, *world) {}, endings},
		{"the same authority, read again", func(_ *testing.T, w *world) { w.roots.Store(w.ca.Pool()) }, endings},
		{"an authority that cannot be read", func(_ *testing.T, w *world) { w.roots.Store(nil) }, endings},
		{"another authority", func(t *testing.T, w *world) { w.roots.Store(newAuthority(t).Pool()) }, notVerified},
		{"its time", func(_ *testing.T, w *world) { w.ahead.Store(int64(2 * day)) }, notVerified},
		{"its time, and no authority", func(_ *testing.T, w *world) { w.ahead.Store(int64(2 * day)); w.roots.Store(nil) }, notVerified},
		{"its client", func(_ *testing.T, w *world) { w.unknown.Store(true) }, clientGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			conn, err := w.try(w.config(w.pair(leaf)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, conn, packet(1, 20))
			want(t, conn, packet(1, 20))
			c.change(t, w)
			w.Recheck()
			w.Recheck()
			if c.end != endings {
				wantEnd(t, conn)
				w.ended(c.end)
				return
			}
			write(t, conn, packet(2, 20))
			want(t, conn, packet(2, 20))
		})
	}
}

// TestShutdown: what is pending gets out, nothing else is read, and the end is in order.
func TestShutdown(t *testing.T) {
	w := newWorld(t, func(_ *Options, w *world) { w.hand.work = hold })
	conn, silent := w.dial(), w.dial()
	w.through(2)
	half, err := net.Dial("tcp", w.address())
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	write(t, conn, packet(1, 20), packet(2, 20))
	waitUntil(t, "two packets", func() bool { return w.hand.count() == 2 })
	c := w.hand.last(t)
	ctx, cancel := context.WithTimeout(context.Background(), testPatience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(ctx) }()
	wantEnd(t, silent)
	silent.Close()
	if _, err := net.Dial("tcp", w.address()); err == nil {
		t.Error("it still accepts")
	}
	_, _ = conn.Write(packet(3, 20)) // which is not read, and must not keep the replies from arriving
	for n := 1; n <= 2; n++ {
		<-time.After(moment)
		select {
		case err := <-done:
			t.Fatal("it is over before the answers: ", err)
		default:
		}
		c.Send(packet(n, 20))
		c.Done(1)
	}
	<-time.After(moment)
	want(t, conn, packet(1, 20), packet(2, 20))
	wantEnd(t, conn)
	conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if w.hand.count() != 2 {
		t.Errorf("%d packets came in", w.hand.count())
	}
	if n := testutil.ToFloat64(w.metrics.closed[shutdown]); n != 2 {
		t.Errorf("%v ended by the shutdown", n)
	}
}

// TestShutdownEnds: with its context, and it says what was left.
func TestShutdownEnds(t *testing.T) {
	w := newWorld(t, func(_ *Options, w *world) { w.hand.work = hold })
	conn := w.dial()
	write(t, conn, packet(1, 20), packet(2, 20))
	waitUntil(t, "two packets", func() bool { return w.hand.count() == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), moment)
	defer cancel()
	err := w.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 packets") {
		t.Error(err)
	}
	if again := w.Shutdown(context.Background()); !errors.Is(again, err) {
		t.Error(again)
	}
}

// TestStop: after it nothing is received, and replies still leave.
func TestStop(t *testing.T) {
	w := newWorld(t, func(_ *Options, w *world) { w.hand.work = hold })
	conn := w.dial()
	write(t, conn, packet(1, 20))
	c := w.hand.last(t)
	w.Stop()
	w.Stop()
	_, _ = conn.Write(packet(2, 20))
	if !c.Send(packet(1, 20)) {
		t.Error("no reply leaves")
	}
	want(t, conn, packet(1, 20))
	if w.hand.count() != 1 {
		t.Errorf("%d packets", w.hand.count())
	}
	if err := w.Serve(); err == nil {
		t.Error("it serves again")
	}
	c.Done(1)
}

// exhausted is a socket on a system that has no files left.
type exhausted struct {
	net.Listener
	asked int
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.asked++
	return nil, syscall.EMFILE
}

// TestAcceptDoesNotSpin: it asks again once a second, and says so once a minute.
func TestAcceptDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logText
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		s := &Server{logger: textLogger(&log), now: time.Now, closing: make(chan struct{})}
		l, done := &exhausted{Listener: free}, make(chan error)
		go func() { done <- s.accept(l) }()
		time.Sleep(2*time.Minute + time.Second/2)
		close(s.closing)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if l.asked < 60 || l.asked > 140 {
			t.Errorf("asked %d times in two minutes", l.asked)
		}
		if n := strings.Count(log.String(), "accept failed"); n < 2 || n > 3 {
			t.Errorf("%d log lines:\n%s", n, log.String())
		}
	})
}
