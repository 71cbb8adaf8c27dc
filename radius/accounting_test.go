package radius

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp/audit"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
	"otpgate/radius/session"
)

// fakeSessions keeps what it is told.
type fakeSessions struct {
	mu     sync.Mutex
	told   []string
	err    error
	panics bool
}

func (f *fakeSessions) tell(text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, text)
	if f.panics {
		panic("sessions")
	}
	return f.err
}

func (f *fakeSessions) Record(_ context.Context, client, account string, r session.Record) error {
	return f.tell(fmt.Sprintf("%s %s %s %v", client, account, r.Session, r.Status))
}

func (f *fakeSessions) Restarted(_ context.Context, client, nas string, _ time.Time) error {
	return f.tell(fmt.Sprintf("%s %s restarted", client, nas))
}

// books is a world that keeps open sessions.
func books(t testing.TB, change ...func(*Options, *world)) (*world, *fakeSessions) {
	f := &fakeSessions{}
	return newWorld(t, append([]func(*Options, *world){func(o *Options, _ *world) { o.Sessions = f }}, change...)...), f
}

// acknowledged holds that there is one reply, the right one.
func acknowledged(t testing.TB, packet []byte, replies [][]byte) probe.Reply {
	t.Helper()
	if len(replies) != 1 {
		t.Fatalf("%d replies", len(replies))
	}
	r, err := probe.Check(packet, replies[0], testSecret)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Is(accountingResponse) {
		t.Errorf("code %d", r.Code)
	}
	return r
}

// checkReports is checkSum for accounting.
func checkReports(t testing.TB, w *world) {
	t.Helper()
	total := testutil.ToFloat64(w.metrics.unrecorded) + testutil.ToFloat64(w.metrics.resent) +
		testutil.ToFloat64(w.metrics.inFlight) + testutil.ToFloat64(w.metrics.statusServer)
	for d := range discardReasons {
		total += testutil.ToFloat64(w.metrics.discarded[d])
	}
	for _, c := range w.Clients() {
		for _, status := range []string{"start", "stop", "interim_update", "accounting_on", "accounting_off", "other"} {
			total += testutil.ToFloat64(w.metrics.reports.WithLabelValues(c.Name, status))
		}
	}
	if got := testutil.ToFloat64(w.metrics.receivedUDP); got != total {
		t.Errorf("%v received, %v accounted for", got, total)
	}
	if w.slots.Load() != 0 || w.reporting.Load() != 0 {
		t.Errorf("%d slots are taken, %d for accounting", w.slots.Load(), w.reporting.Load())
	}
}

func TestAccountingIsRecordedAndAcknowledged(t *testing.T) {
	w, f := books(t)
	traffic := func(q *probe.Request) *probe.Request {
		number := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
		return q.Add(8, "\x0a\x08\x00\x02").Add(31, "10.9.8.7").Add(46, number(60)).Add(42, number(1000)).Add(43, number(2000)).Add(52, number(1)).Add(49, number(1))
	}
	for _, c := range []struct {
		q    *probe.Request
		want string // of the sessions
		kind string
	}{
		{accounting(1, "alice"), "vpn alice-id session-1 start", "start"},
		{accounting(3, "alice"), "vpn alice-id session-1 interim_update", "interim_update"},
		{traffic(accounting(2, "alice")).Add(33, "p").Add(33, "q"), "vpn alice-id session-1 stop", "stop"},
		{accounting(1, "carol").Signed(), "vpn carol-id session-1 start", "start"}, // asked for
		{accounting(1, "m\xfcller"), "vpn müller-id session-1 start", "start"},
		{accounting(7, ""), "vpn nas1 restarted", "accounting_on"},
		{accounting(8, ""), "vpn nas1 restarted", "accounting_off"},
		{accounting(1, "mallory"), "", "start"}, // nobody: in the trail alone
		{accounting(1, ""), "", "start"},
		{accounting(15, "alice"), "vpn alice-id session-1 status_15", "status_15"},
		{accounting(4_000_000_000, "alice"), "vpn alice-id session-1 status_4000000000", "status_4000000000"},
	} {
		f.told = nil
		packet := stamped(c.q)
		r := acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
		var want []byte // and no Message-Authenticator
		for range 2 * strings.Count(string(packet), "\x21\x03p") {
			want = append(want, probe.ProxyState)
		}
		if !slices.Equal(types(r), want) {
			t.Errorf("%s: attributes %v, want %v", c.kind, types(r), want)
		}
		if got := strings.Join(f.told, "; "); got != c.want {
			t.Errorf("%s: the sessions were told %q, want %q", c.kind, got, c.want)
		}
		all := w.trail.all()
		e := all[len(all)-1]
		if e.Kind != audit.Accounting || e.Action != c.kind || e.Client != "vpn" || e.NAS != "nas1" || e.Session != "session-1" || !strings.HasPrefix(e.Source, "192.0.2.1") {
			t.Errorf("%s: event %+v", c.kind, e)
		}
	}
	stop := w.trail.all()[2]
	want := audit.Traffic{Address: "10.8.0.2", Seconds: 60, In: 1<<32 + 1000, Out: 2000, Cause: "User-Request"}
	if stop.Traffic == nil || *stop.Traffic != want || stop.Account != "alice-id" || stop.Name != "alice" || stop.Source != "192.0.2.1 10.9.8.7" {
		t.Errorf("event %+v, %+v", stop, stop.Traffic)
	}
	if got := testutil.ToFloat64(w.metrics.reports.WithLabelValues("vpn", "other")); got != 2 {
		t.Errorf("%v of other statuses", got)
	}
	checkReports(t, w)
}

