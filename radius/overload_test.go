package radius

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// TestWhatLayTooLongIsStale: the kernel has noted when a datagram came. When its gateway has given up since then,
// it gets no answer, and uses up no code.
func TestWhatLayTooLongIsStale(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    string
		lay     time.Duration // as long as it lay in any case, and so much more
		stale   bool
		arrived time.Duration // before now, at least
	}{
		{"new", "127.0.0.1", 0, false, 0},
		{"within the budget", "127.0.0.1", DefaultBudget - time.Second, false, DefaultBudget - time.Second},
		{"longer than the budget", "127.0.0.1", DefaultBudget, true, 0},
		{"within a gateway's timeout", "127.0.0.9", 300 * time.Millisecond, false, 300 * time.Millisecond},
		{"longer than a gateway's timeout", "127.0.0.9", time.Second, true, 0},
		{"from the future", "127.0.0.1", -time.Hour, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ahead atomic.Int64
			ahead.Store(int64(c.lay))
			w := newWorld(t, func(o *Options, _ *world) {
				o.Wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				o.Clients = append(o.Clients, Client{
					Name: "hasty", Networks: prefixes("127.0.0.9/32"), Secret: []byte(testSecret), Timeout: 1200 * time.Millisecond,
				})
			})
			gateway := radiustest.DialFrom(t, c.from, w.serve(t), testSecret)
			login := gateway.Login("alice", testCode).Octets()
			gateway.Send(login)
			stale := func() bool {
				return testutil.ToFloat64(w.metrics.discarded[discardStale]) == 1 && strings.Contains(w.logged.String(), "reason=stale")
			}
			eventually(t, "it is sorted", func() bool { return stale() || len(w.trail.all()) == 1 })
			if stale() != c.stale {
				t.Fatalf("stale: %v\n%s", stale(), w.logged)
			}
			if c.stale {
				if n := len(w.codes.batches()); n != 0 || w.duplicates.Len() != 0 {
					t.Errorf("%d claims, %d remembered\n%s", n, w.duplicates.Len(), w.logged)
				}
				ahead.Store(0) // the gateway sends it again, and the code is still good
				gateway.Send(login)
			}
			if octets, err := gateway.Receive(20 * time.Second); err != nil || octets[0] != probe.AccessAccept {
				t.Errorf("%x %v", octets, err)
			}
			if age := time.Since(w.trail.all()[0].Time); age < c.arrived {
				t.Errorf("it came in %s ago, not %s", age, c.arrived)
			}
			checkSum(t, w)
		})
	}
}

// TestAccountingIsRecordedAtAnyAge: what was used has to be paid for, however late that is read.
func TestAccountingIsRecordedAtAnyAge(t *testing.T) {
	w, _ := books(t, func(o *Options, _ *world) {
		o.Accounting = []string{"127.0.0.1:0"}
		o.Wall = func() time.Time { return time.Now().Add(time.Hour) }
	})
	gateway := radiustest.Dial(t, w.serve(t), testSecret)
	gateway.Send(gateway.Login("alice", testCode).Octets())
	books := radiustest.Dial(t, w.Addrs()[1].String(), testSecret)
	books.Send(stamped(accounting(1, "alice")))
	if octets, err := books.Receive(20 * time.Second); err != nil || octets[0] != accountingResponse {
		t.Errorf("%x %v", octets, err)
	}
	eventually(t, "the login is stale", func() bool { return testutil.ToFloat64(w.metrics.discarded[discardStale]) == 1 })
}

