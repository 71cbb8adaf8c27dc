package mmsg_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/radius/mmsg"
)

// inbox is a socket that others on this host send to.
func inbox(t *testing.T, loopback string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(loopback)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// received is what is in it, in a few milliseconds' time: on loopback it is there at once.
func received(t *testing.T, conn *net.UDPConn, want int) (got []string) {
	t.Helper()
	b := make([]byte, 65536)
	for len(got) < want {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("after %d datagrams: %v", len(got), err)
		}
		got = append(got, string(b[:n]))
	}
	return got
}

// send sends all that is left, and returns how many messages it took.
func send(t *testing.T, conn *net.UDPConn, o *mmsg.Outgoing, together bool) (messages int) {
	t.Helper()
	p := ipv4.NewPacketConn(conn)
	for o.Left() > 0 {
		ms := o.Messages(together)
		n, err := p.WriteBatch(ms, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			o.Drop(len(ms[i].Buffers))
		}
		messages += n
	}
	o.Reset()
	return messages
}

// TestWhatGoesTogetherArrivesApart sends datagrams of several lengths to two places, and compares every octet.
func TestWhatGoesTogetherArrivesApart(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) { testTogether(t, loopback) })
	}
}

func testTogether(t *testing.T, loopback string) {
	from, _ := inbox(t, loopback)
	var to [2]*net.UDPConn
	var address [2]netip.AddrPort
	for i := range to {
		to[i], address[i] = inbox(t, loopback)
	}
	o := new(mmsg.Outgoing)
	for _, c := range []struct {
		together bool
		messages int
	}{{true, 2 * (1 + 2 + 1 + 3)}, {false, 2 * 134}, {true, 2 * (1 + 2 + 1 + 3)}} { // the last: memory that was used before
		var want [2]map[string]int
		want[0], want[1] = map[string]int{}, map[string]int{}
		for n := range 2 * 134 {
			i := n % 2
			octets := bytes.Repeat([]byte(fmt.Sprintf("%05d", n)), 8) // 130 of them: 64, 64, 2
			switch {
			case n < 2:
				octets = bytes.Repeat(octets, 2) // the only one of its length
			case n < 6:
				octets = bytes.Repeat(octets, 31) // two that are too long to go together
			case n < 8:
				octets = octets[:30] // as the first
			}
			want[i][string(octets)]++
			o.Add(address[i], nil, octets)
		}
		if o.Left() != 2*134 {
			t.Fatalf("%d left", o.Left())
		}
		messages := send(t, from, o, c.together)
		for i := range to {
			for _, got := range received(t, to[i], 134) {
				want[i][got]--
			}
			for octets, n := range want[i] {
				if n != 0 {
					t.Errorf("together %t: %q came %d times too few", c.together, octets, n)
				}
			}
		}
		if messages != c.messages {
			t.Errorf("together %t: %d messages", c.together, messages)
		}
	}
}

// TestControlMessagesAreKept: what leaves from different addresses does not go together.
func TestControlMessagesAreKept(t *testing.T) {
	o := new(mmsg.Outgoing)
	to := netip.MustParseAddrPort("127.0.0.1:9")
	one := (&ipv4.ControlMessage{Src: net.IPv4(127, 0, 0, 1)}).Marshal()
	other := (&ipv4.ControlMessage{Src: net.IPv4(127, 0, 0, 2)}).Marshal()
	for _, control := range [][]byte{one, other, one, other, one} {
		o.Add(to, control, []byte("octets"))
	}
	ms := o.Messages(true)
	if len(ms) != 2 || len(ms[0].Buffers) != 3 || len(ms[1].Buffers) != 2 ||
		!bytes.HasPrefix(ms[0].OOB, one) || !bytes.HasPrefix(ms[1].OOB, other) || len(ms[0].OOB) <= len(one) {
		t.Errorf("%+v", ms)
	}
	if ms = o.Messages(false); len(ms) != 5 {
		t.Errorf("%d messages", len(ms))
	}
}

// TestNothingIsAllocatedTwice: the memory of a batch serves the next.
func TestNothingIsAllocatedTwice(t *testing.T) {
	o := new(mmsg.Outgoing)
	to := netip.MustParseAddrPort("127.0.0.1:9")
	octets := make([]byte, 40)
	batch := func() {
		for range 64 {
			o.Add(to, nil, octets)
		}
		for o.Left() > 0 {
			o.Drop(len(o.Messages(true)[0].Buffers))
		}
		o.Reset()
	}
	if n := testing.AllocsPerRun(100, batch); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
