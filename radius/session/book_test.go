package session_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/radius/session"
)

var noon = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

// world is two nodes on one store, and what time it is.
type world struct {
	*testing.T
	store *boltstore.Store
	nodes [2]*session.Book
	mu    sync.Mutex
	at    time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, at: noon}
	var err error
	if w.store, err = boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "otpgate.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	for i := range w.nodes {
		if w.nodes[i], err = session.New(session.Options{Notes: w.store, Now: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// packet records a packet of client vpn and its gateway nas1 about alice.
func (w *world) packet(status session.Status, id string, change ...func(*session.Record)) {
	w.Helper()
	r := session.Record{Status: status, Session: id, NAS: "nas1"}
	for _, f := range change {
		f(&r)
	}
	if err := w.nodes[0].Record(context.Background(), "vpn", "alice", r); err != nil {
		w.Fatal(err)
	}
}

func (w *world) open(account string) []session.Session {
	w.Helper()
	list, err := w.nodes[1].Open(context.Background(), account)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

// wants compares the identifiers of alice's open sessions.
func (w *world) wants(what string, ids ...string) {
	w.Helper()
	var got []string
	for _, s := range w.open("alice") {
		got = append(got, s.ID)
	}
	if strings.Join(got, " ") != strings.Join(ids, " ") {
		w.Errorf("%s: open %q, want %q", what, got, ids)
	}
}

func stamped(at time.Time) func(*session.Record) { return func(r *session.Record) { r.Stamp = at } }
func delayed(d time.Duration) func(*session.Record) {
	return func(r *session.Record) { r.Delay = d }
}
func lasted(d time.Duration) func(*session.Record) {
	return func(r *session.Record) { r.Lasted = d }
}

func TestASessionFromStartToStop(t *testing.T) {
	w := newWorld(t)
	w.wants("nothing yet")
	w.packet(session.Start, "a", func(r *session.Record) { r.Station, r.Address = "02-00-00-00-00-01", "10.8.0.2" })
	w.pass(10 * time.Minute)
	w.packet(session.InterimUpdate, "a", lasted(599*time.Second), func(r *session.Record) { r.In, r.Out = 1<<33, 7 })
	want := []session.Session{{
		Client: "vpn", NAS: "nas1", ID: "a", Station: "02-00-00-00-00-01", Address: "10.8.0.2",
		Started: noon, Updated: noon.Add(10 * time.Minute), In: 1 << 33, Out: 7,
	}}
	if diff := cmp.Diff(want, w.open("alice")); diff != "" {
		t.Error(diff)
	}
	if list := w.open("bob"); len(list) != 0 {
		t.Errorf("bob: %v", list)
	}
	w.pass(time.Second)
	w.packet(session.Start, "b")
	w.wants("the newest first", "b", "a")
	for range 3 {
		w.packet(session.Stop, "a")
	}
	w.wants("one is over", "b")
	w.packet(session.Status(15), "b")
	w.wants("a status that means nothing here", "b")
}

// Whatever order packets come in, and however often, a session that ended is not open.
func TestPacketsInAnyOrder(t *testing.T) {
	type said struct {
		status session.Status
		after  time.Duration
	}
	life := []said{{session.Start, 0}, {session.InterimUpdate, 5 * time.Minute}, {session.InterimUpdate, 10 * time.Minute}, {session.Stop, 12 * time.Minute}}
	for seed := range uint64(40) {
		w, random := newWorld(t), rand.New(rand.NewPCG(seed, 1))
		w.pass(time.Hour) // the gateway could not reach anybody until now
		for range 2 {
			for _, i := range random.Perm(len(life)) {
				p := life[i]
				when := stamped(noon.Add(p.after))
				if seed%2 == 1 {
					when = delayed(w.now().Sub(noon.Add(p.after)))
				}
				w.packet(p.status, "a", when, lasted(p.after))
				w.pass(time.Duration(random.IntN(5)) * time.Second)
			}
		}
		w.wants(fmt.Sprintf("seed %d", seed))
		w.packet(session.Start, "a")
		w.wants("the identifier is used again", "a")
	}
}

func TestOlderNewsChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Hour)
	octets := func(n uint64) func(*session.Record) { return func(r *session.Record) { r.In = n } }
	w.packet(session.InterimUpdate, "a", stamped(noon.Add(20*time.Minute)), lasted(19*time.Minute), octets(200))
	w.packet(session.InterimUpdate, "a", stamped(noon.Add(10*time.Minute)), lasted(9*time.Minute), octets(100))
	s := w.open("alice")[0]
	if s.In != 200 || !s.Updated.Equal(noon.Add(20*time.Minute)) || !s.Started.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v", s)
	}
	w.packet(session.Start, "a", stamped(noon)) // tells better when it began
	if s := w.open("alice")[0]; s.In != 200 || !s.Started.Equal(noon) {
		t.Errorf("%+v", s)
	}
	w.packet(session.Stop, "a", stamped(noon.Add(-time.Minute))) // of an earlier one
	w.wants("the stop of an earlier session with the identifier", "a")
	w.packet(session.Stop, "a")
	w.packet(session.Stop, "a", stamped(noon.Add(time.Minute)))
	w.packet(session.Start, "a", stamped(noon.Add(2*time.Minute)))
	w.wants("a start between an earlier stop and the stop")
}