// TestEveryFlippedBitOfAReportIsDiscarded: the Request Authenticator covers all of it, without
// Message-Authenticator too.
func TestEveryFlippedBitOfAReportIsDiscarded(t *testing.T) {
	for _, q := range []*probe.Request{accounting(1, "alice"), accounting(1, "alice").Signed()} {
		w, f := books(t)
		packet := stamped(q)
		for bit := range 8 * len(packet) {
			if got := w.feedTo(forAccounting, fromVPN, probe.Flip(packet, bit)); len(got) != 0 {
				t.Errorf("bit %d of octet %d was not noticed", bit%8, bit/8)
			}
		}
		if n := len(w.trail.all()); n != 0 || len(f.told) != 0 {
			t.Errorf("%d recorded, %d noted", n, len(f.told))
		}
		acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
		checkReports(t, w)
	}
}

// TestReportsThatAreDiscarded: for each there is a reason, and nothing is recorded or answered.
func TestReportsThatAreDiscarded(t *testing.T) {
	wrongly := accounting(1, "alice").Add(maType, strings.Repeat("x", 16)) // and yet a right Request Authenticator
	other := accounting(1, "alice")
	other.Secret = []byte("another secret")
	for _, c := range []struct {
		name   string
		takes  service
		from   string
		packet []byte
		want   discard
	}{
		{"where logins go", forLogins, fromVPN, stamped(accounting(1, "alice")), discardWrongCode},
		{"a login where reports go", forAccounting, fromVPN, goodLogin("alice", testCode), discardWrongCode},
		{"of nobody", forAccounting, fromNobody, stamped(accounting(1, "alice")), discardUnknownClient},
		{"without authenticator", forAccounting, fromVPN, accounting(1, "alice").Octets(), discardBadRequestAuthenticator},
		{"signed like a login", forAccounting, fromVPN, accounting(1, "alice").Signed().Octets(), discardBadRequestAuthenticator},
		{"another secret", forAccounting, fromVPN, stamped(other), discardBadRequestAuthenticator},
		{"wrong Message-Authenticator", forAccounting, fromVPN, stamped(wrongly), discardBadAuthenticator},
		{"two of them", forAccounting, fromVPN, stamped(accounting(1, "alice").Signed().Signed()), discardRepeatedAuthenticator},
		{"a short one", forAccounting, fromVPN, stamped(accounting(1, "alice").Add(maType, "x")), discardMalformedAuthenticator},
		{"no status", forAccounting, fromVPN, stamped(accounting(1, "alice").Without(40)), discardMalformedAttributes},
		{"a status of three octets", forAccounting, fromVPN, stamped(accounting(1, "alice").Without(40).Add(40, "\x00\x00\x01")), discardMalformedAttributes},
		{"an address of three octets", forAccounting, fromVPN, stamped(accounting(1, "alice").Add(8, "123")), discardMalformedAttributes},
		{"two names", forAccounting, fromVPN, stamped(accounting(1, "alice").Add(1, "carol")), discardRepeatedAttribute},
		{"an attribute too long", forAccounting, fromVPN, stamped(accounting(1, "alice").Add(200, strings.Repeat("x", 254))), discardMalformedAttributes},
	} {
		w, f := books(t)
		got := w.feedTo(c.takes, c.from, c.packet)
		if len(got) != 0 || len(w.trail.all()) != 0 || len(f.told) != 0 || testutil.ToFloat64(w.metrics.discarded[c.want]) != 1 {
			t.Errorf("%s: %d replies, %d recorded, %s", c.name, len(got), len(w.trail.all()), w.became())
		}
		if w.duplicates.Len() != 0 {
			t.Errorf("%s: it is remembered", c.name)
		}
		checkReports(t, w)
	}
}