// TestTooLateForAClaim: what has waited too long before it could be claimed is given up, and takes no time from
// those that it came with.
func TestTooLateForAClaim(t *testing.T) {
	w := newWorld(t)
	r, out := newWire(w.Server)
	batch := r.sort([]ipv4.Message{
		datagramFrom("192.0.2.1:1001", goodLogin("alice", testCode)),
		datagramFrom("192.0.2.1:1002", goodLogin("müller", testCode)),
		datagramFrom("192.0.2.1:1003", goodLogin("carol", testCode)), // who has to be looked for
	})
	batch[0].arrived = batch[0].arrived.Add(-DefaultBudget)
	batch[2].arrived = batch[2].arrived.Add(-DefaultBudget)
	w.login(context.Background(), batch)
	w.work.Wait()
	if got := out.take(); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Errorf("%x", got)
	}
	if got := w.codes.batches(); len(got) != 1 || got[0] != 1 {
		t.Errorf("claims %v", got)
	}
	late := 0
	for _, e := range w.trail.all() {
		if e.Decision == "drop" && e.Reason == otp.ReasonTimeout {
			late++
		}
	}
	if late != 2 || w.slots.Load() != 0 || w.prompt.Load() != 0 || w.waiting.Load() != 0 {
		t.Errorf("%d given up, %d slots, %d prompt, %d wait", late, w.slots.Load(), w.prompt.Load(), w.waiting.Load())
	}
	// It was not answered, so that it is decided when it comes again.
	if got := w.feed("192.0.2.1:1001", goodLogin("alice", testCode)); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Errorf("%x", got)
	}
	checkSum(t, w)
}

// TestOneThatIsNearlyTooLateTakesNoTimeFromOthers that came with it.
func TestOneThatIsNearlyTooLateTakesNoTimeFromOthers(t *testing.T) {
	var left time.Duration
	w := newWorld(t, func(_ *Options, w *world) {
		w.codes.settle = func(ctx context.Context, _ []otp.Walked) {
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
		}
	})
	r, out := newWire(w.Server)
	batch := r.sort([]ipv4.Message{
		datagramFrom("192.0.2.1:1001", goodLogin("alice", testCode)), datagramFrom("192.0.2.1:1002", goodLogin("müller", testCode)),
	})
	batch[0].arrived = batch[0].arrived.Add(-DefaultBudget + DefaultBudget/32)
	w.login(context.Background(), batch)
	if got := out.take(); len(got) != 1 || left < DefaultBudget/2 {
		t.Errorf("%d answers, after %v at most", len(got), left)
	}
	checkSum(t, w)
}

// TestOneClientLeavesRoom: however much comes from one client, another finds slots, with and without a peer that
// has to be waited for.
func TestOneClientLeavesRoom(t *testing.T) {
	for _, c := range []struct {
		name, who  string
		got, other int
	}{
		{"known accounts", "alice", 768, 128},
		{"accounts that are looked for", "carol", 384, 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			release := make(chan struct{})
			w := newWorld(t, func(o *Options, w *world) {
				o.Budget, o.MaxInFlight = time.Minute, 1024
				w.codes.settle = func(context.Context, []otp.Walked) { <-release }
				w.accounts.find = func(context.Context, string) { <-release }
			})
			under := func() int { return int(w.slots.Load()) }
			r, _ := newWire(w.Server)
			offer := func(from string, n int) {
				for i := range n {
					m := datagramFrom(fmt.Sprintf("%s:%d", from, 2000+i), goodLogin(c.who, testCode))
					if batch := r.sort([]ipv4.Message{m}); len(batch) > 0 {
						w.work.Go(func() { w.login(context.Background(), batch) })
						eventually(t, "it is where it has to wait", func() bool { return w.prompt.Load() == 0 || c.who == "alice" })
					}
				}
			}
			offer("192.0.2.1", 1000)
			if got := under(); got != c.got {
				t.Errorf("one client has %d slots, want %d", got, c.got)
			}
			if got := testutil.ToFloat64(w.metrics.discarded[discardClientShare]); got != float64(1000-c.got) {
				t.Errorf("%v discarded as more than its share", got)
			}
			if n := w.duplicates.Len(); n != c.got {
				t.Errorf("%d requests remembered: a discarded one must be fresh when it comes again", n)
			}
			offer("198.51.100.1", 300)
			if got := under() - c.got; got != c.other {
				t.Errorf("another has %d slots, want %d", got, c.other)
			}
			close(release)
			w.work.Wait()
			if under() != 0 || w.prompt.Load() != 0 || w.waiting.Load() != 0 {
				t.Errorf("%d slots, %d prompt, %d wait", under(), w.prompt.Load(), w.waiting.Load())
			}
			checkSum(t, w)
		})
	}
}

