package operator_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/operator"
	"otpgate/otp/audit"
)

// What the command refuses, the node refuses too: scripts talk to the socket.
func TestAuditFiltersThatNothingFitsAreRefused(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	for fact, f := range map[string]audit.Filter{
		`decision "rejct"`: {Decision: "rejct"}, `kind "logins"`: {Kind: "logins"}, `reason "wrong"`: {Reason: "wrong"},
		`last "-5"`: {Last: -5}, `last "1000001"`: {Last: audit.MaxLast + 1}, "until": {Since: noon(), Until: noon().Add(-time.Second)},
	} {
		err := w.client.Audit(ctx, f, false, func(audit.Event) error { return nil })
		wants(t, fact, err, "no event has the "+fact)
	}
	if n := len(w.events()); n != 0 {
		t.Errorf("%d events", n)
	}
	if strings.Contains(w.logged.String(), "panic") {
		t.Error(w.logged.String())
	}
}

func TestAuditFiltersReachTheTrail(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	e := audit.Event{Kind: audit.Login, Action: "access", ID: "00c0ffee", Account: "id", Name: "alice", Client: "vpn", Source: "10.1.2.3 aa", Device: "d", Session: "s", Actor: "uid 7", Decision: "reject", Reason: "code_wrong"}
	if err := w.log.Record(ctx, e, audit.Event{Kind: audit.System, Action: "started"}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]audit.Filter{
		"kind": {Kind: e.Kind}, "id": {ID: e.ID}, "account": {Account: e.Account}, "name": {Name: e.Name}, "client": {Client: e.Client}, "source": {Source: "10.1.2.3"},
		"device": {Device: e.Device}, "session": {Session: e.Session}, "actor": {Actor: "7"}, "decision": {Decision: e.Decision}, "reason": {Reason: e.Reason},
	} {
		var got []string
		if err := w.client.Audit(ctx, f, false, func(e audit.Event) error { got = append(got, e.ID); return nil }); err != nil || len(got) != 1 || got[0] != e.ID {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The last event is the last thing that happened, and not that somebody asked for it just now; who
// asked is on record all the same.
func TestTheLastEventIsNotTheReading(t *testing.T) {
	w, ctx := start(t, 0, nil), context.Background()
	if _, err := w.client.AddDevice(ctx, operator.NewDevice{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	before := w.events()
	var got []audit.Event
	if err := w.client.Audit(ctx, audit.Filter{Last: 1}, false, func(e audit.Event) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Action != before[len(before)-1].Action || got[0].Action == "audit_read" {
		t.Errorf("%+v", got)
	}
	if all := w.events(); len(all) != len(before)+1 || all[len(before)].Action != "audit_read" {
		t.Errorf("%+v", all)
	}
}

func TestWhoFollowsIsToldThatTheNodeStops(t *testing.T) {
	w := start(t, 0, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended, begun := make(chan error, 1), make(chan struct{}, 10)
	go func() {
		ended <- w.client.Audit(ctx, audit.Filter{}, true, func(audit.Event) error { begun <- struct{}{}; return nil })
	}()
	<-begun
	if err := w.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	wants(t, "follow", <-ended, "the node has stopped")
}

// pausing is a trail that is read on only after the node has been told to stop.
type pausing struct {
	operator.Trail
	begun chan struct{}
}

func (p pausing) Read(ctx context.Context, f audit.Filter, follow bool, begun func(), each func(audit.Event) error) error {
	first := true
	return p.Trail.Read(ctx, f, follow, begun, func(e audit.Event) error {
		err := each(e)
		if first {
			first = false
			close(p.begun)
			<-ctx.Done()
		}
		return err
	})
}

// TestATrailThatIsCutShortIsAnError: who reads a long trail while the node stops has not read everything.
func TestATrailThatIsCutShortIsAnError(t *testing.T) {
	begun := make(chan struct{})
	w := start(t, 0, func(o *operator.Options) { o.Trail = pausing{o.Trail, begun} })
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	events := make([]audit.Event, 4000) // several chunks of the trail
	for i := range events {
		events[i] = audit.Event{Time: noon(), Kind: audit.System, Action: "started", Name: "bob", Detail: strings.Repeat("x", 1000)}
	}
	events[0].Name, events[len(events)-1].Name = "alice", "alice"
	if err := w.log.Record(ctx, events...); err != nil {
		t.Fatal(err)
	}
	read, ended := 0, make(chan error, 1)
	go func() {
		ended <- w.client.Audit(ctx, audit.Filter{Name: "alice"}, false, func(audit.Event) error { read++; return nil })
	}()
	<-begun
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	err := <-ended
	if read != 1 {
		t.Fatalf("what this test relies on does not hold: %d events were read", read)
	}
	wants(t, "audit", err, "the node")
}
