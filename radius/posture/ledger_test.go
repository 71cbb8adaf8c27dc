package posture_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/radius/posture"
)

const day = 24 * time.Hour

var noon = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

// world is two nodes on one store, each with a clock of its own.
type world struct {
	*testing.T
	store *boltstore.Store
	path  string
	nodes [2]*node
}

type node struct {
	*posture.Ledger
	mu sync.Mutex
	at time.Time
}

func (n *node) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

func (n *node) jump(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = n.at.Add(d)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // they wait for the disk
	w := &world{T: t, path: filepath.Join(t.TempDir(), "otpgate.db"), nodes: [2]*node{{at: noon}, {at: noon}}}
	w.open()
	return w
}

// open opens the store and starts both nodes, which know nothing.
func (w *world) open() {
	w.Helper()
	store, err := boltstore.Open(boltstore.Options{Path: w.path})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	w.store = store
	w.start(0)
	w.start(1)
}

func (w *world) start(i int) {
	w.Helper()
	n := w.nodes[i]
	var err error
	if n.Ledger, err = posture.New(posture.Options{Notes: w.store, Node: "node" + string('0'+rune(i)), Now: n.now}); err != nil {
		w.Fatal(err)
	}
	n.Client("vpn")
}

func (w *world) count(i, signed, unsigned int) {
	c := w.nodes[i].Client("vpn")
	for range signed {
		c.Count(true)
	}
	for range unsigned {
		c.Count(false)
	}
}

func (w *world) flush(nodes ...int) {
	w.Helper()
	for _, i := range nodes {
		if err := w.nodes[i].Flush(context.Background()); err != nil {
			w.Fatal(err)
		}
	}
}

// live lets both nodes live for so long, with so many signed packets a day at a node.
func (w *world) live(d time.Duration, at, perDay int) {
	w.Helper()
	for passed := time.Duration(0); passed < d; passed += posture.MaxStep {
		if passed%(4*time.Hour) == 0 {
			w.count(at, perDay/6, 0)
		}
		for _, n := range w.nodes {
			n.jump(posture.MaxStep)
		}
		w.flush(0)
		if passed%(2*time.Hour) == 0 {
			w.flush(1)
		}
	}
	w.flush(0, 1, 0)
}

func (w *world) proven(what string, want bool) {
	w.Helper()
	for i, n := range w.nodes {
		if s := w.summary(i); n.Client("vpn").Proven() != want || s.Proven != want {
			w.Errorf("%s: node %d says %t: %+v", what, i, n.Client("vpn").Proven(), s)
		}
	}
}

func (w *world) summary(i int) posture.Summary {
	w.Helper()
	list := w.nodes[i].Summary()
	if len(list) != 1 || list[0].Client != "vpn" {
		w.Fatalf("%+v", list)
	}
	return list[0]
}

func (w *world) says(what, text string) {
	w.Helper()
	for i := range w.nodes {
		if s := w.summary(i); s.Text != text {
			w.Errorf("%s: node %d says %q, want %q", what, i, s.Text, text)
		}
	}
}

func TestTwoNodesProveAClient(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.says("at first", "nothing seen yet")
	w.live(4*day, 0, 120)
	w.says("half of it", "Message-Authenticator seen in 480 of 480 packets for 3 days: safe to require after 1,000 packets on 7 days")
	w.live(4*day, 1, 180)
	w.proven("1,200 packets on 8 days", true)
	w.says("then", "Message-Authenticator seen in 1,200 of 1,200 packets for 7 days: safe to require")
	if s := w.summary(0); s.Signed != 1200 || s.Total != 1200 || !s.Safe || s.Since.Before(noon) || s.Since.After(noon.Add(posture.MaxStep)) || !s.LastUnsigned.IsZero() {
		t.Errorf("%+v", s)
	}

	// It stays so over a restart of both nodes and the store, whatever comes.
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.open()
	w.flush(0, 1)
	w.proven("after a restart", true)
	w.count(0, 10, 3000)
	w.flush(0, 1)
	for _, n := range w.nodes {
		n.jump(2 * time.Minute)
	}
	w.flush(0, 1)
	w.proven("after 3,000 packets without", true)
	w.says("then", "Message-Authenticator seen in 1,210 of 1,210 packets for 7 days: required, and 3,000 without it discarded, the last 2 minutes ago")
}

// All three have to hold.
func TestLessIsNoProof(t *testing.T) {
	for name, c := range map[string]struct {
		live   time.Duration
		perDay int
		burst  int
		idle   time.Duration
	}{
		"too few packets": {8 * day, 120, 0, 0},
		"too short":       {6 * day, 6000, 0, 0},
		"too few days":    {day, 0, 50_000, 8 * day},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.flush(0, 1)
			w.count(1, c.burst, 0)
			w.live(c.live, 0, c.perDay)
			w.live(c.idle, 0, 0)
			w.proven(name, false)
			if s := w.summary(0); s.Safe {
				t.Errorf("%+v", s)
			}
		})
	}
}

