package radius

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"otpgate/radius/mmsg"
	"otpgate/radius/postmark"
)

const (
	batchSize     = 64                 // datagrams per system call, and in a batch; more did not make it faster
	receiveBuffer = 4 << 20            // octets that the kernel is asked to keep for us
	controlSize   = 64 + postmark.Size // octets of packet info, either family, and of the kernel's notes
)

// A full send buffer is waited for in pauses that double, seven of them: 127 ms in all. No write
// waits longer, whatever the network does.
const (
	writePause  = time.Millisecond
	writePauses = 7
)

// writeWindow is how many answers are looked at together when they are sent. Who goes with whom is found by comparing
// each with all others, and found anew when the kernel leaves some: of tens of thousands that would take minutes.
const writeWindow = 2 * batchSize

// batchConn is what ipv4.PacketConn and ipv6.PacketConn have in common.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

// quick reads without making an address of each sender.
type quick struct {
	batchConn
	in *mmsg.Reader
}

// ReadBatch implements batchConn.
func (q quick) ReadBatch(ms []ipv4.Message, flags int) (int, error) { return q.in.ReadBatch(ms, flags) }

// socket is one UDP socket of one address family. Its reader alone uses the fields after pool.
type socket struct {
	batchConn
	local    netip.AddrPort
	takes    service
	wildcard bool // packet info tells the address that a datagram was sent to
	six      bool
	room     int         // octets that the kernel keeps for us; 0: it does not say
	pool     sync.Pool   // of *mmsg.Outgoing
	apart    atomic.Bool // the kernel does not take answers together

	dropped     postmark.Dropped
	lastLocal   netip.Addr
	lastControl []byte
	info4       ipv4.ControlMessage
	info6       ipv6.ControlMessage
}

// listen binds the sockets for an address "host:port". An empty host is every address of both
// families, on a socket for each; "0.0.0.0" and "[::]" are those of one family.
func listen(ctx context.Context, address string, takes service) ([]*socket, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("radius: listen on %q: %w", address, err)
	}
	if host != "" {
		addr, err := net.ResolveUDPAddr("udp", address)
		if err != nil {
			return nil, fmt.Errorf("radius: listen on %q: %w", address, err)
		}
		network := "udp4"
		if addr.IP.To4() == nil {
			network = "udp6"
		}
		k, err := bind(ctx, network, addr.String())
		if err != nil {
			return nil, err
		}
		k.takes = takes
		return []*socket{k}, nil
	}
	sockets, err := listenBoth(ctx, port)
	for _, k := range sockets {
		k.takes = takes
	}
	return sockets, err
}

// warnOfRoom tells of sockets for which the kernel keeps less than it was asked to, once for all of them.
func (s *Server) warnOfRoom() {
	for _, k := range s.sockets {
		if k.room > 0 && k.room < receiveBuffer {
			s.logger.Warn("little room for packets that wait to be read", "address", k.local.String(), "octets", k.room, "wanted", receiveBuffer,
				"hint", fmt.Sprintf("sysctl -w net.core.rmem_max=%d, and the same under /etc/sysctl.d: what does not fit in a rush is lost", receiveBuffer))
			return
		}
	}
}

// listenBoth binds one port in both families. With port 0 the kernel chooses one for IPv4 that
// may be taken in IPv6: then another is tried.
func listenBoth(ctx context.Context, port string) ([]*socket, error) {
	for try := 1; ; try++ {
		four, err := bind(ctx, "udp4", net.JoinHostPort("0.0.0.0", port))
		if err != nil {
			return nil, err
		}
		six, err := bind(ctx, "udp6", fmt.Sprintf("[::]:%d", four.local.Port()))
		switch {
		case err == nil:
			return []*socket{four, six}, nil
		case errors.Is(err, syscall.EAFNOSUPPORT), errors.Is(err, syscall.EADDRNOTAVAIL):
			return []*socket{four}, nil // a machine without IPv6
		}
		four.Close()
		if port != "0" || try == 16 {
			return nil, err
		}
	}
}

func bind(ctx context.Context, network, address string) (*socket, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("radius: %w", err)
	}
	udp := conn.(*net.UDPConn)
	// The kernel gives less when net.core.rmem_max says so, which is no reason not to start: see warnOfRoom.
	_ = udp.SetReadBuffer(receiveBuffer)
	_ = postmark.Ask(udp) // without it datagrams are as old as they are read
	k := &socket{six: network == "udp6", room: mmsg.Room(udp)}
	k.local = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	k.local = netip.AddrPortFrom(k.local.Addr().Unmap(), k.local.Port())
	k.wildcard = k.local.Addr().IsUnspecified()
	k.pool.New = func() any { return new(mmsg.Outgoing) }
	if k.six {
		p := ipv6.NewPacketConn(udp)
		k.batchConn = p
		err = p.SetControlMessage(ipv6.FlagDst, k.wildcard)
	} else {
		p := ipv4.NewPacketConn(udp)
		k.batchConn = p
		err = p.SetControlMessage(ipv4.FlagDst, k.wildcard)
	}
	if k.wildcard && err != nil {
		k.Close()
		return nil, fmt.Errorf("radius: packet info on %s: %w", address, err)
	}
	in, err := mmsg.NewReader(udp, batchSize)
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("radius: reading %s: %w", address, err)
	}
	if in != nil {
		k.batchConn = quick{k.batchConn, in}
	}
	return k, nil
}