// TestTheAccountingPortAnswersStatusServer with its own code (RFC 5997 section 3).
func TestTheAccountingPortAnswersStatusServer(t *testing.T) {
	w, _ := books(t)
	packet := probe.NewRequest(probe.StatusServer, testSecret).Signed().Octets()
	acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
	checkReports(t, w)
}

// TestWhatIsNotOnDiskIsNotAcknowledged: the gateway sends again, and that is worked on.
func TestWhatIsNotOnDiskIsNotAcknowledged(t *testing.T) {
	w, f := books(t)
	packet := stamped(accounting(1, "alice"))
	w.trail.err = errors.New("disk full")
	for range 2 {
		if got := w.feedTo(forAccounting, fromVPN, packet, packet); len(got) != 0 || len(f.told) != 0 {
			t.Fatalf("%d replies, %d noted", len(got), len(f.told))
		}
	}
	if got := testutil.ToFloat64(w.metrics.unrecorded); got != 4 || w.duplicates.Len() != 0 {
		t.Errorf("%v not recorded, %d remembered", got, w.duplicates.Len())
	}
	if n := w.logs("accounting not recorded", "disk full"); n != 1 {
		t.Errorf("%d lines in a minute", n)
	}
	w.trail.err = nil
	acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
	if n := len(w.trail.all()); n != 1 || len(f.told) != 1 {
		t.Errorf("%d recorded, %d noted", n, len(f.told))
	}
	checkReports(t, w)
}

// TestTheTrailComesFirst: nothing is written to the wire before it is on disk.
func TestTheTrailComesFirst(t *testing.T) {
	w, _ := books(t)
	r, out := newWire(w.Server)
	r.takes = forAccounting
	early := -1
	w.Server.audit = keeps{w.trail, func() { early = len(out.take()) }}
	m := datagramFrom(fromVPN, stamped(accounting(1, "alice")))
	r.reader.datagram(r.socket, &m, time.Now())
	r.start(context.Background(), false)
	w.work.Wait()
	if got := out.take(); early != 0 || len(got) != 1 {
		t.Errorf("%d replies before the trail, %d after", early, len(got))
	}
}

// keeps calls something before a report is kept, or a login recorded.
type keeps struct {
	Audit
	before func()
}

func (k keeps) Keep(ctx context.Context, events ...audit.Event) error {
	k.before()
	return k.Audit.Keep(ctx, events...)
}

func (k keeps) Record(ctx context.Context, events ...audit.Event) error {
	k.before()
	return k.Audit.Record(ctx, events...)
}

func TestDuplicatesOfReports(t *testing.T) {
	w, f := books(t)
	packet := stamped(accounting(1, "alice").Add(33, "p"))
	first := acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
	for range 3 {
		again := acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
		if !slices.Equal(again.Octets, first.Octets) {
			t.Error("a duplicate got other octets")
		}
	}
	if n := len(w.trail.all()); n != 1 || len(f.told) != 1 {
		t.Errorf("%d recorded, %d noted", n, len(f.told))
	}
	// What gateways change in between (Acct-Delay-Time) makes it another request.
	packet = stamped(accounting(1, "alice").Add(41, "\x00\x00\x00\x05"))
	acknowledged(t, packet, w.feedTo(forAccounting, fromVPN, packet))
	if n := len(w.trail.all()); n != 2 {
		t.Errorf("%d recorded", n)
	}
	checkReports(t, w)
}

// TestAViewThatFailsHoldsUpNothing: it is acknowledged, and said once.
func TestAViewThatFailsHoldsUpNothing(t *testing.T) {
	for _, change := range []func(*world, *fakeSessions){
		func(_ *world, f *fakeSessions) { f.err = errors.New("store down") },
		func(_ *world, f *fakeSessions) { f.panics = true },
		func(w *world, _ *fakeSessions) { w.accounts.find = func(context.Context, string) { panic("find") } },
		func(w *world, _ *fakeSessions) { w.accounts.findErr["carol"] = directory.ErrUnavailable },
		func(w *world, _ *fakeSessions) { w.options.Sessions = nil },
	} {
		w, f := books(t)
		change(w, f)
		packets := [][]byte{stamped(accounting(1, "alice")), stamped(accounting(1, "carol")), stamped(accounting(7, ""))}
		if got := w.feedTo(forAccounting, fromVPN, packets...); len(got) != 3 || len(w.trail.all()) != 3 {
			t.Errorf("%d replies, %d recorded", len(got), len(w.trail.all()))
		}
		if n := w.logs("open sessions are not up to date"); n > 1 || f.err != nil && n != 1 {
			t.Errorf("%d lines", n)
		}
		checkReports(t, w)
	}
}

