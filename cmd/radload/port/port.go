package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// BatchSize is how many datagrams go through one system call at most.
const BatchSize = 64

const receiveBuffer = 1 << 20 // octets that the kernel is asked to keep for a port

// A Message is one datagram of a batch.
type Message = ipv4.Message

// A Port is a connected UDP socket.
type Port interface {
	// ReadBatch and WriteBatch pass on as many messages as they say, in one system call.
	ReadBatch(ms []Message, flags int) (int, error)
	WriteBatch(ms []Message, flags int) (int, error)
	Close() error
}

// Dial opens a port towards a server, from an address that may be the zero one. It is connected, so
// that nobody else's datagrams come in, and that the system tells when nobody listens there.
func Dial(ctx context.Context, source netip.Addr, server netip.AddrPort) (Port, error) {
	udp, err := dial(ctx, source, server)
	if err != nil {
		return nil, err
	}
	return wrapped(udp, server), nil
}

// DialSegmented opens a port that takes several datagrams of so many octets as one message, which costs a fraction of
// sending each by itself. It is false where the system does not do that; then it is a port as any other.
func DialSegmented(ctx context.Context, source netip.Addr, server netip.AddrPort, octets int) (Port, bool, error) {
	udp, err := dial(ctx, source, server)
	if err != nil {
		return nil, false, err
	}
	together := octets > 0 && segment(udp, octets) == nil
	return wrapped(udp, server), together, nil
}

func dial(ctx context.Context, source netip.Addr, server netip.AddrPort) (*net.UDPConn, error) {
	var d net.Dialer
	if source.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	conn, err := d.DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, fmt.Errorf("a port towards %s: %w", server, err)
	}
	udp := conn.(*net.UDPConn)
	_ = udp.SetReadBuffer(receiveBuffer) // less is no reason not to start
	return udp, nil
}

func wrapped(udp *net.UDPConn, server netip.AddrPort) Port {
	if server.Addr().Unmap().Is4() {
		return ipv4.NewPacketConn(udp)
	}
	return ipv6.NewPacketConn(udp)
}

// Unreached reports whether an error tells that an earlier datagram did not get there. The port is of
// use as before.
func Unreached(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// Messages returns a batch of this size, with so many octets of room in each message.
func Messages(size, room int) []Message {
	ms := make([]Message, size)
	octets := make([]byte, size*room)
	for i := range ms {
		ms[i].Buffers = [][]byte{octets[i*room : (i+1)*room]}
	}
	return ms
}
