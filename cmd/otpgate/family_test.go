package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/radload/gateway"
	"otpgate/cmd/radload/roster"
)

// soaking reports whether the long form of a script is wanted: see make soak.
func soaking() bool { return os.Getenv("OTPGATE_SOAK") != "" }

// family is people whose codes radload's gateways know.
func family(ts *testscript.TestScript, number int) *roster.Roster {
	r, err := roster.Derive(roster.Family{Master: []byte("family"), Count: number}, roster.Options{})
	ts.Check(err)
	return r
}

// cmdFamily makes people of a directory and tokens of theirs, as people does, whom radload's gateways log
// in: people.ldif and tokens.csv.
//
//	family NUMBER [NUMBER-IN-THE-LONG-FORM]    sets $FAMILY to it
func cmdFamily(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "family NUMBER [NUMBER-IN-THE-LONG-FORM]")
	if len(args) > 1 && soaking() {
		args = args[1:]
	}
	number, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := family(ts, number)
	var people, tokens strings.Builder
	ts.Check(r.WriteLDIF(&people, "dc=lab", ""))
	ts.Check(r.WriteCSV(&tokens))
	ts.Check(os.WriteFile(ts.MkAbs("people.ldif"), []byte(people.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("tokens.csv"), []byte(tokens.String()), 0o600))
	ts.Setenv("FAMILY", args[0])
}

// familyOf is the family of the script.
func familyOf(ts *testscript.TestScript) *roster.Roster {
	number, err := strconv.Atoi(ts.Getenv("FAMILY"))
	ts.Check(err)
	return family(ts, number)
}

// load is gateways that log a family in while something happens to the nodes, and what came of all that
// they have done so far.
type load struct {
	options gateway.Options
	total   gateway.Tally
	silence time.Duration // the longest without an accepted login
	times   gateway.Times
}

// running is one round of a load.
type running struct {
	ended chan struct{}
	err   error
	got   *gateway.Result
}

// newLoad makes gateways that send to the nodes in turn, and each packet again to the next of them. So many
// logins are under way at any time, as fast as the nodes are: a machine that has much else to do is loaded
// with less, and what a test finds is not that it was busy.
func newLoad(ts *testscript.TestScript, outstanding int) *load {
	return &load{options: gateway.Options{
		Secret: []byte("testing-secret"), Roster: familyOf(ts), NAS: "gateway", Outstanding: outstanding, Spread: true,
		Duration: 10 * time.Minute, Linger: 100 * time.Millisecond, Now: time.Now,
	}}
}

// begin has the gateways do so many logins.
func (l *load) begin(ts *testscript.TestScript, logins int64, replay gateway.Replay) *running {
	o := l.options
	o.Count, o.Replay = logins, replay
	r := &running{ended: make(chan struct{})}
	ctx := benchOf(ts).tb(ts).Context()
	go func() {
		defer close(r.ended)
		r.got, r.err = gateway.Run(ctx, o)
	}()
	return r
}

// end waits for the end of a round, and adds it to the others.
func (l *load) end(ts *testscript.TestScript, r *running) {
	<-r.ended
	ts.Check(r.err)
	if r.got.UsedUp {
		ts.Fatalf("the family is too small")
	}
	if r.got.Unfinished > 0 {
		ts.Fatalf("%d logins were neither answered nor given up", r.got.Unfinished)
	}
	l.total.Add(&r.got.Measured)
	l.times.Add(&r.got.Times)
	l.silence = max(l.silence, r.got.Silence)
}

// judge fails the script when anybody was let in or kept out who should not be, or was not answered.
func (l *load) judge(ts *testscript.TestScript) {
	t := &l.total
	for _, wrong := range []struct {
		what string
		n    uint64
	}{
		{"replays accepted", t.ReplayAccepted},
		{"accepted without a fresh code", t.WronglyAccepted},
		{"refused with a fresh code", t.WronglyRefused},
		{"answered both ways", t.Opposite},
		{"answered in two wordings", t.Different},
		{"logins that no retransmission saved", t.Lost},
		{"answers that were wrong in themselves", t.WronglySigned()},
	} {
		if wrong.n > 0 {
			ts.Logf("NOT HELD: %d %s", wrong.n, wrong.what)
		}
	}
	if t.ReplayAccepted+t.WronglyAccepted+t.WronglyRefused+t.Opposite+t.Different+t.Lost+t.WronglySigned() > 0 {
		ts.Fatalf("not everybody got the answer that was due: %+v", *t)
	}
	if t.Accepted == 0 || t.Accepted != t.Begun {
		ts.Fatalf("%d logins, %d of them accepted", t.Begun, t.Accepted)
	}
}
