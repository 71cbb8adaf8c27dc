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
	"sync/atomic"
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

// TestReadersAttendNotForLong: what is being claimed is waited for, and not when that takes long, or when there is no room
// for more.
func TestReadersAttendNotForLong(t *testing.T) {
	w := newWorld(t)
	r, _ := newWire(w.Server)
	in := r.socket.messages()
	patience := time.NewTimer(time.Hour)
	defer patience.Stop()
	attend := func(got int, claimed bool) (all int, spent time.Duration) {
		talk := newTalk(new(batch), true)
		if claimed {
			close(talk.claimed)
		}
		before := time.Now()
		all = r.attend(context.Background(), r.socket, in, got, talk, patience)
		spent = time.Since(before)
		if talk.more() {
			t.Error("somebody answers who has left")
		}
		return all, spent
	}
	if all, _ := attend(7, true); all != 7 {
		t.Errorf("%d packets of 7", all)
	}
	if all, spent := attend(7, false); all != 7 || spent < claimTime {
		t.Errorf("%d packets of 7, waited for %v", all, spent)
	}
	if all, spent := attend(len(in), false); all != len(in) || spent >= claimTime {
		t.Errorf("%d packets of a full batch, waited for %v", all, spent)
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
	var talk *talk
	early := 0
	w.Server.audit = keeps{w.trail, func() {
		select {
		case <-talk.claimed:
		default:
			early++
		}
	}}
	r, _ := newWire(w.Server)
	for _, name := range []string{"bob", "alice"} { // nobody asks for the code of the one, who is disabled
		b := w.newBatch()
		b.came = append(b.came, r.sort([]ipv4.Message{datagramFrom(fromVPN, goodLogin(name, testCode))})...)
		talk = newTalk(b, false)
		w.Server.login(context.Background(), b)
		w.work.Wait()
		if early > 0 {
			t.Errorf("%s: the trail was written to %d times before", name, early)
		}
	}
	if n := len(w.trail.all()); n != 2 {
		t.Errorf("%d events", n)
	}
}

// scripted is a socket from which so many packets can be read at a time; then it is closed.
type scripted struct {
	*wire
	looked  func(read int) // before a read that does not wait, with how many were read before
	packets []ipv4.Message
	reads   []int
	read    int
	sent    []int // replies of one call each
	senders [batchSize]net.UDPAddr
}

// ReadBatch writes over what it has read before, as the kernel does.
func (s *scripted) ReadBatch(ms []ipv4.Message, flags int) (n int, err error) {
	switch {
	case flags == syscall.MSG_DONTWAIT && len(s.reads) == 0:
		return 0, os.NewSyscallError("recvmmsg", syscall.EAGAIN)
	case len(s.reads) == 0:
		return 0, net.ErrClosed
	case flags == syscall.MSG_DONTWAIT:
		s.looked(s.read)
	}
	for n < min(len(ms), s.reads[0]) {
		from := s.packets[n]
		s.senders[n] = *from.Addr.(*net.UDPAddr)
		ms[n].N, ms[n].Addr = copy(ms[n].Buffers[0], from.Buffers[0]), &s.senders[n]
		n++
	}
	s.packets, s.reads, s.read = s.packets[n:], s.reads[1:], s.read+n
	return n, nil
}

func (s *scripted) WriteBatch(ms []ipv4.Message, flags int) (int, error) {
	replies := 0
	for i := range ms {
		replies += len(ms[i].Buffers)
	}
	s.mu.Lock()
	s.sent = append(s.sent, replies)
	s.mu.Unlock()
	return s.wire.WriteBatch(ms, flags)
}

// TestWhatComesMeanwhileIsClaimedTogether: a reader goes on while it gets more, until its batch is full, and replies
// leave before all of them are sealed. Of the odd ones one is disabled, one has to be sought, one's devices to be loaded,
// and one's walk panics.
func TestWhatComesMeanwhileIsClaimedTogether(t *testing.T) {
	for _, c := range []struct {
		reads, claims, sent []int
		odd                 bool
	}{
		{reads: []int{10}, claims: []int{10}, sent: []int{10}},
		{reads: []int{10, 6, 30}, claims: []int{46}, sent: []int{14, 16, 16}},
		{reads: []int{40, 24, 5}, claims: []int{5, 64}, sent: []int{5, 16, 16, 16, 16}},
		{reads: []int{40, 30}, claims: []int{64}, sent: []int{16, 16, 16, 16}}, // of which 24 fit
		{reads: []int{10, worthMore - 1, 9}, claims: []int{9, 10 + worthMore - 1}, sent: []int{9, 13}},
		{reads: []int{worthMore - 1, 9}, claims: []int{worthMore - 1, 9}, sent: []int{3, 9}},
		{reads: []int{10, 10}, odd: true, claims: []int{1, 1, 16}, sent: []int{1, 1, 1, 16}},
	} {
		w := newWorld(t)
		var looked atomic.Int64
		w.codes.walking = func(string) { looked.Add(1) }
		k := &scripted{reads: c.reads}
		for i := range 80 {
			name := fmt.Sprintf("user%d", i)
			a := account(name)
			w.accounts.known[name], w.codes.codes[a.ID] = a, []string{testCode}
			switch {
			case !c.odd || i%5 != 4:
			case i < 10:
				a.Disabled = i == 4
				w.codes.unknown[a.ID] = i == 9
			case i == 14:
				delete(w.accounts.known, name)
				w.accounts.remote[name] = a
			case i == 19:
				w.codes.walkPanic = a.ID
			}
			k.packets = append(k.packets, datagramFrom(fmt.Sprintf("192.0.2.1:%d", 2000+i), goodLogin(name, testCode)))
		}
		k.looked = func(read int) {
			if got := int(looked.Load()); got != read && !c.odd {
				t.Errorf("%v: %d of %d were looked at when the next were read", c.reads, got, read)
			}
		}
		r, out := newWire(w.Server)
		k.wire, r.socket.batchConn = out, k
		if err := w.read(context.Background(), r.socket); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		w.work.Wait()
		slices.Sort(w.codes.settled)
		slices.Sort(k.sent)
		if !slices.Equal(w.codes.settled, c.claims) || !slices.Equal(k.sent, c.sent) {
			t.Errorf("%v: claims of %v, sent %v; want %v, %v", c.reads, w.codes.settled, k.sent, c.claims, c.sent)
		}
		if events := len(w.trail.all()); events != k.read {
			t.Errorf("%v: %d events of %d", c.reads, events, k.read)
		}
		if w.slots.Load() != 0 || w.prompt.Load() != 0 || w.waiting.Load() != 0 {
			t.Errorf("%v: %d slots, %d under way, %d wait", c.reads, w.slots.Load(), w.prompt.Load(), w.waiting.Load())
		}
	}
}

// TestALongLookHoldsNobodyUp: those who come while proofs are being compared, which takes long when there are many
// devices, do not wait for that.
func TestALongLookHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	release, looking := make(chan struct{}), make(chan struct{})
	w.codes.walking = func(account string) {
		if account == "alice-id" {
			close(looking)
			<-release
		}
	}
	w.goesOnBeside(t, func() { <-looking }, release)
}

// goesOnBeside has others log in while the login of alice, once it has begun, is held up.
func (w *world) goesOnBeside(t *testing.T, begun func(), release chan<- struct{}) {
	t.Helper()
	addr := w.serve(t)
	slow := radiustest.Dial(t, addr, testSecret)
	answered := make(chan error, 1)
	go func() {
		_, err := retransmit(slow, slow.Login("alice", testCode).Octets())
		answered <- err
	}()
	begun()
	for range 3 {
		c := radiustest.Dial(t, addr, testSecret)
		if _, err := retransmit(c, c.Login("müller", testCode).Octets()); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-answered:
		t.Error("the first was answered before its time")
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Error(err)
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
	w.goesOnBeside(t, func() {
		eventually(t, "the first is being claimed", func() bool { return len(first) == 0 })
	}, release)
}