// One packet without, on whichever node, and it begins anew.
func TestOnePacketWithoutStartsAnew(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(6*day, 0, 600)
	w.count(1, 5000, 1)
	w.flush(1, 0)
	for _, n := range w.nodes {
		n.jump(2 * time.Minute)
	}
	w.flush(0, 1)
	w.says("with one without", "Message-Authenticator seen in 8,600 of 8,601 packets, last without 2 minutes ago: not safe to require")
	w.live(2*day, 0, 600)
	w.proven("8 days with one without", false)
	w.live(4*day, 1, 600)
	w.proven("6 days since", false)
	w.live(2*day, 0, 600)
	w.proven("8 days since", true)
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(8*day, 0, 180)
	w.proven("at first", true)
	w.nodes[1].Forget("vpn")
	if w.nodes[1].Client("vpn").Proven() {
		t.Error("not at once")
	}
	w.flush(1, 0)
	w.proven("on all nodes", false)
	w.live(8*day, 0, 60)
	w.proven("it has to prove it anew", false)
	w.nodes[1].Learn("vpn")
	w.live(4*day, 1, 600)
	w.proven("and does", true)
}

// While a client is not to be learnt on any node, nothing is kept of what it proves.
func TestWhatIsNotLearntIsOnlyCounted(t *testing.T) {
	w := newWorld(t)
	for _, n := range w.nodes {
		n.Forget("vpn")
	}
	if w.nodes[0].Client("vpn").Proven() {
		t.Error("before the store was read")
	}
	w.flush(0, 1)
	w.live(8*day, 0, 180)
	w.proven("not learnt", false)
	w.says("but", "Message-Authenticator seen in 1,440 of 1,440 packets for 7 days: safe to require")
	w.count(0, 0, 1)
	w.flush(0, 1)
	for _, n := range w.nodes {
		n.Learn("vpn")
	}
	w.live(day, 0, 600)
	w.proven("the last packet was without", false)
}

func TestClocksThatJumpProveNothing(t *testing.T) {
	for name, jumps := range map[string][]time.Duration{
		"ahead by a month":             {30 * day},
		"a day ahead, again and again": {day, day, day, day, day, day, day, day, day, day, day, day},
		"an hour to and fro":           {time.Hour, -time.Hour, time.Hour, -time.Hour, time.Hour, -time.Hour},
		"a little to and fro":          {9 * time.Minute, -9 * time.Minute, 9 * time.Minute, -9 * time.Minute},
		"back by years":                {-3000 * day, time.Second, 3000 * day},
		"years ahead and back":         {3000 * day, -3000 * day},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.flush(0, 1)
			w.live(7*day-time.Hour, 0, 1200)
			for range 20 {
				for _, d := range jumps {
					w.count(0, 100, 0)
					w.nodes[0].jump(d)
					w.flush(0, 1)
				}
			}
			w.proven(name, false)
		})
	}
}

// A clock that was set right is as good as any.
func TestAClockThatIsSetBack(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(day, 0, 1200)
	for _, n := range w.nodes {
		n.jump(-3000 * day)
	}
	w.live(7*day, 0, 1200)
	w.proven("8 days by two clocks", true)
}

// What a node counted that has gone since, before the last packet without, is worth nothing.
func TestANodeThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(6*day, 0, 6000)
	w.count(1, 0, 1)
	w.flush(1)
	for passed := time.Duration(0); passed < 8*day; passed += posture.MaxStep {
		if passed%(4*time.Hour) == 0 {
			w.count(1, 2, 0)
		}
		w.nodes[1].jump(posture.MaxStep)
		w.flush(1)
	}
	if s := w.summary(1); s.Proven || s.Safe || s.Signed != 36_096 {
		t.Errorf("96 packets in 8 days: %+v", s)
	}
}

// A node that was away, or did not watch, has seen nothing.
func TestTimeInWhichNobodyWatched(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	for range 20 {
		w.count(0, 1000, 0)
		w.flush(0, 1)
		for _, n := range w.nodes {
			n.jump(day)
		}
		w.start(0)
		w.start(1)
	}
	w.flush(0, 1)
	w.proven("20 days of a minute each", false)
}

// What the store does not tell is not made up: until it was read once, nothing is accepted that the
// cluster may have stopped accepting.
func TestTheStoreIsGoneAtStart(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.count(0, 7, 1)
	if err := w.nodes[0].Flush(ctx); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	c := w.nodes[0].Client("vpn")
	if s := w.summary(0); !c.Proven() || s.Proven || s.Safe || !strings.HasPrefix(s.Text, "not known yet") {
		t.Errorf("%t, %+v", c.Proven(), s)
	}
	if err := w.nodes[0].Flush(ctx); !errors.Is(err, otp.ErrUnavailable) || !c.Proven() {
		t.Errorf("%v", err)
	}
}

// broken is a store that fails when it is told to; the rest is real.
type broken struct {
	kept
	put bool
}

