package radiustest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"otpgate/radius/probe"
)

// Patience is how long a reply is waited for that must come.
const Patience = 20 * time.Second

// ErrSilence: nothing came in time.
var ErrSilence = errors.New("no reply")

// A Client is one UDP socket of a gateway. It is for one goroutine at a time.
type Client struct {
	t      testing.TB
	conn   *net.UDPConn
	server netip.AddrPort
	secret string
	in     chan datagram
	next   byte // Identifier
}

type datagram struct {
	octets []byte
	from   netip.AddrPort
}

// Dial returns a client of the server at an address "host:port". Its socket is closed with the test.
func Dial(t testing.TB, server, secret string) *Client {
	t.Helper()
	return DialFrom(t, "", server, secret)
}

// DialFrom is Dial from a given local address, without port.
func DialFrom(t testing.TB, local, server, secret string) *Client {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		t.Fatalf("radiustest: %v", err)
	}
	addr := to.AddrPort()
	c := &Client{
		t: t, server: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), secret: secret,
		in: make(chan datagram, 1<<12),
	}
	var from *net.UDPAddr
	if local != "" {
		from = &net.UDPAddr{IP: net.ParseIP(local)}
	}
	network := "udp4"
	if c.server.Addr().Is6() {
		network = "udp6"
	}
	// Not connected: a reply from the wrong address has to be seen, not filtered by the kernel.
	if c.conn, err = net.ListenUDP(network, from); err != nil {
		t.Fatalf("radiustest: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		c.conn.Close()
		<-done
	})
	return c
}

// read collects datagrams until the socket is closed. What nobody receives is lost, as in a
// gateway.
func (c *Client) read() {
	for b := make([]byte, 1<<16); ; {
		n, from, err := c.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		select {
		case c.in <- datagram{bytes.Clone(b[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}:
		default:
		}
	}
}

// Addr is the address that the client sends from.
func (c *Client) Addr() netip.AddrPort { return c.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Login returns an Access-Request like the function of that name, with the Identifier after the
// one before, so that 256 of them can be under way at a time.
func (c *Client) Login(name, password string) *probe.Request {
	q := probe.Login(c.secret, name, password)
	q.Identifier = c.next
	c.next++
	return q
}

// Send sends each of the packets in turn.
func (c *Client) Send(packets ...[]byte) {
	c.t.Helper()
	for _, p := range packets {
		if err := c.Write(p); err != nil {
			c.t.Fatalf("radiustest: %v", err)
		}
	}
}

// Write is Send for one packet, and may be called outside the test's goroutine.
func (c *Client) Write(packet []byte) error {
	_, err := c.conn.WriteToUDPAddrPort(packet, c.server)
	return err
}

// Receive waits that long for the next datagram. It returns [ErrSilence] when none comes, and an
// error when one comes from another address than the server's.
func (c *Client) Receive(within time.Duration) ([]byte, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case d := <-c.in:
		if d.from != c.server {
			return nil, fmt.Errorf("a reply from %v, the packet went to %v", d.from, c.server)
		}
		return d.octets, nil
	case <-timer.C:
		return nil, ErrSilence
	}
}

// Try sends a packet and checks what comes back. It may be called outside the test's goroutine.
func (c *Client) Try(packet []byte, within time.Duration) (probe.Reply, error) {
	if err := c.Write(packet); err != nil {
		return probe.Reply{}, err
	}
	b, err := c.Receive(within)
	if err != nil {
		return probe.Reply{}, err
	}
	return probe.Check(packet, b, c.secret)
}

// Exchange is Try for a reply that must come and be right; else the test ends.
func (c *Client) Exchange(packet []byte) probe.Reply {
	c.t.Helper()
	r, err := c.Try(packet, Patience)
	if err != nil {
		c.t.Fatalf("radiustest: %v", err)
	}
	return r
}

// Answered waits for a reply to a packet that was sent before; it must come and be right.
func (c *Client) Answered(packet []byte) probe.Reply {
	c.t.Helper()
	b, err := c.Receive(Patience)
	if err != nil {
		c.t.Fatalf("radiustest: %v", err)
	}
	r, err := probe.Check(packet, b, c.secret)
	if err != nil {
		c.t.Fatalf("radiustest: %v", err)
	}
	return r
}

// Alive asks for the server's status, and fails the test when the next datagram is not the answer.
// Packets of one socket are sorted in the order in which they arrive, so silence about what was
// sent before is then silence for good, delayed refusals and logins apart.
func (c *Client) Alive() {
	c.t.Helper()
	if r := c.Exchange(probe.NewRequest(probe.StatusServer, c.secret).Signed().Octets()); !r.Is(probe.AccessAccept) {
		c.t.Fatalf("radiustest: Status-Server was answered with code %d", r.Code)
	}
}

// Silent fails the test when anything comes within that time.
func (c *Client) Silent(during time.Duration) {
	c.t.Helper()
	if b, err := c.Receive(during); !errors.Is(err, ErrSilence) {
		c.t.Fatalf("radiustest: expected silence, got %x, %v", b, err)
	}
}
