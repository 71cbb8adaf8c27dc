package radius

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/otp"
	"otpgate/radius/radiustest"
)

// TestReadingTellsWhoSentWhat: in batches, cut where the buffer ends, and with an end.
func TestReadingTellsWhoSentWhat(t *testing.T) {
	for _, listening := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0", "0.0.0.0:0"} {
		sockets, err := listen(t.Context(), listening, forLogins)
		if err != nil {
			t.Fatal(err)
		}
		k := sockets[0]
		in := k.messages()
		if _, err := k.ReadBatch(in, syscall.MSG_DONTWAIT); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("%s: an empty socket: %v", listening, err)
		}
		target := strings.NewReplacer("[::]", "[::1]", "0.0.0.0", "127.0.0.1").Replace(k.local.String())
		want := map[string]string{} // text to sender
		for i := range 5 {
			c, err := net.Dial("udp", target)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			text := fmt.Sprintf("packet %d", i)
			want[text] = c.LocalAddr().String()
			if _, err := c.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		for len(want) > 0 {
			n, err := k.ReadBatch(in, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range in[:n] {
				text := string(m.Buffers[0][:m.N])
				if from := m.Addr.String(); want[text] != from {
					t.Errorf("%s: %q from %s, want %s", listening, text, from, want[text])
				}
				if to, _ := k.arrivedAt(&m); to.String() != strings.Trim(target[:strings.LastIndexByte(target, ':')], "[]") {
					t.Errorf("%s: %q arrived at %s", listening, text, to)
				}
				delete(want, text)
			}
		}
		if err := k.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.ReadBatch(in, 0); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: after the deadline: %v", listening, err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := k.ReadBatch(in, 0); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: after the end: %v", listening, err)
		}
	}
}

// TestReadingAllocatesNothing: a stranger's packet costs no memory from the kernel on.
func TestReadingAllocatesNothing(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return // elsewhere the library reads
	}
	w := newWorld(t, func(o *Options, _ *world) { o.Clients = o.Clients[1:2] }) // 127.0.0.0/8 is nobody's
	r := &reader{Server: w.Server, takes: forLogins}
	k := w.sockets[0]
	in := k.messages()
	c, err := net.Dial("udp", k.local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	packet := goodLogin("alice", testCode)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		n, err := k.ReadBatch(in, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.receive(k, in[:n])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestLittleRoomIsToldOf: once, with what to do, and only when the kernel says that it is little.
func TestLittleRoomIsToldOf(t *testing.T) {
	for room, want := range map[int]int{0: 0, receiveBuffer: 0, receiveBuffer - 1: 1, 212992: 1} {
		w := newWorld(t, func(o *Options, _ *world) { o.Listen = append(o.Listen, "127.0.0.1:0") })
		for _, k := range w.sockets {
			k.room = room
		}
		const hint = "sysctl -w net.core.rmem_max=4194304"
		before := strings.Count(w.logged.String(), hint) // of this machine's kernel
		w.warnOfRoom()
		if got := strings.Count(w.logged.String(), hint) - before; got != want {
			t.Errorf("room of %d: %d lines, want %d", room, got, want)
		}
	}
}

// TestReadersGatherNotForLong: what is being claimed is waited for, and not when that takes long.
func TestReadersGatherNotForLong(t *testing.T) {
	patience := time.NewTimer(time.Hour)
	defer patience.Stop()
	over := make(chan struct{})
	close(over)
	gather(over, patience)
	before := time.Now()
	gather(make(chan struct{}), patience)
	if spent := time.Since(before); spent < claimTime {
		t.Errorf("waited for %v", spent)
	}
}

// TestRoomForTheNextBatch: the more there is to do, the less is waited, and never for longer than for one alone.
func TestRoomForTheNextBatch(t *testing.T) {
	if got := roomFor(1); got > gatherTime || got < gatherTime*9/10 {
		t.Errorf("after one: %v", got)
	}
	for n := 2; n <= batchSize; n++ {
		less, more := roomFor(n), roomFor(n-1)
		if less > more || less == more && more != 0 || less < 0 {
			t.Errorf("%d leave room for %v, %d for %v", n-1, more, n, less)
		}
	}
	if got := roomFor(batchSize / 2); got != 0 {
		t.Errorf("after half of a full one: %v", got)
	}
}

// TestNothingToClaimHoldsNobodyUp: when a batch claims nothing, its reader does not wait for the trail.
func TestNothingToClaimHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	over, early := false, 0
	w.Server.audit = keeps{w.trail, func() {
		if !over {
			early++
		}
	}}
	r, _ := newWire(w.Server)
	for _, name := range []string{"bob", "alice"} { // nobody asks for the code of the one, who is disabled
		over, early = false, 0
		batch := r.sort([]ipv4.Message{datagramFrom(fromVPN, goodLogin(name, testCode))})
		w.loginAnd(context.Background(), batch, func() { over = true })
		w.work.Wait()
		if !over || early > 0 {
			t.Errorf("%s: over %v, the trail written to %d times before", name, over, early)
		}
	}
	if n := len(w.trail.all()); n != 2 {
		t.Errorf("%d events", n)
	}
}

// scripted is a socket from which so many packets can be read at a time; then there are none.
type scripted struct {
	*wire
	t       *testing.T
	packets []ipv4.Message
	reads   []int
	sent    []int // messages of one call
}

func (s *scripted) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if flags != syscall.MSG_DONTWAIT {
		s.t.Errorf("a read that waits, with flags %#x", flags)
	}
	if len(s.reads) == 0 {
		return 0, os.NewSyscallError("recvmmsg", syscall.EAGAIN)
	}
	n := copy(ms, s.packets[:s.reads[0]])
	s.packets, s.reads = s.packets[n:], s.reads[1:]
	return n, nil
}

