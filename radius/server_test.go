package radius

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/delay"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

func TestLoginsOverTheSocket(t *testing.T) {
	w := newWorld(t)
	c := radiustest.Dial(t, w.serve(t), testSecret)
	c.Alive()
	login := c.Login("alice", testCode).Add(probe.ProxyState, "a").Add(probe.ProxyState, "b").Octets()
	first := c.Exchange(login)
	if !first.Is(probe.AccessAccept) {
		t.Fatalf("code %d", first.Code)
	}
	if again := c.Exchange(login); !slices.Equal(again.Octets, first.Octets) {
		t.Error("the same packet got other octets")
	}
	if r := c.Exchange(c.Login("alice", testCode).Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("the same code in another packet: code %d", r.Code)
	}
	c.Send(probe.Login("another secret", "alice", testCode).Octets(), []byte("garbage"), nil)
	c.Alive()
	checkSum(t, w)
}

// TestTheReplyLeavesFromWhereTheRequestCameTo: on a host with several addresses a gateway drops
// what comes from another than it asked. radiustest compares addresses.
func TestTheReplyLeavesFromWhereTheRequestCameTo(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.Listen = []string{":0"} })
	w.serve(t)
	if len(w.Addrs()) != 2 {
		t.Fatalf("listening on %v, want a socket for each family", w.Addrs())
	}
	_, port, _ := net.SplitHostPort(w.Addrs()[0].String())
	if _, six, _ := net.SplitHostPort(w.Addrs()[1].String()); six != port {
		t.Fatalf("ports differ: %v", w.Addrs())
	}
	for _, host := range []string{"127.0.0.2", "127.0.0.1", "127.1.2.3", "::1", "127.0.0.2"} {
		c := radiustest.Dial(t, net.JoinHostPort(host, port), testSecret)
		if r := c.Exchange(c.Login("nobody", testCode).Octets()); !r.Is(probe.AccessReject) {
			t.Errorf("%s: code %d", host, r.Code)
		}
		c.Alive()
	}
}

// TestTheSameRequestToTwoAddressesIsTwoRequests: the local address is part of the key.
func TestTheSameRequestToTwoAddressesIsTwoRequests(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.Listen = []string{":0"} })
	w.serve(t)
	_, port, _ := net.SplitHostPort(w.Addrs()[0].String())
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packet := goodLogin("alice", testCode)
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		to := netip.MustParseAddrPort(net.JoinHostPort(host, port))
		if _, err := conn.WriteToUDPAddrPort(packet, to); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(radiustest.Patience))
		if _, from, err := conn.ReadFromUDPAddrPort(b); err != nil || from != to {
			t.Fatalf("from %v, %v", from, err)
		}
	}
	if n := len(w.trail.all()); n != 2 {
		t.Errorf("%d attempts", n)
	}
}

func TestListenAddresses(t *testing.T) {
	for address, want := range map[string]int{"127.0.0.1:0": 1, "[::1]:0": 1, "0.0.0.0:0": 1, "[::]:0": 1, ":0": 2} {
		sockets, err := listen(t.Context(), address, forLogins)
		if err != nil || len(sockets) != want {
			t.Errorf("%s: %d sockets, %v", address, len(sockets), err)
		}
		for _, k := range sockets {
			k.Close()
		}
	}
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:nonsense", "192.0.2.1:1812"} {
		if sockets, err := listen(t.Context(), address, forLogins); err == nil {
			t.Errorf("%q: listening on %d sockets", address, len(sockets))
		}
	}
	busy, err := listen(t.Context(), "127.0.0.1:0", forLogins)
	if err != nil {
		t.Fatal(err)
	}
	defer busy[0].Close()
	w := newWorld(t)
	o := w.options
	o.Listen = []string{"127.0.0.1:0", busy[0].local.String()}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a taken port: %v", err)
	}
}

