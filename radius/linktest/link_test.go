package linktest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestAFateIsDecidedByTheSeed(t *testing.T) {
	f := Faults{Loss: 0.05, Double: 0.1, Hold: 0.2, Wander: time.Second, Late: 0.3}
	count := func(seed uint64) (all []fate) {
		for n := range uint64(10_000) {
			all = append(all, f.fateOf(seed, 3, 1, n))
		}
		return all
	}
	one := count(1)
	if !slices.Equal(one, count(1)) {
		t.Error("the same seed brings other faults")
	}
	if slices.Equal(one, count(2)) {
		t.Error("another seed brings the same faults")
	}
	var lost, doubled, held, late int
	for _, x := range one {
		for what, is := range map[*int]bool{&lost: x.lost, &doubled: x.double > 0, &held: x.hold > 0, &late: x.late} {
			if is {
				*what++
			}
		}
		if x.hold > f.Wander || x.double > f.Wander+1 {
			t.Fatalf("too late: %+v", x)
		}
	}
	for _, c := range []struct {
		name      string
		got, want int
	}{{"lost", lost, 500}, {"doubled", doubled, 1000}, {"held", held, 2000}, {"late", late, 3000}} {
		if c.got < c.want*9/10 || c.got > c.want*11/10 {
			t.Errorf("%d %s of 10,000, want about %d", c.got, c.name, c.want)
		}
	}
	var none Faults
	if x := none.fateOf(1, 0, 0, 7); x != (fate{}) {
		t.Errorf("without faults: %+v", x)
	}
}

// echo is a server that sends everything back.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 1500); ; {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// through sends so many numbers through a link, and returns those that come back in half a second of
// silence.
func through(t *testing.T, l *Link, numbers int) (back []uint64) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := make([]byte, 16)
	receive := func(within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		if _, err := conn.Read(b); err != nil {
			return false
		}
		back = append(back, binary.BigEndian.Uint64(b))
		return true
	}
	for n := range numbers {
		if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
			t.Fatal(err)
		}
		receive(time.Millisecond) // so that no buffer runs over
	}
	for receive(500 * time.Millisecond) {
	}
	return back
}

func TestAGoodLinkPassesEverything(t *testing.T) {
	l := Start(t, Options{Server: echo(t)})
	back := through(t, l, 300)
	if len(back) != 300 || !slices.IsSorted(back) {
		t.Errorf("%d came back, in order: %v", len(back), slices.IsSorted(back))
	}
	if c := l.Counts(); c != (Counts{Passed: 600}) {
		t.Errorf("%+v", c)
	}
}

func TestABadLinkDoesWhatItSays(t *testing.T) {
	bad := Faults{Loss: 0.1, Double: 0.2, Hold: 0.2, Wander: 50 * time.Millisecond, Late: 0.1}
	l := Start(t, Options{Server: echo(t), Seed: 1, There: bad})
	back := through(t, l, 500)
	c := l.Counts()
	distinct := slices.Clone(back)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	if c.Lost == 0 || len(distinct) != 500-int(c.Lost) {
		t.Errorf("%d came back of 500, %d were lost", len(distinct), c.Lost)
	}
	if c.Doubled == 0 || len(back) != len(distinct)+int(c.Doubled) {
		t.Errorf("%d came back, %d of them different, %d were doubled", len(back), len(distinct), c.Doubled)
	}
	if c.Held == 0 || slices.IsSorted(back) {
		t.Errorf("%d were held, and none overtaken", c.Held)
	}
	if c.Late != 0 || c.Overflowed != 0 {
		t.Errorf("before their time: %+v", c)
	}
	l.Change(Faults{}, Faults{})
	if n := l.Release(); n == 0 || l.Counts().Late != uint64(n) || l.Release() != 0 {
		t.Errorf("%d late copies, %+v", n, l.Counts())
	}
}

func TestALateCopyComesByItself(t *testing.T) {
	l := Start(t, Options{Server: echo(t), Seed: 1, There: Faults{Late: 1, LateBy: 100 * time.Millisecond}})
	if back := through(t, l, 1); len(back) != 2 {
		t.Errorf("%d came back, want 2", len(back))
	}
}

func TestALinkIsBounded(t *testing.T) {
	l := Start(t, Options{Server: echo(t), There: Faults{Late: 1}})
	l.mu.Lock()
	l.underWay = maxUnderWay
	l.mu.Unlock()
	if back := through(t, l, 3); len(back) != 3 || l.Counts().Overflowed != 3 || l.Release() != 0 {
		t.Errorf("%d came back, %+v", len(back), l.Counts())
	}
	l.mu.Lock()
	for n := range maxGateways {
		l.gateways[netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(n))] = &gateway{conn: l.front}
	}
	l.mu.Unlock()
	if back := through(t, l, 3); len(back) != 0 || l.Counts().Overflowed != 6 {
		t.Errorf("%d came back from a gateway too many, %+v", len(back), l.Counts())
	}
}
