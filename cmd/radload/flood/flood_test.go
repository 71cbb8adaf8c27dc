package flood

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

const secret = "testing-secret"

// server counts what comes, and answers it with these octets if there are any.
func server(t *testing.T, answer []byte) (netip.AddrPort, *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	count, done := new(atomic.Int64), make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			_, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			count.Add(1)
			if answer != nil {
				_, _ = conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), count
}

// of returns the people of a flood of a kind.
func of(t *testing.T, kind Kind) *roster.Roster {
	t.Helper()
	if kind != Guess {
		return nil
	}
	r, err := roster.Derive(roster.Family{Master: []byte("bench"), Count: 1000}, roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func flood(t *testing.T, kind Kind, to netip.AddrPort) *Result {
	t.Helper()
	r, err := Run(t.Context(), Options{
		Kind: kind, Server: to, Source: netip.MustParseAddr("127.0.0.3"), Secret: []byte(secret), Rate: 2000, Duration: time.Second, Now: time.Now,
		Roster: of(t, kind),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestJudged is what a flood makes of answers.
func TestJudged(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   Kind
		answer []byte
		right  bool
	}{
		{"garbage, silence", Garbage, nil, true},
		{"garbage, answered", Garbage, []byte{packet.AccessReject}, false},
		{"strangers, answered", Stranger, []byte{packet.AccessReject}, false},
		{"forged, answered", Forged, []byte{packet.AccessReject}, false},
		{"forged, accepted", Forged, []byte{packet.AccessAccept}, false},
		{"unknown, refused", Unknown, []byte{packet.AccessReject}, true},
		{"unknown, accepted", Unknown, []byte{packet.AccessAccept}, false},
		{"guesses, refused", Guess, []byte{packet.AccessReject}, true},
		{"guesses, accepted", Guess, []byte{packet.AccessAccept}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to, count := server(t, c.answer)
			r := flood(t, c.kind, to)
			if r.Right() != c.right || r.Kind != c.kind {
				t.Errorf("%+v", r)
			}
			if r.Sent < 100 || r.Sent > 2000 || count.Load() == 0 || (c.answer != nil) != (r.Answered > 0) {
				t.Errorf("%d arrived, %+v", count.Load(), r)
			}
		})
	}
}

// TestNobodyListens goes on, and counts it.
func TestNobodyListens(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if r := flood(t, Forged, to); r.Unreached == 0 || r.Sent < 100 {
		t.Errorf("%+v", r)
	}
}

// TestPackets are what their kind says.
func TestPackets(t *testing.T) {
	for _, kind := range []Kind{Stranger, Forged, Unknown, Guess} {
		names := map[string]bool{}
		m := newMaker(kind, of(t, kind), []byte(secret), [32]byte{1})
		for range 100 {
			b := m.packet(make([]byte, 0, packetRoom))
			if int(binary.BigEndian.Uint16(b[2:])) != len(b) || b[20] != 80 || b[38] != 1 {
				t.Fatalf("%s: %x", kind, b)
			}
			names[string(b[40:38+b[39]])] = true
			signature := [16]byte(b[22:38])
			clear(b[22:38])
			mac := hmac.New(md5.New, []byte(secret))
			mac.Write(b)
			right := hmac.Equal(mac.Sum(nil), signature[:])
			copy(b[22:38], signature[:])
			if right != (kind != Forged) {
				t.Errorf("%s: signed: %v", kind, right)
			}
		}
		if len(names) < 90 { // some of a thousand people come twice
			t.Errorf("%s: %d names", kind, len(names))
		}
	}
}

func TestNames(t *testing.T) {
	for _, kind := range []Kind{Garbage, Stranger, Forged, Unknown, Guess} {
		if got, err := Parse(kind.String()); got != kind || err != nil {
			t.Errorf("%s: %s %v", kind, got, err)
		}
	}
	if _, err := Parse("rain"); err == nil {
		t.Error("it rains")
	}
}

// TestTogether looks at what arrives of packets that are sent together: each is one of its own, as it was made.
func TestTogether(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadBuffer(4 << 20)
	r, err := Run(t.Context(), Options{
		Kind: Forged, Server: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: []byte(secret), Rate: 100_000, Duration: 20 * time.Millisecond, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for range min(r.Sent, 100) {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if int(binary.BigEndian.Uint16(b[2:])) != n || b[20] != 80 {
			t.Errorf("%d octets: %x", n, b[:n])
		}
	}
	if r.Sent == 0 || r.SendErrors > 0 {
		t.Errorf("%+v", r)
	}
}

// TestEnds holds that no flood goes on for ever.
func TestEnds(t *testing.T) {
	to, _ := server(t, nil)
	for _, o := range []Options{
		{Rate: 0, Duration: time.Second}, {Rate: MaxRate + 1, Duration: time.Second}, {Rate: 1}, {Rate: 1, Duration: MaxDuration + 1},
		{Rate: 1, Duration: time.Second, Kind: Guess}, {Rate: 1, Duration: time.Second, Roster: of(t, Guess)},
	} {
		o.Server, o.Now = to, time.Now
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v", o)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Run(ctx, Options{Kind: Garbage, Server: to, Rate: 100, Duration: time.Hour, Now: time.Now}); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	room := make([]byte, 0, packetRoom)
	for _, kind := range []Kind{Garbage, Stranger, Forged, Unknown, Guess} {
		m := newMaker(kind, of(t, kind), []byte(secret), [32]byte{1})
		if n := testing.AllocsPerRun(100, func() { _ = m.packet(room) }); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
	}
}