func TestOptionsThatCannotBeAreAllReported(t *testing.T) {
	_, err := New(Options{RejectDelay: time.Minute, Budget: -1, MaxInFlight: -1})
	for _, want := range []string{"no address", "RejectDelay", "Budget", "MaxInFlight", "Accounts", "Codes", "Audit", "Now"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

// TestASlowDirectoryDelaysNobodyElse: both packets are in one batch, and one of them needs a
// directory that hangs.
func TestASlowDirectoryDelaysNobodyElse(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		w.accounts.find = func(ctx context.Context, _ string) {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		o.Budget = time.Minute
	})
	r, out := newWire(w.Server)
	slow, fast := datagramFrom("192.0.2.1:1000", goodLogin("carol", testCode)), datagramFrom("192.0.2.1:1001", goodLogin("alice", testCode))
	batch := r.sort([]ipv4.Message{slow, fast, slow})
	if len(batch) != 2 {
		t.Fatalf("%d attempts, want 2 and a duplicate", len(batch))
	}
	w.login(context.Background(), batch)
	if got := out.take(); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Fatalf("the fast one got %x", got)
	}
	close(release)
	w.work.Wait()
	if got := out.take(); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Fatalf("the slow one got %x", got)
	}
}

// TestAHangingDirectoryLeavesRoom: attempts that wait for it take half of the slots at most.
func TestAHangingDirectoryLeavesRoom(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		w.accounts.find = func(ctx context.Context, _ string) { <-ctx.Done() }
		o.Budget, o.MaxInFlight = time.Minute, 10
	})
	r, _ := newWire(w.Server)
	ctx, cancel := context.WithCancel(context.Background())
	for i := range 30 {
		m := datagramFrom(fmt.Sprintf("192.0.2.1:%d", 2000+i), goodLogin("carol", testCode))
		w.login(ctx, r.sort([]ipv4.Message{m}))
	}
	if got := w.slots.Load(); got != 5 {
		t.Errorf("%d slots are taken", got)
	}
	if got := testutil.ToFloat64(w.metrics.discarded[discardOverload]); got != 25 {
		t.Errorf("%v discarded", got)
	}
	if n := w.duplicates.Len(); n != 5 {
		t.Errorf("%d requests remembered: a discarded one must be fresh when it comes again", n)
	}
	m := datagramFrom("192.0.2.1:1001", goodLogin("alice", testCode))
	w.login(ctx, r.sort([]ipv4.Message{m}))
	if got := w.trail.last(t); got != "accept ok" {
		t.Errorf("who needs no directory gets %s", got)
	}
	cancel()
	w.work.Wait()
	checkSum(t, w)
}

func TestOverloadDiscardsAndAnswersStatusServer(t *testing.T) {
	blocked := make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		o.MaxInFlight = 4
		w.codes.settle = func(ctx context.Context, _ []otp.Walked) {
			select {
			case <-blocked:
			case <-ctx.Done():
			}
		}
		o.Budget = time.Minute
	})
	c := radiustest.Dial(t, w.serve(t), testSecret)
	var packets [][]byte
	for range 10 {
		packets = append(packets, c.Login("alice", "000000").Octets())
	}
	c.Send(packets...)
	c.Alive()
	if got := testutil.ToFloat64(w.metrics.discarded[discardOverload]); got != 6 {
		t.Errorf("%v discarded, want 6", got)
	}
	if n := strings.Count(w.logged.String(), "reason=overload"); n != 1 {
		t.Errorf("%d lines about it", n)
	}
	close(blocked)
	for range 4 {
		if _, err := c.Receive(radiustest.Patience); err != nil {
			t.Fatal(err)
		}
	}
	// There is room again, also for what was discarded.
	if r := c.Exchange(packets[9]); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
}

func TestOutOfTimeIsNoReply(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.Budget = 500 * time.Millisecond
		w.codes.settle = func(ctx context.Context, _ []otp.Walked) { <-ctx.Done() }
		w.accounts.find = func(ctx context.Context, _ string) { <-ctx.Done() }
	})
	for _, name := range []string{"alice", "carol"} {
		if got := w.feed("192.0.2.1:1000", goodLogin(name, testCode)); len(got) != 0 || w.trail.last(t) != "drop timeout" {
			t.Errorf("%s: %d replies, %s", name, len(got), w.trail.last(t))
		}
	}
	w.codes.settle, w.accounts.find = nil, nil
	if got := w.feed("192.0.2.1:1000", goodLogin("carol", testCode)); len(got) != 1 {
		t.Error("no reply once the store answers")
	}
}

