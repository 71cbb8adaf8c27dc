package port

import (
	"net"
	"net/netip"
	"testing"
)

// TestBothFamilies sends a batch and gets it back.
func TestBothFamilies(t *testing.T) {
	for _, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback} {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
		if err != nil {
			t.Fatal(err)
		}
		to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
		p, err := Dial(t.Context(), to.Addr(), to)
		if err != nil {
			t.Fatal(err)
		}
		out, in := Messages(3, 4), Messages(BatchSize, 8)
		for i := range out {
			copy(out[i].Buffers[0], []byte{byte(i), 1, 2, 3})
		}
		if n, err := p.WriteBatch(out, 0); n != 3 || err != nil {
			t.Fatalf("%d sent: %v", n, err)
		}
		b := make([]byte, 8)
		for range 3 {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil || n != 4 || from.Addr().Unmap() != to.Addr() {
				t.Fatalf("%d octets from %s: %v", n, from, err)
			}
			if _, err := conn.WriteToUDPAddrPort(b[:n], from); err != nil {
				t.Fatal(err)
			}
		}
		for got := 0; got < 3; {
			n, err := p.ReadBatch(in, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range in[:n] {
				if m.N != 4 || m.Buffers[0][0] != byte(got) {
					t.Errorf("message %d: %d octets, %x", got, m.N, m.Buffers[0])
				}
				got++
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		unreached(t, p)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// unreached sends to a port that nobody listens at any more.
func unreached(t *testing.T, p Port) {
	t.Helper()
	for range 100 {
		if _, err := p.WriteBatch(Messages(1, 4), 0); err != nil {
			if !Unreached(err) {
				t.Errorf("%v", err)
			}
			return
		}
	}
	t.Error("the system does not tell that nobody listens")
}

func TestNoAddressOfOurs(t *testing.T) {
	if p, err := Dial(t.Context(), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddrPort("127.0.0.1:9")); err == nil {
		_ = p.Close()
		t.Error("packets come from an address that is not this machine's")
	}
}