// messages makes the buffers that the reader of k uses over and over. A datagram that does not
// fit is cut, which does no harm: no packet is longer, the rest of such a datagram is padding.
func (k *socket) messages() []ipv4.Message {
	in := make([]ipv4.Message, batchSize)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, maxLength)}
		in[i].OOB = make([]byte, controlSize)
	}
	return in
}

// arrivedAt is the address that a datagram was sent to, and the control message that makes the
// reply leave from it (nil when it will anyway). Only the reader of k may call it; the octets may
// be shared by anybody.
func (k *socket) arrivedAt(m *ipv4.Message) (netip.Addr, []byte) {
	if !k.wildcard || m.NN == 0 {
		return k.local.Addr(), nil
	}
	var ip net.IP
	var index int
	if k.six {
		if k.info6.Parse(m.OOB[:m.NN]) != nil {
			return k.local.Addr(), nil
		}
		ip, index = k.info6.Dst, k.info6.IfIndex
	} else {
		if k.info4.Parse(m.OOB[:m.NN]) != nil {
			return k.local.Addr(), nil
		}
		ip = k.info4.Dst
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.IsMulticast() {
		return k.local.Addr(), nil
	}
	addr = addr.Unmap()
	if !addr.IsLinkLocalUnicast() || !k.six {
		index = 0 // the way back is for the routing table to find
	}
	if addr != k.lastLocal || index != 0 {
		k.lastLocal, k.lastControl = addr, k.control(addr, index)
	}
	return addr, k.lastControl
}

func (k *socket) control(source netip.Addr, index int) []byte {
	if k.six {
		return (&ipv6.ControlMessage{Src: source.AsSlice(), IfIndex: index}).Marshal()
	}
	return (&ipv4.ControlMessage{Src: source.AsSlice()}).Marshal()
}

// String is the address that is listened on, for the log.
func (k *socket) String() string { return k.local.String() }

// ended implements [transport]: the kernel bounds what waits to be read.
func (k *socket) ended() {}

// write sends answers of this socket in as few system calls and messages as it takes, and returns how many
// could not be sent: the kernel says so for the first of a batch only, so that one is left out.
// When the kernel takes nothing for as long as the pauses last, the rest is given up.
func (k *socket) write(answers []answer) (unsent int, err error) {
	out := k.pool.Get().(*mmsg.Outgoing)
	pauses, together := 0, false
	doubted := 0 // were not taken together, and perhaps are one by one
	for out.Left()+len(answers) > 0 {
		if out.Left() == 0 {
			n := min(len(answers), writeWindow)
			fill(out, answers[:n])
			answers = answers[n:]
			together, doubted = !k.apart.Load(), 0
		}
		ms := out.Messages(together)
		// Left to wait for the kernel, WriteBatch would wait for ever.
		n, failed := k.WriteBatch(ms, syscall.MSG_DONTWAIT)
		for i := range max(n, 0) {
			out.Drop(len(ms[i].Buffers))
		}
		if doubted > 0 && n >= doubted {
			k.apart.Store(true) // they have left now: it was their going together
		}
		doubted = max(doubted-max(n, 0), 0)
		switch full := errors.Is(failed, syscall.EAGAIN); {
		case full && pauses < writePauses:
			<-time.After(writePause << pauses)
			pauses++
		case full:
			unsent, err = unsent+out.Left()+len(answers), failed
			out.Drop(out.Left())
			answers = nil
		case failed == nil && n > 0:
		case len(ms[0].Buffers) > 1: // perhaps each by itself can be sent
			together = false
			if mmsg.Unsegmented(failed) {
				doubted = len(ms[0].Buffers)
			}
		default:
			unsent, err, doubted = unsent+1, failed, 0
			out.Drop(1)
		}
	}
	out.Reset()
	k.pool.Put(out)
	return unsent, err
}

// fill has these answers sent next.
func fill(out *mmsg.Outgoing, answers []answer) {
	out.Reset()
	for i := range answers {
		out.Add(answers[i].peer, answers[i].control, answers[i].octets)
	}
}
