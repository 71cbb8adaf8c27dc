package mmsg

import (
	"bytes"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// Bounds of what goes as one message, which the kernel cuts into datagrams again (udp(7), UDP_SEGMENT).
const (
	segments      = 64     // datagrams
	segmentOctets = 1200   // of each: what has to be cut for the network cannot go together
	messageOctets = 60_000 // of all
)

// Outgoing are datagrams on their way. Those of the same length for the same place go as one message, because
// the way through the kernel costs several times what one more datagram does: measured over loopback, 1.6 µs
// instead of 6.7 for each of 35. It is for one goroutine at a time; what is added may not change until Reset.
type Outgoing struct {
	all      []datagram // in the order in which they are sent
	gone     int        // of all
	messages []ipv4.Message
	used     int      // messages since Reset
	memory   []memory // of messages
}

type datagram struct {
	to      netip.AddrPort
	control []byte
	octets  []byte
}

// memory is what a message needs beside what is sent.
type memory struct {
	peer    *net.UDPAddr
	control []byte
}

// Add adds a datagram, with the control message that goes with it.
func (o *Outgoing) Add(to netip.AddrPort, control, octets []byte) {
	o.all = append(o.all, datagram{to, control, octets})
}

// Left is how many are to be sent yet.
func (o *Outgoing) Left() int { return len(o.all) - o.gone }

// Drop forgets the next n of them, because they were sent, or because they are given up.
func (o *Outgoing) Drop(n int) { o.gone += n }

// Reset forgets all of them, and keeps the memory.
func (o *Outgoing) Reset() {
	clear(o.all)
	o.all, o.gone = o.all[:0], 0
	used := o.messages[:o.used]
	for i := range used {
		clear(used[i].Buffers)
		used[i].OOB = nil
	}
	o.used = 0
}

// Messages makes messages of what is left, with one buffer for each datagram of it: together, or each by itself.
// They are good until the next call of any method but Left.
func (o *Outgoing) Messages(together bool) []ipv4.Message {
	o.messages = o.messages[:0]
	for left := o.all[o.gone:]; len(left) > 0; {
		n := 1
		if together && canSegment {
			n = gather(left)
		}
		o.message(left[:n])
		left = left[n:]
	}
	o.used = max(o.used, len(o.messages))
	return o.messages
}

// gather moves those that go with the first behind it, and returns how many they are with it.
func gather(ds []datagram) int {
	first := &ds[0]
	length := len(first.octets)
	if length == 0 || length > segmentOctets {
		return 1
	}
	n, most := 1, min(segments, messageOctets/length)
	for i := 1; i < len(ds) && n < most; i++ {
		if d := &ds[i]; len(d.octets) == length && d.to == first.to && bytes.Equal(d.control, first.control) {
			ds[n], ds[i] = ds[i], ds[n]
			n++
		}
	}
	return n
}

// message makes one message of datagrams that go together.
func (o *Outgoing) message(ds []datagram) {
	at := len(o.messages)
	if at == cap(o.messages) {
		o.messages = append(o.messages, ipv4.Message{})
	} else {
		o.messages = o.messages[:at+1]
	}
	if at == len(o.memory) {
		o.memory = append(o.memory, memory{peer: &net.UDPAddr{IP: make(net.IP, 0, net.IPv6len)}})
	}
	m, own := &o.messages[at], &o.memory[at]
	m.Buffers, m.OOB, m.Addr = m.Buffers[:0], ds[0].control, own.peer
	for i := range ds {
		m.Buffers = append(m.Buffers, ds[i].octets)
	}
	if len(ds) > 1 {
		own.control = appendSegment(append(own.control[:0], ds[0].control...), len(ds[0].octets))
		m.OOB = own.control
	}
	set(own.peer, ds[0].to)
}

func set(peer *net.UDPAddr, to netip.AddrPort) {
	address := to.Addr()
	peer.Port, peer.Zone = int(to.Port()), address.Zone()
	if address.Is4() {
		four := address.As4()
		peer.IP = append(peer.IP[:0], four[:]...)
		return
	}
	six := address.As16()
	peer.IP = append(peer.IP[:0], six[:]...)
}