// TestAFloodOfNamesThatNobodyHas, from a client whose packets are authentic, asks the directory a few hundred times a
// second and no more; people who are known log in beside it, by the same client, and people who are not by another.
func TestAFloodOfNamesThatNobodyHas(t *testing.T) {
	var now atomic.Int64
	now.Store(1_700_000_000e9)
	w := newWorld(t, func(o *Options, _ *world) {
		o.Now = func() time.Time { return time.Unix(0, now.Load()) }
	})
	flood := func(n int) (searched int) {
		before := len(w.trail.all())
		for i := range n {
			w.feed("192.0.2.1:1000", goodLogin(fmt.Sprintf("nobody%d-%d", now.Load()%1e9, i), testCode))
		}
		return len(w.trail.all()) - before
	}
	if got := flood(300); got < 128 || got > 250 {
		t.Errorf("%d searches until it was seen", got)
	}
	for range 16 {
		now.Add(int64(125 * time.Millisecond))
		if got := flood(200); got != 64 {
			t.Errorf("%d searches in an eighth of a second", got)
		}
	}
	for name, from := range map[string]string{"alice": "192.0.2.1:2000", "carol": "198.51.100.1:2000"} {
		if got := w.feed(from, goodLogin(name, testCode)); len(got) != 1 || got[0][0] != probe.AccessAccept {
			t.Errorf("%s: %x", name, got)
		}
	}
	if got := w.feed("192.0.2.1:3000", goodLogin("bob", testCode)); w.trail.last(t) != "reject account_disabled" {
		t.Errorf("who is known: %s, %x", w.trail.last(t), got)
	}
	now.Add(int64(time.Second))
	if got := w.feed("192.0.2.1:4000", goodLogin("carol", testCode)); len(got) != 0 && got[0][0] == probe.AccessAccept {
		t.Errorf("a code twice: %x", got)
	} else if w.trail.last(t) != "reject code_used" {
		t.Errorf("who has to be looked for: %s", w.trail.last(t))
	}
	checkSum(t, w)
}

// TestNobodyElseTakesAClientsTurns: packets that are not authentic leave the turns of a client that is in vain to it.
func TestNobodyElseTakesAClientsTurns(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	w := newWorld(t, func(o *Options, _ *world) { o.Now = func() time.Time { return at } })
	c := w.table.Load().find(netip.MustParseAddr("192.0.2.1"))
	for !c.waits.InVain() {
		c.waits.Note(true)
	}
	for i := range 200 {
		login := goodLogin("carol", testCode)
		login[len(login)-1] ^= 1
		w.feed(fmt.Sprintf("192.0.2.1:%d", 1000+i), login)
	}
	if got := testutil.ToFloat64(w.metrics.discarded[discardBadAuthenticator]); got != 200 {
		t.Fatalf("%v are not authentic", got)
	}
	if got := w.feed("192.0.2.1:2000", goodLogin("carol", testCode)); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Errorf("%x", got)
	}
	checkSum(t, w)
}

// TestAFloodOfWrongCodes takes an eighth of the slots, and nothing of it is computed that has none.
func TestAFloodOfWrongCodes(t *testing.T) {
	var hold atomic.Bool
	release := make(chan struct{})
	w := newWorld(t, func(o *Options, w *world) {
		o.Budget, o.MaxInFlight = time.Minute, 1024
		w.codes.settle = func(context.Context, []otp.Walked) {
			if hold.Load() {
				<-release
			}
		}
	})
	for i := range 300 {
		w.feed("192.0.2.1:1000", goodLogin("alice", fmt.Sprintf("9%05d", i)))
	}
	hold.Store(true)
	r, _ := newWire(w.Server)
	for i := range 500 {
		from := fmt.Sprintf("192.0.2.1:%d", 2000+i)
		if batch := r.sort([]ipv4.Message{datagramFrom(from, goodLogin("alice", fmt.Sprintf("8%05d", i)))}); len(batch) > 0 {
			w.work.Go(func() { w.login(context.Background(), batch) })
		}
	}
	if got := w.slots.Load(); got != 128 {
		t.Errorf("%d slots are taken", got)
	}
	if got := testutil.ToFloat64(w.metrics.discarded[discardClientShare]); got != 500-128 {
		t.Errorf("%v discarded", got)
	}
	close(release)
	if got := w.feed("198.51.100.1:2000", goodLogin("müller", testCode)); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Errorf("by another client: %x", got)
	}
	w.work.Wait()
	checkSum(t, w)
}
