package radius

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// atOnce is a directory that answers all of a call together.
type atOnce struct{ *fakeAccounts }

func (f atOnce) FindAll(ctx context.Context, questions []directory.Question, asker directory.Asker) {
	answers := make([]directory.Answer, len(questions))
	for i, q := range questions {
		answers[i].Of = q.Of
		answers[i].Account, answers[i].Err = f.Find(ctx, q.Name, q.Allowed)
	}
	go asker.Found(answers)
}

// TestWhatIsFoundTogetherIsClaimedTogether: each with its own answer, whether its devices are known or have to be loaded.
func TestWhatIsFoundTogetherIsClaimedTogether(t *testing.T) {
	for _, unknown := range []int{0, 4, 2} {
		w := newWorld(t)
		names := []string{"carol", "dora", "emil", "fritz"}
		var packets [][]byte
		for i, name := range names {
			w.accounts.remote[name] = account(name)
			w.codes.codes[name+"-id"] = []string{testCode}
			w.codes.unknown[name+"-id"] = i < unknown
			packets = append(packets, goodLogin(name, testCode))
		}
		w.accounts.findErr["twin"] = directory.ErrAmbiguous
		packets = append(packets, goodLogin("twin", testCode), goodLogin("emil", "999999"), goodLogin("zoe", testCode))
		w.Server.accounts = atOnce{w.accounts}
		w.feed(vpnAddr, packets...)
		want := []int{5}
		if unknown == 2 {
			want = []int{2, 3}
		}
		if got := slices.Sorted(slices.Values(w.codes.batches())); !slices.Equal(got, want) {
			t.Errorf("claims of %v, want %v", got, want)
		}
		outcomes := map[string]int{}
		for _, e := range w.trail.all() {
			outcomes[e.Decision+" "+string(e.Reason)]++
		}
		for what, n := range map[string]int{"accept ok": 4, "reject account_ambiguous": 1, "reject code_wrong": 1, "reject account_unknown": 1} {
			if outcomes[what] != n {
				t.Errorf("%d times %s, want %d: %v", outcomes[what], what, n, outcomes)
			}
		}
		if w.slots.Load() != 0 || w.waiting.Load() != 0 || w.prompt.Load() != 0 {
			t.Errorf("%d slots, %d wait, %d under way", w.slots.Load(), w.waiting.Load(), w.prompt.Load())
		}
	}
}

// TestAPanicInTheWalkOfOneFoundTogether drops that one.
func TestAPanicInTheWalkOfOneFoundTogether(t *testing.T) {
	w := newWorld(t)
	w.codes.walkPanic = "carol-id"
	w.accounts.remote["carol"], w.accounts.remote["dora"] = account("carol"), account("dora")
	w.codes.codes["dora-id"] = []string{testCode}
	w.Server.accounts = atOnce{w.accounts}
	if got := w.feed(vpnAddr, goodLogin("carol", testCode), goodLogin("dora", testCode)); len(got) != 1 {
		t.Errorf("%d replies, want that of dora", len(got))
	}
	if w.slots.Load() != 0 || w.waiting.Load() != 0 {
		t.Errorf("%d slots, %d wait", w.slots.Load(), w.waiting.Load())
	}
}

// TestNobodysClaimEndsWithSomebodyElsesPatience: of a batch whose claim hangs, who has time left goes on alone, as the
// same attempt.
func TestNobodysClaimEndsWithSomebodyElsesPatience(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.Clients[1].Timeout = 120 * time.Millisecond
		w.accounts.known["dora"] = account("dora")
		w.codes.codes["dora-id"] = []string{testCode}
		w.codes.settle = func(ctx context.Context, walked []otp.Walked) {
			if len(walked) > 1 {
				<-ctx.Done()
			}
		}
	})
	r, out := newWire(w.Server)
	w.login(context.Background(), r.sort([]ipv4.Message{
		datagramFrom(vpnAddr, goodLogin("alice", testCode)), datagramFrom("198.51.100.1:1000", goodLogin("dora", testCode)),
	}))
	w.work.Wait()
	if got := out.take(); len(got) != 1 {
		t.Errorf("%d replies", len(got))
	}
	for _, e := range w.trail.all() {
		if want := map[string]string{"alice": "accept ok", "dora": "drop timeout"}[e.Name]; e.Decision+" "+string(e.Reason) != want {
			t.Errorf("%s: %s %s, want %s", e.Name, e.Decision, e.Reason, want)
		}
	}
	if w.slots.Load() != 0 || w.waiting.Load() != 0 || w.prompt.Load() != 0 {
		t.Errorf("%d slots, %d wait, %d under way", w.slots.Load(), w.waiting.Load(), w.prompt.Load())
	}
}