// TestDuplicatesOverTheSocket: in flight, answered, superseded (RFC 5080 section 2.2.2).
func TestDuplicatesOverTheSocket(t *testing.T) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		w.codes.settle = func(context.Context, []otp.Walked) {
			entered <- struct{}{}
			<-release
		}
	})
	c := radiustest.Dial(t, w.serve(t), testSecret)
	old := c.Login("alice", testCode)
	packet := old.Octets()
	c.Send(packet)
	<-entered
	c.Send(packet, packet, packet)
	c.Alive()
	if got := testutil.ToFloat64(w.metrics.inFlight); got != 3 {
		t.Errorf("%v duplicates dropped while in flight", got)
	}
	newer := probe.Login(testSecret, "mallory", testCode)
	newer.Identifier = old.Identifier
	c.Send(newer.Octets())
	if r := c.Answered(newer.Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
	close(release)
	eventually(t, "the superseded attempt ends", func() bool { return w.slots.Load() == 0 })
	eventually(t, "its answer is thrown away", func() bool { return testutil.ToFloat64(w.metrics.unsent[unsentSuperseded]) == 1 })
	if r := c.Exchange(newer.Octets()); !r.Is(probe.AccessReject) { // and not the answer to the old one
		t.Errorf("code %d", r.Code)
	}
	if got := testutil.ToFloat64(w.metrics.resent); got != 1 {
		t.Errorf("%v replies sent again", got)
	}
	if e := w.trail.all(); len(e) != 2 || !strings.HasPrefix(e[1].Detail, "Not sent") {
		t.Errorf("events %+v", e)
	}
	checkSum(t, w)
}

func TestRefusalsWaitFromTheirArrival(t *testing.T) {
	const delay = time.Second
	w := newWorld(t, func(o *Options, _ *world) { o.RejectDelay = delay })
	c := radiustest.Dial(t, w.serve(t), testSecret)
	start := time.Now()
	wrong, right := c.Login("alice", "000000").Octets(), c.Login("alice", testCode).Octets()
	c.Send(wrong, right)
	if r := c.Answered(right); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	eventually(t, "the refusal waits, and not in a slot", func() bool { return w.refusals.Len() == 1 && w.slots.Load() == 0 })
	c.Send(wrong)
	c.Alive()
	if got := testutil.ToFloat64(w.metrics.inFlight); got != 1 {
		t.Errorf("%v duplicates dropped while the refusal waits", got)
	}
	if r := c.Answered(wrong); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
	if waited := time.Since(start); waited < delay {
		t.Errorf("refused after %v", waited)
	}
	if again := c.Exchange(wrong); !again.Is(probe.AccessReject) {
		t.Errorf("code %d", again.Code)
	}
	checkSum(t, w)
}

func TestTooManyRefusalsAreNotAnswered(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) { o.RejectDelay = 500 * time.Millisecond })
	w.refusals = delay.New(1, w.now, func(due []answer) { w.send(due) })
	addr := w.serve(t)
	c := radiustest.Dial(t, addr, testSecret)
	first, second := c.Login("alice", "000000").Octets(), c.Login("alice", "000001").Octets()
	c.Send(first, second)
	eventually(t, "one of them is given up", func() bool { return testutil.ToFloat64(w.metrics.unsent[unsentTooMany]) == 1 })
	if _, err := c.Receive(radiustest.Patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room again", func() bool { return w.refusals.Len() == 0 })
	if r := c.Exchange(second); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
}

