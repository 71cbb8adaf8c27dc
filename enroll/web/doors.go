package web

import (
	"net"
	"net/netip"
	"sync"
)

// Shares bounds what sources have at once, as [Neighbourhood] counts them: each of them, and all together. It holds
// sources that have something only.
type Shares struct {
	Most int // of one source
	All  int // of all; 0: no bound

	mu    sync.Mutex
	total int
	taken map[netip.Prefix]int
}

// Enter takes one for a source, and returns how to give it back, which may be called more than once.
func (s *Shares) Enter(source netip.Prefix) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[source] >= s.Most || s.All > 0 && s.total >= s.All {
		return nil, false
	}
	if s.taken == nil {
		s.taken = map[netip.Prefix]int{}
	}
	s.taken[source]++
	s.total++
	return sync.OnceFunc(func() { s.leave(source) }), true
}

func (s *Shares) leave(source netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.taken[source]--; s.taken[source] == 0 {
		delete(s.taken, source)
	}
}

// Doors is a listener that lets each source have its share of connections. One more is closed before anything is
// read of it.
type Doors struct {
	net.Listener
	Shares  Shares
	Exempt  []netip.Prefix     // proxies: their connections carry many people
	Refused func(netip.Prefix) // told of each connection that was closed
}

// Accept implements [net.Listener].
func (d *Doors) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, ok := c.RemoteAddr().(*net.TCPAddr)
		if !ok {
			return c, nil // nothing that comes from elsewhere
		}
		from := at.AddrPort().Addr().Unmap().WithZone("")
		if (Sources{d.Exempt}).trusted(from) {
			return c, nil
		}
		source := Neighbourhood(from)
		if leave, ok := d.Shares.Enter(source); ok {
			return &counted{Conn: c, leave: leave}, nil
		}
		_ = c.Close()
		d.Refused(source)
	}
}

// counted is a connection that its source has until it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