// TestWhoIsSupersededUsesUpNoCode: the gateway has begun anew while the directory was asked, and the code is for that.
func TestWhoIsSupersededUsesUpNoCode(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var asked atomic.Int64
	w := newWorld(t, func(_ *Options, w *world) {
		w.accounts.find = func(context.Context, string) {
			if asked.Add(1) == 1 {
				close(entered)
				<-release
			}
		}
	})
	c := radiustest.Dial(t, w.serve(t), testSecret)
	old := c.Login("carol", testCode)
	c.Send(old.Octets())
	<-entered
	newer := probe.Login(testSecret, "carol", testCode)
	newer.Identifier = old.Identifier
	c.Send(newer.Octets())
	if r := c.Answered(newer.Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	close(release)
	eventually(t, "the old one ends", func() bool { return w.slots.Load() == 0 })
	if got := w.codes.batches(); !slices.Equal(got, []int{1}) {
		t.Errorf("claims of %v, want the newer one's alone", got)
	}
	if got := w.trail.last(t); got != "drop timeout" {
		t.Errorf("the old one: %s", got)
	}
}

// TestAPasswordThatIsSupersededCountsForNothing: the gateway has begun anew while the directory was asked about it. Right,
// it uses up no code, and wrong, it is not counted.
func TestAPasswordThatIsSupersededCountsForNothing(t *testing.T) {
	for _, password := range []string{"geheim", "falsch"} {
		entered, release := make(chan struct{}), make(chan struct{})
		var asked atomic.Int64
		w := newWorld(t, func(_ *Options, w *world) {
			w.accounts.bind = func() {
				if asked.Add(1) == 1 {
					close(entered)
					<-release
				}
			}
		})
		c := radiustest.DialFrom(t, "127.0.0.3", w.serve(t), testSecret)
		old := c.Login("alice", password+testCode)
		c.Send(old.Octets())
		<-entered
		newer := probe.Login(testSecret, "alice", "geheim"+testCode)
		newer.Identifier = old.Identifier
		c.Send(newer.Octets())
		if r := c.Answered(newer.Octets()); !r.Is(probe.AccessAccept) {
			t.Errorf("%s: code %d", password, r.Code)
		}
		close(release)
		eventually(t, "the old one ends", func() bool { return w.slots.Load() == 0 })
		if got := w.codes.batches(); !slices.Equal(got, []int{1}) || len(w.codes.wrong) != 0 {
			t.Errorf("%s: claims of %v, %d wrong passwords, want the newer one's claim alone", password, got, len(w.codes.wrong))
		}
		var ends []string
		for _, e := range w.trail.all() {
			ends = append(ends, e.Decision+" "+string(e.Reason))
		}
		slices.Sort(ends)
		if !slices.Equal(ends, []string{"accept ok", "drop timeout"}) {
			t.Errorf("%s: %q", password, ends)
		}
	}
}

// lateTrail takes refusals only when something was claimed.
type lateTrail struct {
	*world
	t *testing.T
}

func (l lateTrail) Record(ctx context.Context, events ...audit.Event) error {
	if events[0].Decision == otp.Reject.String() {
		eventually(l.t, "something is claimed", func() bool { return len(l.codes.batches()) > 0 })
	}
	return l.trail.Record(ctx, events...)
}

func (l lateTrail) Keep(ctx context.Context, events ...audit.Event) error {
	return l.trail.Keep(ctx, events...)
}

// TestNoClaimWaitsForARefusal to be on record, neither of who was known nor of who was sought.
func TestNoClaimWaitsForARefusal(t *testing.T) {
	for _, good := range []string{"alice", "carol"} {
		w := newWorld(t)
		w.Server.accounts = atOnce{w.accounts}
		w.Server.audit = lateTrail{w, t}
		w.feed(vpnAddr, goodLogin("bob", testCode), goodLogin("nobody", testCode), goodLogin(good, testCode))
		if got := w.trail.all(); len(got) != 3 {
			t.Errorf("%s: %d events", good, len(got))
		}
	}
}