// Gateways that give neither Event-Timestamp nor Acct-Delay-Time.
func TestPacketsWithoutATime(t *testing.T) {
	w := newWorld(t)
	w.packet(session.Stop, "a")
	w.pass(10 * time.Second)
	w.packet(session.Start, "a")
	w.wants("a start after its stop")
	w.packet(session.InterimUpdate, "a", lasted(time.Hour))
	w.wants("an interim after its stop")
	w.pass(time.Hour)
	w.packet(session.InterimUpdate, "a", lasted(time.Hour+30*time.Second))
	w.wants("a late interim of a session that began before the stop")
	w.pass(26 * time.Hour)
	w.wants("when nobody knows of the stop any more")
	w.packet(session.Start, "a")
	w.wants("a day later, it is another one", "a")
}

func TestNobodyTouchesTheSessionsOfOthers(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.packet(session.Start, "a")
	w.pass(time.Minute)
	for _, other := range []struct{ client, nas, account, id string }{
		{"wifi", "nas1", "alice", "a"}, {"vpn", "nas2", "alice", "a"}, {"vpn", "nas1", "alice", "A"}, {"vpn", "nas1", "bob", "a"},
		{"vpnn", "as1", "alice", "a"}, {"vpn", "", "alice", "a"}, {"vpn", "nas1", "", "a"}, {"vpn", "nas1", "alice", ""},
	} {
		for _, status := range []session.Status{session.Stop, session.AccountingOn, session.AccountingOff} {
			if status != session.Stop && other.client == "vpn" && other.nas == "nas1" {
				continue
			}
			r := session.Record{Status: status, NAS: other.nas, Session: other.id}
			if err := w.nodes[0].Record(ctx, other.client, other.account, r); err != nil {
				t.Fatal(err)
			}
			w.wants(fmt.Sprint(status, other), "a")
		}
	}
}

func TestARestartEndsWhatBeganBefore(t *testing.T) {
	for _, status := range []session.Status{session.AccountingOn, session.AccountingOff} {
		w := newWorld(t)
		w.packet(session.Start, "a")
		w.packet(session.Start, "b", func(r *session.Record) { r.NAS = "nas2" })
		w.pass(time.Hour)
		w.packet(status, "")
		w.pass(time.Second)
		w.packet(session.Start, "c")
		w.wants(status.String(), "c", "b")
		w.packet(status, "", delayed(2*time.Hour))
		w.wants("an older restart", "c", "b")
		w.packet(session.InterimUpdate, "a", lasted(time.Hour))
		w.wants("a late interim", "c", "b")
		w.pass(10 * time.Minute)
		w.packet(session.InterimUpdate, "a", lasted(70*time.Minute))
		w.wants("it lives after all", "c", "a", "b")
	}
}