type kept = otp.Notes

func (b *broken) PutNotes(ctx context.Context, notes []otp.Note) error {
	if err := b.kept.PutNotes(ctx, notes); err != nil || !b.put {
		return err
	}
	return otp.ErrUnavailable // the answer was lost
}

func TestWhatCouldNotBeStoredIsNotLostAndCountsOnce(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	b := &broken{kept: w.store, put: true}
	l, err := posture.New(posture.Options{Notes: b, Node: "n", Now: w.nodes[0].now})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l.Client("vpn").Count(true)
		if err := l.Flush(ctx); !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
	b.put = false
	l.Client("vpn").Count(false)
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	w.flush(0)
	if s := w.summary(0); s.Signed != 3 || s.Total != 4 {
		t.Errorf("%+v", s)
	}
}

// Notes of another version may tell of packets without the attribute.
func TestANoteThatCannotBeReadProvesNobody(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	if err := w.store.PutNotes(context.Background(), []otp.Note{
		{Kind: "posture", Key: "vpn", Field: "node9", Value: []byte("\x01"), Expires: noon.Add(300 * day)},
	}); err != nil {
		t.Fatal(err)
	}
	w.live(8*day, 0, 600)
	w.proven("beside another version's", false)
}

// What a node knows to be proven comes back to a store that lost it.
func TestAStoreThatLostItsNotes(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(8*day, 0, 180)
	if err := w.store.PutNotes(context.Background(), []otp.Note{
		{Kind: "posture", Key: "vpn", Field: "!proven"}, {Kind: "posture", Key: "vpn", Field: "node0"}, {Kind: "posture", Key: "vpn", Field: "node1"},
	}); err != nil {
		t.Fatal(err)
	}
	w.flush(0)
	w.start(1)
	w.flush(1, 0)
	w.proven("lost", true)
	if s := w.summary(1); s.Total != 1440 {
		t.Errorf("%+v", s)
	}
}

// A year is refreshed for as long as a node runs.
func TestWhatIsProvenDoesNotExpire(t *testing.T) {
	w := newWorld(t)
	w.flush(0, 1)
	w.live(8*day, 0, 180)
	for range 20 {
		for _, n := range w.nodes {
			n.jump(100 * day)
		}
		w.flush(0)
		w.start(0)
		w.start(1)
		w.flush(0, 1)
	}
	w.proven("after years", true)
}

func TestCountingCostsNothing(t *testing.T) {
	l, err := posture.New(posture.Options{Notes: &broken{}, Node: "n", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := l.Client("vpn")
	if n := testing.AllocsPerRun(1000, func() { c.Count(true); c.Count(false); c.Proven() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nothing is lost or counted twice, whoever flushes meanwhile.
func TestCountingWhileFlushing(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	const each = 20_000
	var counting, flushing sync.WaitGroup
	done := make(chan struct{})
	for i, n := range w.nodes {
		for range 2 {
			counting.Go(func() {
				for k := range each {
					n.Client("vpn").Count(k%2 == i)
					n.Client("vpn").Proven()
				}
			})
			flushing.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						if err := n.Flush(ctx); err != nil {
							t.Error(err)
							return
						}
						n.Summary()
						n.jump(time.Second)
					}
				}
			})
		}
	}
	counting.Wait()
	close(done)
	flushing.Wait()
	w.flush(0, 1, 0)
	for i := range w.nodes {
		if s := w.summary(i); s.Signed != 2*each || s.Total != 4*each || s.Proven {
			t.Errorf("%+v", s)
		}
	}
}

func TestClientsComeAndGo(t *testing.T) {
	w := newWorld(t)
	l := w.nodes[0]
	long := strings.Repeat("long ", 100)
	if wifi := l.Client("wifi"); wifi != l.Client("wifi") || wifi == l.Client("vpn") {
		t.Error("not one for each name")
	}
	l.Client("wifi").Count(true)
	l.Client(long).Count(true)
	w.flush(0)
	if list := l.Summary(); len(list) != 3 || list[0].Client != long || list[0].Total != 1 || list[1].Total != 0 || list[2].Total != 1 {
		t.Errorf("%+v", list)
	}
	l.Retain([]string{"vpn"})
	w.flush(0)
	w.summary(0) // one
	l.Client("wifi")
	w.flush(0)
	if list := l.Summary(); len(list) != 2 || list[1].Total != 1 {
		t.Errorf("%+v", list)
	}
}

func TestALedgerWantsWhatItNeeds(t *testing.T) {
	w := newWorld(t)
	for _, o := range []posture.Options{
		{}, {Notes: w.store, Now: w.nodes[0].now}, {Notes: w.store, Node: "n"}, {Node: "n", Now: w.nodes[0].now},
		{Notes: w.store, Now: w.nodes[0].now, Node: "!proven"}, {Notes: w.store, Now: w.nodes[0].now, Node: strings.Repeat("n", 65)},
	} {
		if _, err := posture.New(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}