// TestPanicsOfAccounting end reports, and no more: slots and duplicates are as if nothing had come.
func TestPanicsOfAccounting(t *testing.T) {
	packets := [][]byte{stamped(accounting(1, "alice")), stamped(accounting(2, "alice"))}
	for _, c := range []struct {
		name    string
		replies int
		change  func(*world)
	}{
		{"the trail", 0, func(w *world) { w.Server.audit = panics{} }},
		{"the directory's memory", 0, func(w *world) { w.Server.accounts = knowsNobody{} }},
	} {
		w, _ := books(t)
		c.change(w)
		if got := w.feedTo(forAccounting, fromVPN, packets...); len(got) != c.replies {
			t.Errorf("%s: %d replies", c.name, len(got))
		}
		if n := testutil.ToFloat64(w.metrics.panics); n == 0 || w.duplicates.Len() != 0 {
			t.Errorf("%s: %v panics, %d remembered", c.name, n, w.duplicates.Len())
		}
		checkReports(t, w)
	}
}

type knowsNobody struct{ Accounts }

func (knowsNobody) FindKnown(string, []string) (*directory.Account, bool) { panic("known") }

// TestAccountingKeepsNoLoginOut: whatever hangs behind it, and however much comes.
func TestAccountingKeepsNoLoginOut(t *testing.T) {
	release := make(chan struct{})
	w, _ := books(t, func(o *Options, w *world) {
		o.MaxInFlight = 8
		w.accounts.find = func(context.Context, string) { <-release }
	})
	r, out := newWire(w.Server)
	r.takes = forAccounting
	for i := range 20 {
		m := datagramFrom(fmt.Sprintf("192.0.2.1:%d", 2000+i), stamped(accounting(1, "carol")))
		r.reader.datagram(r.socket, &m, time.Now())
		r.start(context.Background(), false)
	}
	eventually(t, "what has a slot is acknowledged", func() bool { return len(w.trail.all()) == 8 })
	if got := testutil.ToFloat64(w.metrics.discarded[discardOverload]); got != 12 || w.slots.Load() != 0 {
		t.Errorf("%v discarded, %d slots of logins taken", got, w.slots.Load())
	}
	logins, answers := newWire(w.Server)
	w.login(context.Background(), logins.sort([]ipv4.Message{datagramFrom("192.0.2.1:1001", goodLogin("alice", testCode))}))
	if got := answers.take(); len(got) != 1 || got[0][0] != probe.AccessAccept {
		t.Errorf("a login meanwhile: %x", got)
	}
	close(release)
	w.work.Wait()
	if n := len(out.take()); n != 8 || w.reporting.Load() != 0 {
		t.Errorf("%d acknowledged, %d slots taken", n, w.reporting.Load())
	}
}

// TestAccountingOverTheSocket: its port takes reports and no logins, the other logins and no reports.
func TestAccountingOverTheSocket(t *testing.T) {
	w, _ := books(t, func(o *Options, _ *world) { o.Accounting = []string{"127.0.0.1:0"} })
	logins := radiustest.Dial(t, w.serve(t), testSecret)
	if len(w.Addrs()) != 2 {
		t.Fatalf("listening on %v", w.Addrs())
	}
	reports := radiustest.Dial(t, w.Addrs()[1].String(), testSecret)
	for _, status := range []uint32{1, 3, 2} {
		if r := reports.Exchange(stamped(accounting(status, "alice"))); !r.Is(accountingResponse) {
			t.Errorf("status %d: code %d", status, r.Code)
		}
	}
	reports.Send(goodLogin("alice", testCode))
	logins.Send(stamped(accounting(1, "alice")))
	logins.Alive()
	if r := reports.Exchange(probe.NewRequest(probe.StatusServer, testSecret).Signed().Octets()); !r.Is(accountingResponse) {
		t.Errorf("Status-Server: code %d", r.Code)
	}
	if got := testutil.ToFloat64(w.metrics.discarded[discardWrongCode]); got != 2 {
		t.Errorf("%v of the wrong code", got)
	}
	if r := logins.Exchange(logins.Login("alice", testCode).Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
}