// A client may have more gateways than a key has room for.
func TestRestartsOfManyGateways(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.packet(session.Start, "a", func(r *session.Record) { r.NAS = "nas7" })
	w.pass(time.Minute)
	for n := range 300 {
		if err := w.nodes[0].Restarted(ctx, "vpn", fmt.Sprint("nas", n), w.now()); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
	}
	w.wants("300 restarts")
}

func TestSessionsGrowStaleAndAreForgotten(t *testing.T) {
	w := newWorld(t)
	w.packet(session.Start, "a")
	w.pass(23 * time.Hour)
	if list := w.open("alice"); len(list) != 1 || list[0].Stale {
		t.Errorf("after 23 hours: %+v", list)
	}
	w.pass(2 * time.Hour)
	if list := w.open("alice"); len(list) != 1 || !list[0].Stale {
		t.Errorf("after 25 hours: %+v", list)
	}
	w.packet(session.InterimUpdate, "a")
	if list := w.open("alice"); len(list) != 1 || list[0].Stale || !list[0].Started.Equal(noon) {
		t.Errorf("after a sign of life: %+v", list)
	}
	w.pass(session.Lifetime + time.Second)
	w.wants("after a month")
}

func TestAnAccountHasSoManySessions(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat(`"`, 300)
	for n := range otp.MaxNotes + 10 {
		w.packet(session.Start, fmt.Sprint(n, long), func(r *session.Record) { r.NAS, r.Station, r.Address, r.Name = long, long, long, long })
		w.pass(time.Second)
	}
	list := w.open("alice")
	if len(list) != otp.MaxNotes || !strings.HasPrefix(list[0].ID, "73") || !strings.HasPrefix(list[63].ID, "10") {
		t.Errorf("%d sessions, from %.4q to %.4q", len(list), list[0].ID, list[len(list)-1].ID)
	}
	if err := w.nodes[0].Record(context.Background(), long, long, session.Record{Status: session.Start, Session: "a", NAS: long}); err != nil {
		t.Error(err)
	}
	if list := w.open(long); len(list) != 1 {
		t.Errorf("of a long name: %v", list)
	}
}

// Start and Stop at the same time, on two nodes: it is over, whoever was first.
func TestStartAndStopAtOnce(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	var all sync.WaitGroup
	for n := range 50 {
		for i, status := range []session.Status{session.Start, session.Stop, session.InterimUpdate} {
			all.Go(func() {
				r := session.Record{Status: status, Session: fmt.Sprint(n % 20), NAS: "nas1", Stamp: noon}
				if err := w.nodes[i%2].Record(ctx, "vpn", "alice", r); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	w.wants("all have ended")
}

func TestTheStoreIsGone(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.packet(session.Start, "a")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, status := range []session.Status{session.Start, session.InterimUpdate, session.Stop, session.AccountingOn} {
		if err := w.nodes[0].Record(ctx, "vpn", "alice", session.Record{Status: status, Session: "a"}); !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%v: %v", status, err)
		}
	}
	if list, err := w.nodes[0].Open(ctx, "alice"); !errors.Is(err, otp.ErrUnavailable) || list != nil {
		t.Errorf("%v, %v", list, err)
	}
}

func TestANoteThatCannotBeReadHidesNoOther(t *testing.T) {
	w, ctx := newWorld(t), context.Background()
	w.packet(session.Start, "a")
	var notes []otp.Note
	for _, kind := range []string{"session", "session_end"} {
		notes = append(notes, otp.Note{Kind: kind, Key: "alice", Field: "of another version", Value: []byte("\x01"), Expires: noon.Add(time.Hour)})
	}
	if err := w.store.PutNotes(ctx, notes); err != nil {
		t.Fatal(err)
	}
	w.wants("beside another version's", "a")
}

func TestABookWantsAStoreAndAClock(t *testing.T) {
	if _, err := session.New(session.Options{}); err == nil {
		t.Error("a book of nothing")
	}
}
