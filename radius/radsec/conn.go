package radsec

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Conn is the connection of a client, from the end of its handshake on. It is safe for concurrent
// use, and no method blocks.
type Conn struct {
	s             *Server
	tcp           net.Conn
	tls           *tls.Conn
	id            identity
	names         []string
	remote, local netip.AddrPort
	frames        frames // the reader's

	mu      sync.Mutex
	changed *sync.Cond // pending or unsent fell, ending began, or the socket is closed
	pending int        // packets handed over and not done
	unsent  int        // replies that the kernel has not taken
	queue   [][]byte   // of unsent, what the writer has not got
	writing bool       // there is a writer
	over    bool       // reading ends, or has ended
	why     ending     // if over
	drained bool       // nothing is sent any more
	closed  bool       // the socket is closed
}

func newConn(s *Server, tcp net.Conn, t *tls.Conn, id identity) *Conn {
	c := &Conn{
		s: s, tcp: tcp, tls: t, id: id, names: Names(id.chain[0]),
		remote: addrPort(tcp.RemoteAddr()), local: addrPort(tcp.LocalAddr()),
	}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Remote returns the client's end.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local returns the server's end.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Certificate returns the client's certificate, which has been verified. It must not be changed.
func (c *Conn) Certificate() *x509.Certificate { return c.id.chain[0] }

// Names returns [Names] of the certificate.
func (c *Conn) Names() []string { return slices.Clone(c.names) }

// Send queues a reply of 20 to 4096 octets, which must not change any more. It is false when the
// connection has ended, or when MaxPending replies wait already, which cannot be as long as each
// packet has one reply at most and Done is called after Send.
func (c *Conn) Send(octets []byte) bool {
	if len(octets) < minPacket || len(octets) > maxPacket {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drained || c.closed || c.unsent >= c.s.o.MaxPending {
		return false
	}
	c.unsent++
	c.queue = append(c.queue, octets)
	if !c.writing {
		c.writing = true
		go c.write()
	}
	return true
}

// Done says that n packets ended, answered or not, and makes room for as many.
func (c *Conn) Done(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = max(c.pending-n, 0)
	c.changed.Broadcast()
}

// Close ends the connection because its client is gone: nothing more is read, what was read may be
// answered for DrainTime.
func (c *Conn) Close() { c.end(clientGone) }

// CloseMalformed is Close because of a packet that was whole and yet wrong: RFC 6613 section 2.6.4 names
// attributes that do not fit and authenticators that do not verify.
func (c *Conn) CloseMalformed() { c.end(malformed) }

// end ends reading. The first reason counts.
func (c *Conn) end(why ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(why)
}

func (c *Conn) endLocked(why ending) {
	if c.over {
		return
	}
	c.over, c.why = true, why
	// A deadline in the past unblocks the reader; no reader ever sets one, so it stays.
	_ = c.tcp.SetReadDeadline(time.Unix(1, 0))
	c.changed.Broadcast()
}

// abort closes the socket at once, whatever waits. It may be called more than once.
func (c *Conn) abort(why ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(why)
	if tcp, ok := c.tcp.(*net.TCPConn); ok && !c.closed {
		_ = tcp.SetLinger(0) // what the peer does not take, the kernel must not keep
	}
	c.closeLocked()
}

func (c *Conn) closeLocked() {
	if !c.closed {
		c.closed = true
		_ = c.tcp.Close()
		c.changed.Broadcast()
	}
}

// begin counts packets that are handed over.
func (c *Conn) begin(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending += n
}

// room waits until there is room for packets and returns for how many, or 0 when the connection
// ends.
func (c *Conn) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.s.o.MaxPending
	if c.pending+c.unsent >= most && !c.over {
		c.s.metrics.pauses.Inc()
	}
	for c.pending+c.unsent >= most && !c.over {
		c.changed.Wait()
	}
	if c.over {
		return 0
	}
	return most - c.pending - c.unsent
}

// left returns how many packets were not done, and how many replies not written.
func (c *Conn) left() (packets, replies int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending, c.unsent
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