func TestAThousandConcurrentLogins(t *testing.T) {
	const gateways, each = 50, 20
	w := newWorld(t)
	for i := range gateways * each {
		name := fmt.Sprintf("user%d", i)
		into := w.accounts.known
		if i%10 == 0 {
			into = w.accounts.remote
		}
		into[name] = account(name)
		w.codes.codes[name+"-id"] = []string{testCode}
	}
	addr := w.serve(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	wg.Go(func() { // whoever reloads the configuration meanwhile disturbs nobody
		for range 100 {
			if err := w.SetClients(testClients()); err != nil {
				t.Error(err)
			}
		}
	})
	for g := range gateways {
		c := radiustest.Dial(t, addr, testSecret)
		wg.Go(func() {
			for i := range each {
				packet := c.Login(fmt.Sprintf("user%d", g*each+i), testCode).Octets()
				r, err := retransmit(c, packet)
				if err == nil && !r.Is(probe.AccessAccept) {
					err = fmt.Errorf("user%d: code %d", g*each+i, r.Code)
				}
				if err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(failures) > 0 {
		t.Fatalf("%d failures, the first: %v", len(failures), failures[0])
	}
	if n := len(w.trail.all()); n != gateways*each {
		t.Errorf("%d attempts", n)
	}
	checkSum(t, w)
}

// TestAStormOfPackets: right and wrong ones, doubled, superseded and cut, from many gateways at a
// time and more than there are slots for. Nothing is lost from the counters, nobody gets in twice
// with one code, and whoever the storm kept out gets in after it: carol, for whom the directory is
// asked, may have had each of her attempts superseded, and those use up no code.
func TestAStormOfPackets(t *testing.T) {
	const gateways, each = 16, 150
	w := newWorld(t, func(o *Options, _ *world) {
		o.MaxInFlight, o.RejectDelay = 24, 30*time.Millisecond
	})
	addr := w.serve(t)
	var wg sync.WaitGroup
	for g := range gateways {
		c := radiustest.Dial(t, addr, testSecret)
		random := rand.New(rand.NewPCG(1, uint64(g)))
		wg.Go(func() {
			var last []byte
			for range each {
				names := []string{"alice", "carol", "bob", "mallory", "nodevice", "müller"}
				q := c.Login(names[random.IntN(len(names))], testCode)
				q.Identifier %= 8 // so that some supersede others
				packet := q.Octets()
				switch random.IntN(6) {
				case 0:
					packet = probe.Flip(packet, random.IntN(len(packet)*8))
				case 1:
					packet = packet[:random.IntN(len(packet))]
				case 2, 3:
					packet = append([]byte(nil), last...)
				}
				last = packet
				if err := c.Write(packet); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// What was sent before is sorted once this is answered.
	if _, err := retransmit(radiustest.Dial(t, addr, testSecret), probe.NewRequest(probe.StatusServer, testSecret).Signed().Octets()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is decided", func() bool { return w.slots.Load() == 0 && w.waiting.Load() == 0 && w.refusals.Len() == 0 })
	accepted := func() map[string]int {
		n := map[string]int{}
		for _, e := range w.trail.all() {
			if e.Decision == "accept" {
				n[e.Account]++
			}
		}
		return n
	}
	if in := accepted(); in["alice-id"] != 1 || in["müller-id"] != 1 {
		t.Errorf("%v got in during the storm", in)
	}
	after := radiustest.Dial(t, addr, testSecret)
	for _, name := range []string{"alice", "carol", "müller"} {
		if _, err := retransmit(after, after.Login(name, testCode).Octets()); err != nil {
			t.Fatal(err)
		}
	}
	checkSum(t, w)
	if in, want := accepted(), map[string]int{"alice-id": 1, "carol-id": 1, "müller-id": 1}; !maps.Equal(in, want) {
		t.Errorf("%v got in, want %v", in, want)
	}
}

// retransmit asks as a gateway does: the same octets again when nothing comes.
func retransmit(c *radiustest.Client, packet []byte) (r probe.Reply, err error) {
	for range 10 {
		if r, err = c.Try(packet, 2*time.Second); !errors.Is(err, radiustest.ErrSilence) {
			return r, err
		}
	}
	return r, err
}

// TestShutdownLetsAnswersOut: what is in flight and what waits to be refused is still answered,
// on the open socket; what comes after is not read.
func TestShutdownLetsAnswersOut(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		o.RejectDelay = 400 * time.Millisecond
		w.accounts.find = func(context.Context, string) {
			close(entered)
			<-release
		}
	})
	c := radiustest.Dial(t, w.serve(t), testSecret)
	slow, wrong := c.Login("carol", testCode).Octets(), c.Login("alice", "000000").Octets()
	c.Send(wrong, slow)
	<-entered
	eventually(t, "the refusal waits", func() bool { return w.refusals.Len() == 1 })
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(context.Background()) }()
	<-w.closing
	late := radiustest.Dial(t, w.Addrs()[0].String(), testSecret)
	eventually(t, "nobody reads any more", func() bool {
		late.Send(probe.NewRequest(probe.StatusServer, testSecret).Signed().Octets())
		_, err := late.Receive(20 * time.Millisecond)
		return errors.Is(err, radiustest.ErrSilence)
	})
	select {
	case err := <-done:
		t.Fatalf("shutdown did not wait: %v", err)
	default:
	}
	close(release)
	answered := map[byte]bool{}
	for range 2 {
		b, err := c.Receive(radiustest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		answered[b[0]] = true
	}
	if !answered[probe.AccessAccept] || !answered[probe.AccessReject] {
		t.Errorf("answered: %v", answered)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := w.Shutdown(context.Background()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if err := w.Serve(); err == nil {
		t.Error("a server that is shut down serves again")
	}
}

func TestShutdownGivesUpWhenItMust(t *testing.T) {
	cancelled := make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		o.Budget = time.Hour
		w.accounts.find = func(ctx context.Context, _ string) {
			<-ctx.Done()
			close(cancelled)
		}
	})
	served := make(chan error, 1)
	go func() { served <- w.Serve() }()
	c := radiustest.Dial(t, w.Addrs()[0].String(), testSecret)
	c.Send(c.Login("carol", testCode).Octets())
	eventually(t, "it is in flight", func() bool { return w.waiting.Load() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := w.Shutdown(ctx)
	if err == nil || !strings.Contains(err.Error(), "1 attempts were not finished") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	<-cancelled // its context has ended
	if err := <-served; err != nil {
		t.Error(err)
	}
	w.stopErr = nil // it has been looked at
	c.Silent(20 * time.Millisecond)
	w.work.Wait()
}

func TestServingTwiceIsAnError(t *testing.T) {
	w := newWorld(t)
	c := radiustest.Dial(t, w.serve(t), testSecret)
	c.Alive()
	if err := w.Serve(); err == nil {
		t.Error("no error")
	}
}

func TestClientsAreSwappedAtOnce(t *testing.T) {
	w := newWorld(t)
	c := radiustest.Dial(t, w.serve(t), testSecret)
	c.Alive()
	clients := testClients()
	clients[0].Secret = []byte("a new secret")
	if err := w.SetClients(clients); err != nil {
		t.Fatal(err)
	}
	c.Send(c.Login("alice", testCode).Octets())
	again := radiustest.Dial(t, w.Addrs()[0].String(), "a new secret")
	again.Alive()
	if r := again.Exchange(again.Login("alice", testCode).Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	c.Silent(20 * time.Millisecond)
	if err := w.SetClients(nil); err != nil {
		t.Fatal(err)
	}
	again.Send(again.Login("alice", testCode).Octets())
	again.Silent(20 * time.Millisecond)
}

// TestAReadErrorIsNotTheEnd: only a socket that is gone ends its reader, and says so.
func TestAReadErrorIsNotTheEnd(t *testing.T) {
	w := newWorld(t)
	r, in := newWire(w.Server)
	in.readErrs = []error{errors.New("no buffer space"), errors.New("no buffer space")}
	if err := w.read(context.Background(), r.socket); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if len(in.readErrs) != 0 {
		t.Errorf("%d errors are left", len(in.readErrs))
	}
	if n := strings.Count(w.logged.String(), `error="no buffer space"`); n != 1 {
		t.Errorf("%d lines in a minute", n)
	}
}

// TestNothingIsLeftRunning: goroutines end with the server that started them.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("serve", func(t *testing.T) {
		w := newWorld(t, func(o *Options, _ *world) {
			o.Listen, o.RejectDelay = []string{":0"}, 20*time.Millisecond
		})
		w.serve(t)
		_, port, _ := net.SplitHostPort(w.Addrs()[0].String())
		c := radiustest.Dial(t, "127.0.0.1:"+port, testSecret)
		for _, name := range []string{"alice", "carol", "mallory"} {
			c.Exchange(c.Login(name, testCode).Octets())
		}
	})
	t.Run("never served", func(t *testing.T) { newWorld(t) })
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestUnwritableRepliesAreCounted: one that the kernel refuses does not take its batch along.
func TestUnwritableRepliesAreCounted(t *testing.T) {
	w := newWorld(t)
	k := w.sockets[0]
	peer := radiustest.Dial(t, "127.0.0.1:9", testSecret)
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), peer.Addr().Port())
	good := answer{via: k, peer: to, octets: []byte("x")}
	bad := answer{via: k, peer: netip.MustParseAddrPort("[::1]:9"), octets: []byte("x")}
	for _, answers := range [][]answer{{bad, good, good}, {good, bad, good}, {good, good, bad}, {bad, bad}} {
		want := 0
		for _, a := range answers {
			if a.peer == bad.peer {
				want++
			}
		}
		if n, err := k.write(answers); n != want || err == nil {
			t.Errorf("%d unsent, %v, want %d", n, err, want)
		}
	}
	w.transmit(k, []answer{bad})
	if got := testutil.ToFloat64(w.metrics.unsent[unsentFailed]); got != 1 {
		t.Errorf("%v counted", got)
	}
}

var _ Accounts = (*directory.Set)(nil)
var _ Codes = (*otp.Verifier)(nil)