func (s *scripted) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	replies := 0
	for i := range ms {
		replies += len(ms[i].Buffers)
	}
	s.sent = append(s.sent, replies)
	return s.wire.WriteBatch(ms, flags)
}

// TestWhatComesMeanwhileIsClaimedTogether: a reader goes on while it gets more, until its batch is full, and replies
// leave before all of them are sealed.
func TestWhatComesMeanwhileIsClaimedTogether(t *testing.T) {
	for _, c := range []struct{ reads, claims, left, sent []int }{
		{reads: []int{10}, claims: []int{10}, sent: []int{10}},
		{reads: []int{10, 6, 30}, claims: []int{46}, sent: []int{16, 16, 14}},
		{reads: []int{40, 24, 5}, claims: []int{64}, left: []int{5}, sent: []int{16, 16, 16, 16}},
		{reads: []int{40, 30}, claims: []int{64}, sent: []int{16, 16, 16, 16}}, // of which 24 fit
		{reads: []int{10, worthMore - 1, 9}, claims: []int{10 + worthMore - 1}, left: []int{9}, sent: []int{13}},
		{reads: []int{worthMore - 1, 9}, claims: []int{worthMore - 1}, left: []int{9}, sent: []int{3}},
	} {
		w := newWorld(t)
		var packets []ipv4.Message
		for i := range 80 {
			name := fmt.Sprintf("user%d", i)
			w.accounts.known[name] = account(name)
			w.codes.codes[name+"-id"] = []string{testCode}
			packets = append(packets, datagramFrom(fmt.Sprintf("192.0.2.1:%d", 2000+i), goodLogin(name, testCode)))
		}
		r, out := newWire(w.Server)
		k := &scripted{wire: out, t: t, packets: packets[c.reads[0]:], reads: c.reads[1:]}
		r.socket.batchConn = k
		in := r.socket.messages()
		copy(in, packets[:c.reads[0]])
		all := r.takeIn(context.Background(), r.socket, in, c.reads[0])
		r.start(context.Background())
		w.work.Wait()
		if !slices.Equal(w.codes.batches(), c.claims) || all != c.claims[0] || !slices.Equal(k.reads, c.left) || !slices.Equal(k.sent, c.sent) {
			t.Errorf("%v: %d in all, claims of %v, not read %v, sent %v; want %v, %v, %v", c.reads, all, w.codes.batches(), k.reads, k.sent, c.claims, c.left, c.sent)
		}
		if n := len(out.take()); n != all {
			t.Errorf("%v: %d replies", c.reads, n)
		}
		if w.slots.taken.Load() != 0 || w.prompt.Load() != 0 {
			t.Errorf("%v: %d slots, %d under way", c.reads, w.slots.taken.Load(), w.prompt.Load())
		}
	}
}

// TestASlowClaimHoldsNobodyUp: those who come while a claim hangs are claimed without it.
func TestASlowClaimHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	w.codes.settle = func(context.Context, []otp.Walked) {
		select {
		case <-first:
			<-release
		default:
		}
	}
	addr := w.serve(t)
	slow := radiustest.Dial(t, addr, testSecret)
	answered := make(chan error, 1)
	go func() {
		_, err := retransmit(slow, slow.Login("alice", testCode).Octets())
		answered <- err
	}()
	eventually(t, "the first is being claimed", func() bool { return len(first) == 0 })
	for range 3 {
		c := radiustest.Dial(t, addr, testSecret)
		if _, err := retransmit(c, c.Login("müller", testCode).Octets()); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-answered:
		t.Error("the first was answered before its claim")
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
