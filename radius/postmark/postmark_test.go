package postmark

import (
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// wire is a socket that is asked, on a small buffer, with who sends to it.
func wire(t *testing.T, network, address string) (*net.UDPConn, net.Conn) {
	t.Helper()
	to, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	in, err := net.ListenUDP(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	if err := in.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if err := Ask(in); err != nil {
		t.Fatal(err)
	}
	out, err := net.Dial(network, in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return in, out
}

// begun waits until the kernel notes when a datagram came rather than when it is read: it begins a moment after
// the first socket of the machine has asked.
func begun(t *testing.T, in *net.UDPConn, out net.Conn) {
	t.Helper()
	const lying = 2 * time.Millisecond
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		<-time.After(lying)
		read := time.Now()
		if m, _ := receive(t, in); !m.Came.IsZero() && m.Came.Before(read) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel does not note when a datagram came")
		}
	}
}

// receive reads one datagram with its mark.
func receive(t *testing.T, in *net.UDPConn) (Mark, string) {
	t.Helper()
	b, control := make([]byte, 64), make([]byte, 128)
	if err := in.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, noted, _, _, err := in.ReadMsgUDP(b, control)
	if err != nil {
		t.Fatal(err)
	}
	return Read(control[:noted]), string(b[:n])
}

// TestAge is the time that a datagram has been lying in the kernel.
func TestAge(t *testing.T) {
	for _, c := range []struct{ network, address string }{{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		t.Run(c.network, func(t *testing.T) {
			in, out := wire(t, c.network, c.address)
			begun(t, in, out)
			before := time.Now()
			if _, err := out.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			after := time.Now()
			const lying = 50 * time.Millisecond
			<-time.After(lying)
			m, _ := receive(t, in)
			if m.Came.Before(before.Add(-time.Millisecond)) || m.Came.After(after.Add(time.Millisecond)) {
				t.Errorf("came at %s, not from %s to %s", m.Came, before, after)
			}
			if age := m.Age(time.Now()); age < lying || age > time.Minute {
				t.Errorf("%s old", age)
			}
		})
	}
}

// TestBesidePacketInfo: the address that a datagram was sent to is noted as well, where that is asked for.
func TestBesidePacketInfo(t *testing.T) {
	four, out4 := wire(t, "udp4", "0.0.0.0:0")
	six, out6 := wire(t, "udp6", "[::]:0")
	if err := ipv4.NewPacketConn(four).SetControlMessage(ipv4.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	if err := ipv6.NewPacketConn(six).SetControlMessage(ipv6.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in  *net.UDPConn
		out net.Conn
	}{{four, out4}, {six, out6}} {
		if _, err := c.out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if m, _ := receive(t, c.in); m.Came.IsZero() {
			t.Errorf("%s: no time", c.in.LocalAddr())
		}
	}
}

// TestDropped are those that did not fit into the buffer: what came before one that is read was either read or
// dropped.
func TestDropped(t *testing.T) {
	in, out := wire(t, "udp4", "127.0.0.1:0")
	sent := byte(0)
	send := func() {
		if _, err := out.Write([]byte{sent}); err != nil {
			t.Fatal(err)
		}
		sent++
	}
	for range 100 {
		send()
	}
	var d Dropped
	read, dropped := 0, 0
	for text := ""; sent < 200 && dropped == 0; {
		var m Mark
		m, text = receive(t, in)
		read, dropped = read+1, dropped+int(d.Since(m))
		if read+dropped != int(text[0])+1 {
			t.Fatalf("%d read and %d dropped when the one with number %d came", read, dropped, text[0])
		}
		send() // until there is room for one that comes after those that were dropped
	}
	if dropped < 50 {
		t.Errorf("%d dropped", dropped)
	}
}

func TestDroppedSince(t *testing.T) {
	var d Dropped
	for _, c := range []struct {
		mark Mark
		want uint32
	}{
		{Mark{}, 0},
		{Mark{Dropped: 7, Counted: true}, 7},
		{Mark{Dropped: 7, Counted: true}, 0},
		{Mark{}, 0},
		{Mark{Dropped: 6, Counted: true}, 0}, // an older one
		{Mark{Dropped: 9, Counted: true}, 2},
	} {
		if got := d.Since(c.mark); got != c.want {
			t.Errorf("%+v: %d more, want %d", c.mark, got, c.want)
		}
	}
	d = Dropped{last: 1<<32 - 2}
	if got := d.Since(Mark{Dropped: 3, Counted: true}); got != 5 {
		t.Errorf("%d more when the count has begun anew", got)
	}
}

// TestAgeByAClock: what is not noted is new, and nothing comes from the future.
func TestAgeByAClock(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		came time.Time
		want time.Duration
	}{
		{time.Time{}, 0},
		{now.Add(-time.Second), time.Second},
		{now, 0},
		{now.Add(time.Hour), 0},
	} {
		if got := (Mark{Came: c.came}).Age(now); got != c.want {
			t.Errorf("%s: %s old, want %s", c.came, got, c.want)
		}
	}
}

// TestNonsense is control messages that no kernel writes.
func TestNonsense(t *testing.T) {
	for size := range 40 {
		for fill := range 256 {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(fill)
			}
			if m := Read(b); m != (Mark{}) {
				t.Errorf("%x: %+v", b, m)
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	in, out := wire(t, "udp4", "127.0.0.1:0")
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	control := make([]byte, 128)
	_, n, _, _, err := in.ReadMsgUDP(make([]byte, 64), control)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = Read(control[:n]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
