package radsec

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestExchange(t *testing.T) {
	w := newWorld(t)
	conn := w.dial()
	for n := range 3 {
		write(t, conn, packet(n, 20+n))
		want(t, conn, packet(n, 20+n))
	}
	c := w.hand.last(t)
	if c.Remote() != netip.MustParseAddrPort(conn.LocalAddr().String()) || c.Local() != netip.MustParseAddrPort(w.address()) {
		t.Errorf("from %v to %v", c.Remote(), c.Local())
	}
	if !slices.Equal(c.Names(), []string{"nas.example"}) || c.Certificate().Subject.CommonName != "radsec client" {
		t.Errorf("%q, %v", c.Names(), c.Certificate().Subject)
	}
	for _, size := range []int{0, 19, 4097} {
		if c.Send(make([]byte, size)) {
			t.Errorf("%d octets were taken for a packet", size)
		}
	}
	if _, open := w.admission.count(); open != 1 {
		t.Errorf("%d are open", open)
	}
	conn.Close()
	w.ended(byPeer)
	if c.Send(packet(1, 20)) {
		t.Error("sent to nobody")
	}
}

// TestEveryAddress: on an empty host, both families are served, and addresses are as those of UDP.
func TestEveryAddress(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.Listen = []string{":0"} })
	_, port, _ := net.SplitHostPort(w.address())
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := tls.Dial("tcp", net.JoinHostPort(host, port), w.config())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		write(t, conn, packet(1, 20))
		want(t, conn, packet(1, 20))
		if c := w.hand.last(t); c.Local().Addr() != netip.MustParseAddr(host) || c.Remote().Addr() != netip.MustParseAddr(host) {
			t.Errorf("%s: from %v to %v", host, c.Remote(), c.Local())
		}
	}
}

// octetwise writes an octet at a time to the network.
type octetwise struct{ net.Conn }

func (o octetwise) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := o.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestHowItIsCut: packets do not care about the borders of segments and of TLS records.
func TestHowItIsCut(t *testing.T) {
	var packets [][]byte
	for n, size := range []int{20, 4096, 21, 100, 4095, 20, 20, 1000} {
		packets = append(packets, packet(n, size))
	}
	all := slices.Concat(packets...)
	for name, cut := range map[string]func(c *tls.Conn) error{
		"records of one octet": func(c *tls.Conn) error { _, err := octetwise{c}.Write(all); return err },
		"records of seven octets": func(c *tls.Conn) error {
			for part := range slices.Chunk(all, 7) {
				if _, err := c.Write(part); err != nil {
					return err
				}
			}
			return nil
		},
		"one write": func(c *tls.Conn) error { _, err := c.Write(all); return err },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			conn := w.dial()
			go func() {
				if err := cut(conn); err != nil {
					t.Error(err)
				}
			}()
			want(t, conn, packets...)
		})
	}
	t.Run("segments of one octet", func(t *testing.T) {
		w := newWorld(t)
		tcp, err := net.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		conn := tls.Client(octetwise{tcp}, w.config())
		go func() { _, _ = conn.Write(all) }()
		want(t, conn, packets...)
	})
}

// TestPipeline: a thousand packets in one write, more than may be pending, are all answered.
func TestPipeline(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxPending = 16 })
	w.hand.work = func(c *Conn, packets [][]byte) {
		go func() {
			for _, p := range packets {
				if !c.Send(p) {
					t.Error("not sent")
				}
				c.Done(1)
			}
		}()
	}
	conn := w.dial()
	var packets [][]byte
	for n := range 1000 {
		packets = append(packets, packet(n, 20+n%300))
	}
	go func() { _, _ = conn.Write(slices.Concat(packets...)) }()
	seen := make(map[uint32]bool)
	for range packets { // in any order: they are worked on side by side
		head := make([]byte, 8)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		n := binary.BigEndian.Uint32(head[4:])
		want(t, conn, packets[n][8:])
		seen[n] = true
	}
	if len(seen) != len(packets) || w.hand.count() != len(packets) {
		t.Errorf("%d answers to %d packets", len(seen), w.hand.count())
	}
}

func TestFramingErrors(t *testing.T) {
	head := func(length uint16) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{1, 1}, length), make([]byte, 30)...)
	}
	for _, c := range []struct {
		name   string
		octets []byte
		end    ending
	}{
		{"Length 0", head(0), shortLength},
		{"Length 19", head(19), shortLength},
		{"Length 4097", head(4097), longLength},
		{"Length 65535", head(65535), longLength},
		{"only the header", head(0)[:4], shortLength},
		{"a packet that does not end", head(4096), slowPacket},
		{"a header that does not end", head(20)[:3], slowPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options, _ *world) { o.PacketTime = moment })
			conn := w.dial()
			write(t, conn, packet(1, 20), c.octets)
			want(t, conn, packet(1, 20)) // what was right is answered
			wantEnd(t, conn)
			w.ended(c.end)
			if w.hand.count() != 1 {
				t.Errorf("%d packets came in", w.hand.count())
			}
			w.logged(t, c.end.hint())
		})
	}
	t.Run("the end inside a packet", func(t *testing.T) {
		w := newWorld(t)
		conn := w.dial()
		write(t, conn, packet(1, 100)[:60])
		conn.Close()
		w.ended(truncated)
	})
	t.Run("cut", func(t *testing.T) {
		w := newWorld(t)
		conn := w.dial().NetConn()
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		w.ended(cut)
	})
}

