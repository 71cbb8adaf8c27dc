package tcplinktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// DripEvery is how long one octet takes on a link that drips: an answer of four octets is late for
// whoever waits half a second.
const DripEvery = 200 * time.Millisecond

// A Fault is what is wrong with a link.
type Fault int

// The faults.
const (
	None   Fault = iota // what one side says, the other hears
	Hang                // connections are taken, and stay; nothing passes, either way, until it is over
	Drip                // what the peer says arrives octet by octet, one each [DripEvery]
	Reset               // connections are reset (RST): those that are there, and new ones once they were taken
	Refuse              // those that are there are reset, and new ones refused
)

// String is the fault's name in tests.
func (f Fault) String() string {
	if f < None || f > Refuse {
		return fmt.Sprintf("Fault(%d)", int(f))
	}
	return [...]string{"none", "hangs", "drips", "resets", "refuses"}[f]
}

// A Link passes octets on to a peer, as its fault has it. It is safe for concurrent use.
type Link struct {
	Addr string // host:port, on 127.0.0.1

	tb   testing.TB
	peer string
	held int // a socket that is bound to Addr and does not listen: nobody else gets the port
	work sync.WaitGroup

	mu       sync.Mutex
	fault    Fault
	changed  chan struct{} // closed and replaced with each change of fault
	listener net.Listener  // nil while it refuses
	pairs    map[*pair]bool
}

// pair is a connection of the node and the one to the peer that goes with it.
type pair struct {
	node, peer *net.TCPConn
	once       sync.Once
	gone       chan struct{}
}

// Start returns a link to a peer, which need not be there, with nothing wrong. It ends with the test.
func Start(tb testing.TB, peer string) *Link {
	tb.Helper()
	l := &Link{tb: tb, peer: peer, changed: make(chan struct{}), pairs: map[*pair]bool{}}
	if err := l.hold(); err != nil {
		tb.Fatalf("tcplinktest: %v", err)
	}
	l.mu.Lock()
	err := l.listen()
	l.mu.Unlock()
	if err != nil {
		tb.Fatalf("tcplinktest: %v", err)
	}
	tb.Cleanup(func() {
		l.mu.Lock()
		l.turn(Refuse)
		l.mu.Unlock()
		l.work.Wait()
		_ = syscall.Close(l.held)
	})
	return l
}

// hold takes a port.
func (l *Link) hold() (err error) {
	if l.held, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err = share(uintptr(l.held)); err == nil {
		err = syscall.Bind(l.held, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		return errors.Join(err, syscall.Close(l.held))
	}
	at, err := syscall.Getsockname(l.held)
	if err != nil {
		return errors.Join(err, syscall.Close(l.held))
	}
	l.Addr = fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	return nil
}

// share lets two sockets be bound to one port (socket(7), SO_REUSEPORT), which package syscall has no
// name for.
func share(fd uintptr) error {
	const reusePort = 15
	return syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1)
}

// listen takes connections again. The mutex is held.
func (l *Link) listen() error {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = share(fd) }), err)
	}}
	listener, err := c.Listen(context.Background(), "tcp4", l.Addr)
	if err != nil {
		return err
	}
	l.listener = listener
	l.work.Go(func() { l.accept(listener) })
	return nil
}

// Set changes what is wrong with the link.
func (l *Link) Set(f Fault) {
	l.tb.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(f)
	if f != Refuse && l.listener == nil {
		if err := l.listen(); err != nil {
			l.tb.Errorf("tcplinktest: %v", err)
		}
	}
}

// turn changes the fault. The mutex is held.
func (l *Link) turn(f Fault) {
	l.fault = f
	close(l.changed)
	l.changed = make(chan struct{})
	if f == Refuse && l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	if f == Reset || f == Refuse {
		for p := range l.pairs {
			p.reset()
		}
	}
}

// state is the present fault, and what is closed when there is another.
func (l *Link) state() (Fault, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault, l.changed
}

// Connections is how many there are of the node's.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

func (l *Link) accept(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return // closed: a listener on loopback has no other reason
		}
		p := &pair{node: c.(*net.TCPConn), gone: make(chan struct{})}
		l.work.Go(func() { l.carry(p) })
	}
}

// carry takes a connection from its beginning to its end.
func (l *Link) carry(p *pair) {
	defer p.reset()
	peer, err := net.DialTimeout("tcp", l.peer, 5*time.Second)
	if err != nil {
		return // as the peer would have done
	}
	p.peer = peer.(*net.TCPConn)
	l.mu.Lock()
	over := l.fault == Reset || l.fault == Refuse
	if !over {
		l.pairs[p] = true
	}
	l.mu.Unlock()
	if over {
		return
	}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.pairs, p)
	}()
	var both sync.WaitGroup
	both.Go(func() { l.pump(p, p.node, p.peer, false) })
	both.Go(func() { l.pump(p, p.peer, p.node, true) })
	both.Wait()
}

// reset ends both connections, whatever is on its way.
func (p *pair) reset() {
	p.once.Do(func() {
		close(p.gone)
		for _, c := range []*net.TCPConn{p.node, p.peer} {
			if c != nil {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		}
	})
}

// pump passes on what one side says, and that it has said all.
func (l *Link) pump(p *pair, from, to *net.TCPConn, fromPeer bool) {
	for b := make([]byte, 32<<10); ; {
		n, err := from.Read(b)
		if n > 0 && !l.pass(p, to, b[:n], fromPeer) {
			return
		}
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if _, ok := l.may(p); ok {
				_ = to.CloseWrite()
			}
			return
		}
	}
}

// pass writes octets, as fast as the fault lets them.
func (l *Link) pass(p *pair, to *net.TCPConn, octets []byte, fromPeer bool) bool {
	for len(octets) > 0 {
		fault, ok := l.may(p)
		if !ok {
			return false
		}
		n := len(octets)
		if fault == Drip && fromPeer {
			n = 1
			if !l.linger(p) {
				return false
			}
		}
		if _, err := to.Write(octets[:n]); err != nil {
			p.reset()
			return false
		}
		octets = octets[n:]
	}
	return true
}

// may waits until something may pass; false when nothing ever will.
func (l *Link) may(p *pair) (Fault, bool) {
	for {
		fault, changed := l.state()
		if fault != Hang {
			return fault, true
		}
		select {
		case <-changed:
		case <-p.gone:
			return fault, false
		}
	}
}

// linger is the time that one octet takes; false when the connection has ended.
func (l *Link) linger(p *pair) bool {
	_, changed := l.state()
	timer := time.NewTimer(DripEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-p.gone:
		return false
	}
	return true
}
