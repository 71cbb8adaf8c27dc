package web

import (
	"net"
	"net/netip"
	"sync"
)

// Doors is a listener that lets each source have so many connections at once, as [Neighbourhood] counts
// sources. One more is closed before anything is read of it. The table holds sources with open connections
// only.
type Doors struct {
	net.Listener
	Most    int                // connections of one source
	Exempt  []netip.Prefix     // proxies: their connections carry many people
	Refused func(netip.Prefix) // told of each connection that was closed

	mu   sync.Mutex
	open map[netip.Prefix]int
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
		if d.enter(source) {
			return &counted{Conn: c, leave: sync.OnceFunc(func() { d.leave(source) })}, nil
		}
		_ = c.Close()
		d.Refused(source)
	}
}

func (d *Doors) enter(source netip.Prefix) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[source] >= d.Most {
		return false
	}
	if d.open == nil {
		d.open = map[netip.Prefix]int{}
	}
	d.open[source]++
	return true
}

func (d *Doors) leave(source netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[source]--; d.open[source] == 0 {
		delete(d.open, source)
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