// TestSlowPackets: an octet now and then does not keep a packet going, but packet after packet does.
func TestSlowPackets(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.PacketTime = 10 * moment })
	conn := w.dial()
	whole := packet(1, 40)
	write(t, conn, whole[:20])
	for range 12 { // each write ends one packet and begins the next
		<-time.After(moment)
		write(t, conn, whole[20:], whole[:20])
		want(t, conn, whole)
	}
	begun := time.Now()
	go func() {
		for i := 20; i < 39; i++ {
			if _, err := conn.Write(whole[i : i+1]); err != nil {
				return
			}
			<-time.After(moment)
		}
	}()
	wantEnd(t, conn)
	if took := time.Since(begun); took > 18*moment {
		t.Errorf("it took %v", took)
	}
	w.ended(slowPacket)
}

func TestIdle(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.IdleTime = 10 * moment })
	conn := w.dial()
	for range 12 { // a watchdog keeps it open
		<-time.After(moment)
		write(t, conn, packet(1, 20))
		want(t, conn, packet(1, 20))
	}
	wantEnd(t, conn)
	w.ended(idle)
	if n := strings.Count(w.log.String(), "level=WARN"); n != 0 {
		t.Errorf("%d warnings:\n%s", n, w.log.String())
	}
}

// TestMaxPending: what is not done keeps the rest out, octets and all; each that is done lets one in.
func TestMaxPending(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) { o.MaxPending, w.hand.work = 4, hold })
	conn := w.dial()
	var packets [][]byte
	for n := range 10 {
		packets = append(packets, packet(n, 20))
	}
	write(t, conn, packets...)
	for done := range 7 {
		waitUntil(t, "packets up to the bound", func() bool { return w.hand.count() == 4+done })
		if done < 6 {
			<-time.After(moment / 10)
			if n := w.hand.count(); n != 4+done {
				t.Fatalf("%d packets, %d done", n, done)
			}
			w.hand.last(t).Done(1)
		}
	}
	if testutil.ToFloat64(w.metrics.pauses) == 0 {
		t.Error("no pause was counted")
	}
}

// TestAPausedPacketHasTime: its time does not run while the server does not read.
func TestAPausedPacketHasTime(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.MaxPending, o.PacketTime, o.IdleTime, w.hand.work = 1, moment, moment, hold
	})
	conn := w.dial()
	write(t, conn, packet(1, 20), packet(2, 100)[:60])
	c := w.hand.last(t)
	<-time.After(8 * moment)
	write(t, conn, packet(2, 100)[60:])
	c.Done(1)
	waitUntil(t, "the second packet", func() bool { return w.hand.count() == 2 })
}

// TestWhoDoesNotRead: replies are bounded, and so is the time that they wait.
func TestWhoDoesNotRead(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.MaxPending, o.WriteTime = 8, moment })
	conn := w.dial()
	for n := 0; ; n++ {
		if _, err := conn.Write(packet(n, 4096)); err != nil {
			break
		}
	}
	w.ended(unread)
	w.logged(t, unread.hint())
	c := w.hand.last(t)
	if c.Send(packet(1, 20)) {
		t.Error("sent after the end")
	}
}

// TestRepliesAreBounded: also when a handler sends more than it was asked.
func TestRepliesAreBounded(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) { o.MaxPending, w.hand.work = 8, hold })
	conn := w.dial()
	write(t, conn, packet(1, 20))
	c, refused := w.hand.last(t), false
	for range 1 << 16 { // nobody reads
		refused = refused || !c.Send(packet(1, 4096))
	}
	if _, unsent := c.left(); !refused || unsent > 8 {
		t.Errorf("%d replies wait, refused: %v", unsent, refused)
	}
}

// TestTheHandlerEnds: by Close and CloseMalformed what came is answered and nothing else is read.
func TestTheHandlerEnds(t *testing.T) {
	for end, closing := range map[ending]func(*Conn){clientGone: (*Conn).Close, malformed: (*Conn).CloseMalformed} {
		t.Run(end.String(), func(t *testing.T) {
			w := newWorld(t, func(_ *Options, w *world) { w.hand.work = hold })
			conn := w.dial()
			write(t, conn, packet(1, 20))
			c := w.hand.last(t)
			closing(c)
			closing(c)
			_, _ = conn.Write(packet(2, 20))
			<-time.After(moment)
			if !c.Send(packet(1, 20)) {
				t.Error("what came cannot be answered")
			}
			c.Done(1)
			want(t, conn, packet(1, 20))
			wantEnd(t, conn)
			w.ended(end)
			if w.hand.count() != 1 {
				t.Errorf("%d packets came in", w.hand.count())
			}
		})
	}
	t.Run("what is never done", func(t *testing.T) {
		w := newWorld(t, func(o *Options, w *world) { o.DrainTime, w.hand.work = moment, hold })
		conn := w.dial()
		write(t, conn, packet(1, 20))
		w.hand.last(t).Close()
		w.ended(clientGone)
	})
}

// TestPanics: one ends its connection and no other.
func TestPanics(t *testing.T) {
	w := newWorld(t)
	w.hand.work = func(c *Conn, packets [][]byte) {
		if packets[0][4+3] == 7 {
			panic(errors.New("seven, which somebody has typed"))
		}
		c.Send(packets[0])
		c.Done(len(packets))
	}
	other, conn := w.dial(), w.dial()
	write(t, conn, packet(7, 20))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("there is a reply")
	}
	w.ended(panicked)
	w.logged(t, "*errors.errorString")
	if strings.Contains(w.log.String(), "somebody has typed") {
		t.Error("what a panic says is in the log")
	}
	write(t, other, packet(1, 20))
	want(t, other, packet(1, 20))
}
