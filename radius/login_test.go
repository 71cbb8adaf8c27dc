package radius

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/ipv4"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/probe"
)

const (
	vpnAddr    = "192.0.2.1:1000"
	concatAddr = "198.51.100.200:1000"
)

// TestOneStatementLetsSomebodyIn is invariant 3 of the design, held over the source: nothing but
// decide may produce otp.Accept, in whatever way.
func TestOneStatementLetsSomebodyIn(t *testing.T) {
	set := token.NewFileSet()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source: %v", err)
	}
	var produced []string
	isAccept := func(e ast.Expr) bool {
		s, ok := e.(*ast.SelectorExpr)
		return ok && s.Sel.Name == "Accept" && fmt.Sprint(s.X) == "otp"
	}
	look := func(n ast.Node) bool {
		var made []ast.Expr
		switch n := n.(type) {
		case *ast.ReturnStmt:
			made = n.Results
		case *ast.AssignStmt:
			made = n.Rhs
		case *ast.CallExpr:
			made = n.Args
		case *ast.KeyValueExpr:
			made = []ast.Expr{n.Value}
		}
		if slices.ContainsFunc(made, isAccept) {
			produced = append(produced, set.Position(n.Pos()).String())
		}
		return true
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, look)
	}
	// metrics.go names the label of ReasonOK, and decides nothing.
	produced = slices.DeleteFunc(produced, func(p string) bool { return strings.HasPrefix(p, "metrics.go:") })
	if len(produced) != 1 || !strings.HasPrefix(produced[0], "attempt.go:") {
		t.Errorf("otp.Accept is produced at %v", produced)
	}
}

func TestNoResultButOKLetsSomebodyIn(t *testing.T) {
	for _, r := range append(otp.Reasons(), "", "something new") {
		for _, ok := range []bool{false, true} {
			for _, stale := range []bool{false, true} {
				for _, exempt := range []bool{false, true} {
					want := !stale && (!exempt && ok && r == otp.ReasonOK || exempt && !ok && r == otp.ReasonCodeExempt)
					if got := decide(otp.Result{OK: ok, Reason: r, Stale: stale}, exempt); (got == otp.Accept) != want {
						t.Errorf("OK %v, reason %q, stale %v, exempt %v: %v", ok, r, stale, exempt, got)
					}
				}
			}
		}
		if decisionFor(r) == otp.Accept {
			t.Errorf("a refusal for %q accepts", r)
		}
	}
	w := newWorld(t)
	r, _ := newWire(w.Server)
	a := r.sort([]ipv4.Message{datagramFrom(fromVPN, goodLogin("alice", testCode))})[0]
	if a.decision != otp.Drop || a.reason != otp.ReasonPanic {
		t.Error("an attempt that nobody has decided is not dropped")
	}
}

// TestResultsBecomeDecisions: what the verifier and the directory say, and what the gateway gets.
func TestResultsBecomeDecisions(t *testing.T) {
	result := func(r otp.Result) func(*world) { return func(w *world) { w.codes.result = &r } }
	findErr := func(err error) func(*world) { return func(w *world) { w.accounts.findErr["zoe"] = err } }
	for _, c := range []struct {
		name, account, want string
		replies             int
		change              func(*world)
	}{
		{"right", "alice", "accept ok", 1, nil},
		{"found in the directory", "carol", "accept ok", 1, nil},
		{"devices not known here", "alice", "accept ok", 1, func(w *world) { w.codes.unknown["alice-id"] = true }},
		{"stale once", "alice", "accept ok", 1, func(w *world) { w.codes.stale = 1 }},
		{"stale for ever", "alice", "drop store_unavailable", 0, func(w *world) { w.codes.stale = 1000 }},
		{"used", "alice", "reject code_used", 1, result(otp.Result{Reason: otp.ReasonCodeUsed})},
		{"throttled", "alice", "reject throttled", 1, result(otp.Result{Reason: otp.ReasonThrottled})},
		{"store down", "alice", "drop store_unavailable", 0, func(w *world) { w.codes.err = otp.ErrUnavailable }},
		{"zero result", "alice", "drop store_unavailable", 0, result(otp.Result{})},
		{"OK without a reason", "alice", "drop store_unavailable", 0, result(otp.Result{OK: true})},
		{"OK and stale", "alice", "drop store_unavailable", 0, result(otp.Result{OK: true, Reason: otp.ReasonOK, Stale: true})},
		{"OK with another reason", "alice", "reject code_wrong", 1, result(otp.Result{OK: true, Reason: otp.ReasonCodeWrong})},
		{"a reason without OK", "alice", "drop store_unavailable", 0, result(otp.Result{Reason: otp.ReasonOK})},
		{"unheard-of reason", "alice", "drop something_new", 0, result(otp.Result{Reason: "something_new"})},
		{"not found", "zoe", "reject account_unknown", 1, nil},
		{"ambiguous", "zoe", "reject account_ambiguous", 1, findErr(fmt.Errorf("x: %w", directory.ErrAmbiguous))},
		{"invalid name", "zoe", "reject name_invalid", 1, findErr(directory.ErrNameInvalid)},
		{"directory down", "zoe", "drop directory_unavailable", 0, findErr(directory.ErrUnavailable)},
		{"other error", "zoe", "drop directory_unavailable", 0, findErr(errors.New("?"))},
		{"neither account nor error", "zoe", "drop directory_unavailable", 0, func(w *world) {
			w.accounts.remote["zoe"] = nil
			w.accounts.findErr["zoe"] = nil
			w.Server.accounts = findsNobody{w.accounts}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldQuick(t)
			if c.change != nil {
				c.change(w)
			}
			got := w.feed(vpnAddr, goodLogin(c.account, testCode))
			if word := w.trail.last(t); word != c.want || len(got) != c.replies {
				t.Errorf("%s and %d replies, want %s and %d", word, len(got), c.want, c.replies)
			}
			if w.slots.Load() != 0 || w.waiting.Load() != 0 {
				t.Errorf("%d slots are taken, %d attempts wait", w.slots.Load(), w.waiting.Load())
			}
		})
	}
}

type findsNobody struct{ Accounts }

func (findsNobody) Find(context.Context, string, []string) (*directory.Account, error) {
	return nil, nil
}

func (findsNobody) FindAll(_ context.Context, questions []directory.Question, asker directory.Asker) {
	for _, q := range questions {
		asker.Found([]directory.Answer{{Of: q.Of}})
	}
}

func TestGroupsAndDirectoriesOfAClient(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *world) {
		o.Clients[0].AllowGroups = []string{"vpn-users"}
		o.Clients[0].Directories = []string{"corp", "lab"}
	})
	w.accounts.known["dora"] = &directory.Account{ID: "alice-id", Name: "dora", Groups: []directory.Group{{Name: "VPN-Users"}}}
	w.feed(vpnAddr, goodLogin("alice", testCode))
	if got := w.trail.last(t); got != "reject not_in_group" {
		t.Errorf("without the group: %s", got)
	}
	w.feed(vpnAddr, goodLogin("dora", testCode))
	if got := w.trail.last(t); got != "accept ok" {
		t.Errorf("with the group: %s", got)
	}
	if got := w.accounts.allowed[0]; !slices.Equal(got, []string{"corp", "lab"}) {
		t.Errorf("asked in %v", got)
	}
	if n := len(w.codes.batches()); n != 1 {
		t.Errorf("%d claims, want the one of who may", n)
	}
}

// TestPasswordAndCode: the code first, then the bind, then the claim; and what never happens.
func TestPasswordAndCode(t *testing.T) {
	for _, c := range []struct {
		name, typed, want string
		binds             []string
		wrong             int
		change            func(*world)
	}{
		{"right", "geheim" + testCode, "accept ok", []string{"alice-id geheim"}, 0, nil},
		{"wrong code", "geheim000000", "reject code_wrong", nil, 0, nil},
		{"wrong password", "falsch" + testCode, "reject password_wrong", []string{"alice-id falsch"}, 1, nil},
		{"empty password", testCode, "reject password_empty", nil, 1, nil},
		{"both wrong", "falsch000000", "reject code_wrong", nil, 0, nil},
		{"code first", testCode + "geheim", "reject code_wrong", nil, 0, nil},
		{"too short for a code", "123", "reject code_wrong", nil, 0, nil},
		{"directory down", "geheim" + testCode, "drop directory_unavailable", []string{"alice-id geheim"}, 0, func(w *world) { w.accounts.authErr = directory.ErrUnavailable }},
		{"strange error", "geheim" + testCode, "drop directory_unavailable", []string{"alice-id geheim"}, 0, func(w *world) { w.accounts.authErr = errors.New("?") }},
		{"store down at the claim", "geheim" + testCode, "drop store_unavailable", []string{"alice-id geheim"}, 0, func(w *world) { w.codes.result = &otp.Result{Reason: otp.ReasonStoreUnavailable} }},
		{"stale: walked again, asked once", "geheim" + testCode, "accept ok", []string{"alice-id geheim"}, 0, func(w *world) { w.codes.stale = 2 }},
		{"stale for ever", "geheim" + testCode, "drop store_unavailable", []string{"alice-id geheim"}, 0, func(w *world) { w.codes.stale = 1000 }},
		{"devices not known here", "geheim" + testCode, "accept ok", []string{"alice-id geheim"}, 0, func(w *world) { w.codes.unknown["alice-id"] = true }},
		{"store down at the walk", "geheim" + testCode, "drop store_unavailable", nil, 0, func(w *world) {
			w.codes.unknown["alice-id"] = true
			w.codes.err = otp.ErrUnavailable
		}},
		{"used", "geheim" + testCode, "reject code_used", nil, 0, func(w *world) { w.codes.used["alice-id/device1"] = otp.Token{1} }},
		{"used, wrong password", "falsch" + testCode, "reject code_used", nil, 0, func(w *world) { w.codes.used["alice-id/device1"] = otp.Token{1} }},
		{"a place that has to wait", "geheim" + testCode, "reject throttled", nil, 0, func(w *world) { w.codes.throttled = true }},
		{"eight digits", "geheim12345678", "accept ok", []string{"alice-id geheim"}, 0, func(w *world) { w.codes.codes["alice-id"] = []string{"000000", "12345678"} }},
		{"six and eight digits fit: the second password is right", "geheim12123456", "accept ok", []string{"alice-id geheim12", "alice-id geheim"}, 1, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, "12123456"}
		}},
		{"two devices show the same code, one is used: what was typed passes once", "geheim" + testCode, "reject code_used", nil, 0, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, testCode}
			w.codes.used["alice-id/device1"] = otp.Token{1}
		}},
		{"two devices show the same code, the second is used: what was typed passes once", "geheim" + testCode, "reject code_used", nil, 0, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, testCode}
			w.codes.used["alice-id/device2"] = otp.Token{1}
		}},
		{"two devices show the same code, wrong password: counted once", "falsch" + testCode, "reject password_wrong", []string{"alice-id falsch"}, 1, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, testCode}
		}},
		{"six, six and eight digits fit: the second password is right", "geheim12123456", "accept ok", []string{"alice-id geheim12", "alice-id geheim"}, 1, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, testCode, "12123456"}
		}},
		{"the second password is right and its code is used", "geheim12123456", "reject code_used", []string{"alice-id geheim12"}, 1, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, "12123456", "12123456"}
			w.codes.used["alice-id/device2"] = otp.Token{1}
		}},
		{"stale at the second split: walked again, each asked once", "geheim12123456", "accept ok", []string{"alice-id geheim12", "alice-id geheim"}, 2, func(w *world) {
			w.codes.codes["alice-id"] = []string{testCode, "12123456"}
			w.codes.stale = 1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldQuick(t)
			if c.change != nil {
				c.change(w)
			}
			w.feed(concatAddr, goodLogin("alice", c.typed))
			if got := w.trail.last(t); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := w.accounts.binds(); !slices.Equal(got, c.binds) {
				t.Errorf("binds %q, want %q", got, c.binds)
			}
			if got := len(w.codes.wrong); got != c.wrong {
				t.Errorf("%d wrong passwords counted, want %d", got, c.wrong)
			}
		})
	}
}

// TestWhatShowsWhileAPeerIsDown holds what doc.go says about it.
func TestWhatShowsWhileAPeerIsDown(t *testing.T) {
	for _, c := range []struct{ down, from, name, typed, want string }{
		{"directory", concatAddr, "alice", "geheim000000", "reject code_wrong"},
		{"directory", concatAddr, "alice", "geheim" + testCode, "drop directory_unavailable"},
		{"directory", vpnAddr, "alice", testCode, "accept ok"},
		{"directory", vpnAddr, "carol", testCode, "drop directory_unavailable"},
		{"store", vpnAddr, "mallory", testCode, "reject account_unknown"},
		{"store", vpnAddr, "bob", testCode, "reject account_disabled"},
		{"store", vpnAddr, "alice", testCode, "drop store_unavailable"},
		{"store", vpnAddr, "alice", "000000", "drop store_unavailable"},
	} {
		w := newWorldQuick(t)
		switch c.down {
		case "directory":
			w.accounts.authErr = directory.ErrUnavailable
			w.accounts.findErr["carol"] = directory.ErrUnavailable
		case "store":
			w.codes.err = otp.ErrUnavailable
		}
		w.feed(c.from, goodLogin(c.name, c.typed))
		if got := w.trail.last(t); got != c.want {
			t.Errorf("without the %s, %s with %q: %s, want %s", c.down, c.name, c.typed, got, c.want)
		}
		if len(w.codes.used) != 0 && c.want != "accept ok" {
			t.Errorf("without the %s, %s with %q: a step was used", c.down, c.name, c.typed)
		}
	}
}

// TestWrongPasswordsUseTheStepUp: the counting is the store's; the reason has to come through.
func TestWrongPasswordsUseTheStepUp(t *testing.T) {
	w := newWorld(t)
	for range otp.MaxWrongPasswords {
		w.feed(concatAddr, goodLogin("alice", "falsch"+testCode))
		if got := w.trail.last(t); got != "reject password_wrong" {
			t.Fatal(got)
		}
	}
	w.feed(concatAddr, goodLogin("alice", "falsch"+testCode))
	if got := w.trail.last(t); got != "reject code_used" {
		t.Error(got)
	}
	if n := len(w.accounts.binds()); n != otp.MaxWrongPasswords {
		t.Errorf("%d passwords were tried", n)
	}
	w.codes.err = otp.ErrUnavailable
	if got := w.feed(concatAddr, goodLogin("alice", "falsch"+testCode)); len(got) != 0 || w.trail.last(t) != "drop store_unavailable" {
		t.Errorf("%d replies, %s", len(got), w.trail.last(t))
	}
}

// TestWrongPasswordsUseTheStepUpInGrace: another packet is the same attempt, but only when its password is right. One that is
// wrong costs the directory a bind each time.
func TestWrongPasswordsUseTheStepUpInGrace(t *testing.T) {
	w := one(t, Client{Login: LoginPasswordCode, FailoverGrace: otp.ClaimLifetime})
	for range 2 {
		w.wants(t, fromVPN, probe.Login(testSecret, "müller", "grün"+testCode), "accept ok")
	}
	for range otp.MaxWrongPasswords {
		w.wants(t, fromVPN, probe.Login(testSecret, "alice", "falsch"+testCode), "reject password_wrong")
	}
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", "falsch"+testCode), "reject code_used")
	w.wants(t, fromVPN, probe.Login(testSecret, "alice", "geheim"+testCode), "reject code_used")
	if n := len(w.accounts.binds()); n != 2+otp.MaxWrongPasswords {
		t.Errorf("%d passwords were tried", n)
	}
}

// TestFewPasswordsBesideACode: a burst of guesses with one right code tries one more of them than guesses one after the
// other, because two are checked at a time.
func TestFewPasswordsBesideACode(t *testing.T) {
	w := newWorldQuick(t)
	w.accounts.slow = time.Millisecond
	var packets [][]byte
	for i := range 40 {
		packets = append(packets, goodLogin("alice", fmt.Sprint("guess-", i, "-", testCode)))
	}
	if got := w.feed(concatAddr, packets...); len(got) != len(packets) {
		t.Errorf("%d replies", len(got))
	}
	if n := len(w.accounts.binds()); n < otp.MaxWrongPasswords || n > otp.MaxWrongPasswords+1 {
		t.Errorf("%d passwords were tried", n)
	}
	if w.besideCode.Len() != 0 {
		t.Error("somebody is still waited for")
	}
}

// TestTheTokenIsOfTheAttempt: two packets that a retransmission cannot be have two tokens.
func TestTheTokenIsOfTheAttempt(t *testing.T) {
	w := newWorld(t)
	tokens := map[otp.Token]string{}
	places := map[otp.Place]string{}
	w.codes.settle = func(_ context.Context, walked []otp.Walked) {
		for _, a := range walked {
			tokens[a.Token] += "x"
			places[a.Place] += "x"
		}
	}
	q := probe.Login(testSecret, "alice", testCode)
	w.feed(vpnAddr, q.Octets())
	w.feed("192.0.2.2:77", q.Octets()) // the same packet through another way
	w.feed("198.51.100.1:1000", q.Octets())
	w.feed(vpnAddr, probe.Login(testSecret, "alice", testCode).Octets())
	w.feed(vpnAddr, probe.Login(testSecret, "alice", "000000").Add(probe.CallingStationID, "10.9.8.7").Octets())
	if len(tokens) != 4 {
		t.Errorf("%d tokens, want 4: %v", len(tokens), tokens)
	}
	if len(places) != 3 {
		t.Errorf("%d places, want client vpn, client old, and vpn with a station: %v", len(places), places)
	}
}

func TestARequiredTrailThatCannotBeWrittenLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	w.trail.err = errors.New("disk full")
	packets := [][]byte{goodLogin("alice", testCode), goodLogin("alice", "000000"), goodLogin("mallory", testCode)}
	if got := w.feed(vpnAddr, packets...); len(got) != 0 {
		t.Errorf("%d replies", len(got))
	}
	if got := testutil.ToFloat64(w.metrics.attempts.WithLabelValues("vpn", "drop", "audit_unavailable")); got != 3 {
		t.Errorf("%v attempts dropped for the trail", got)
	}
	if n := w.duplicates.Len(); n != 0 {
		t.Errorf("%d requests are remembered: the gateway's retransmission would be ignored", n)
	}
	w.trail.err = nil
	if got := w.feed(vpnAddr, packets...); len(got) != 3 {
		t.Errorf("%d replies once the trail is back", len(got))
	}
}

func TestABatchIsOneClaimAndOneRecord(t *testing.T) {
	w := newWorld(t)
	var packets [][]byte
	for i := range 40 {
		name := fmt.Sprintf("user%d", i)
		w.accounts.known[name] = account(name)
		w.codes.codes[name+"-id"] = []string{testCode}
		packets = append(packets, goodLogin(name, testCode))
	}
	if got := w.feed(vpnAddr, packets...); len(got) != len(packets) {
		t.Fatalf("%d replies", len(got))
	}
	if got := w.codes.batches(); !slices.Equal(got, []int{40}) {
		t.Errorf("claims of %v", got)
	}
	if w.trail.calls != 1 || len(w.trail.all()) != 40 {
		t.Errorf("%d events in %d calls", len(w.trail.all()), w.trail.calls)
	}
}

// TestAPanicWhileAllAreLookedUpCostsNobodyTheLogin: they are asked for instead.
func TestAPanicWhileAllAreLookedUpCostsNobodyTheLogin(t *testing.T) {
	w := newWorld(t)
	w.accounts.known["carol"], w.codes.codes["carol-id"] = account("carol"), []string{testCode}
	w.accounts.recall = func() { panic("recall") }
	if got := w.feed(vpnAddr, goodLogin("carol", testCode), goodLogin("alice", testCode)); len(got) != 2 || got[0][0] != codeAccessAccept || got[1][0] != codeAccessAccept {
		t.Errorf("the replies: %v", got)
	}
	if n := testutil.ToFloat64(w.metrics.panics); n != 1 {
		t.Errorf("%v panics counted", n)
	}
}

func TestAPanicDropsItsAttemptAndNoOther(t *testing.T) {
	w := newWorld(t)
	w.codes.walkPanic = "carol-id"
	w.accounts.known["carol"] = account("carol")
	if got := w.feed(vpnAddr, goodLogin("carol", testCode), goodLogin("alice", testCode)); len(got) != 1 {
		t.Errorf("%d replies, want that of alice", len(got))
	}
	w.codes.settle = func(context.Context, []otp.Walked) { panic(testCode) }
	w.feed(vpnAddr, goodLogin("alice", testCode))
	if got := w.trail.last(t); got != "drop panic" {
		t.Errorf("a panic of the store: %s", got)
	}
	w.codes.settle = nil
	w.accounts.find = func(context.Context, string) { panic("find") }
	w.feed(vpnAddr, goodLogin("zoe", testCode))
	if got := w.trail.last(t); got != "drop directory_unavailable" { // which counts its own
		t.Errorf("a panic of the directory: %s", got)
	}
	w.Server.audit = panics{}
	if got := w.feed(vpnAddr, goodLogin("alice", testCode)); len(got) != 0 {
		t.Error("a panic of the trail was answered")
	}
	r, _ := newWire(w.Server)
	w.Server.table.Load().find(netip.MustParseAddr("192.0.2.1")).keys[0].macs = sync.Pool{New: func() any { panic("mac") }}
	m := datagramFrom(vpnAddr, goodLogin("alice", testCode))
	r.sort([]ipv4.Message{m, m, m})
	if got := testutil.ToFloat64(w.metrics.discarded[discardPanic]); got != 3 {
		t.Errorf("%v datagrams discarded for a panic, want 3", got)
	}
	if got := testutil.ToFloat64(w.metrics.panics); got != 3+3 {
		t.Errorf("%v panics counted, want 6", got)
	}
	if w.slots.Load() != 0 {
		t.Errorf("%d slots are taken", w.slots.Load())
	}
	if n := strings.Count(w.logged.String(), "panic recovered"); n != 1 {
		t.Errorf("%d lines about panics in a minute", n)
	}
}

func TestOneLineAndOneEventPerAttempt(t *testing.T) {
	w := newWorld(t)
	q := probe.Login(testSecret, "alice", testCode).Add(probe.CallingStationID, "00-11\n22")
	w.feed(vpnAddr, q.Octets(), goodLogin("alice", "000000"), goodLogin("m\x1ballory", "000000"))
	log := w.logged.String()
	if n := strings.Count(log, "access decision"); n != 3 {
		t.Errorf("%d lines:\n%s", n, log)
	}
	all := w.trail.all()
	i := slices.IndexFunc(all, func(e audit.Event) bool { return e.Decision == "accept" })
	if i < 0 || len(all) != 3 {
		t.Fatalf("events %+v", all)
	}
	e := all[i]
	if e.Account != "alice-id" || e.Name != "alice" || e.Client != "vpn" || e.Source != "192.0.2.1 00-11?22" || e.Device != "device1" ||
		e.Reason != otp.ReasonOK || len(e.ID) != 8 || e.Kind != audit.Login || e.Action != "access" || e.Time.IsZero() || e.Stages == nil {
		t.Errorf("event %+v", e)
	}
	if !strings.Contains(log, "attempt="+e.ID+" client=vpn name=alice decision=accept reason=ok device=device1 directory_ms=") {
		t.Errorf("no line for attempt %s:\n%s", e.ID, log)
	}
}

// quickLog takes attributes without a record, as the log of a node does.
type quickLog struct {
	slog.Handler
	taken *int
}

func (q quickLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quickLog{q.Handler.WithAttrs(attrs), q.taken}
}

func (q quickLog) Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error {
	*q.taken++
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...) // which copies them
	return q.Handle(ctx, r)
}

func TestTheLineIsTheSameWithoutARecord(t *testing.T) {
	var taken int
	var line logLine
	a := &attempt{client: newWorld(t).table.Load().clients[0], name: "alice", reason: otp.ReasonOK, device: "device1", inStore: 1234567}
	for _, a.relaxed = range []string{"", sharedCode} {
		var by [2]bytes.Buffer
		quick := slog.New(quickLog{slog.NewTextHandler(&by[0], nil), &taken}).With("component", "test")
		a.log(t.Context(), quick, a.arrived, &line)
		a.log(t.Context(), slog.New(slog.NewTextHandler(&by[1], nil)).With("component", "test"), a.arrived, &line)
		if by[0].String() != by[1].String() || !strings.Contains(by[1].String(), "store_ms=1.234") ||
			strings.Contains(by[1].String(), "relaxed") != (a.relaxed != "") {
			t.Errorf("without a record %swith one %s", &by[0], &by[1])
		}
	}
	if taken != 2 {
		t.Errorf("%d lines were taken without a record, want 2", taken)
	}
}

func TestMetricsAreThereFromTheStart(t *testing.T) {
	w := newWorld(t)
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
	}
	for name, want := range map[string]int{
		"otpgate_radius_packets_received_total":          2,
		"otpgate_radius_packets_discarded_total":         int(discardReasons),
		"otpgate_radius_packets_dropped_by_kernel_total": 1,
		"otpgate_radius_duplicates_total":                2,
		"otpgate_radius_attempts_total":                  4 * len(endings()),
		"otpgate_radius_secret_matched_total":            4 * 2,
		"otpgate_radius_message_authenticator_total":     4 * 2,
		"otpgate_radius_message_authenticator_proven":    4,
		"otpgate_radius_relaxed_total":                   4 * len(relaxations),
		"otpgate_radius_accounting_total":                4 * len(statuses),
		"otpgate_radius_accounting_unrecorded_total":     1,
		"otpgate_radius_status_server_total":             1,
		"otpgate_radius_replies_unsent_total":            int(unsentReasons),
		"otpgate_radius_request_duration_seconds":        4,
		"otpgate_radius_stage_duration_seconds":          4 * int(stages),
		"otpgate_radius_in_flight_requests":              1,
		"otpgate_radius_waiting_refusals":                1,
		"otpgate_radius_remembered_requests":             1,
		"otpgate_panics_total":                           1,
	} {
		if series[name] != want {
			t.Errorf("%s has %d series, want %d", name, series[name], want)
		}
		delete(series, name)
	}
	if len(series) > 0 {
		t.Errorf("unexpected: %v", series)
	}
	problems, err := testutil.GatherAndLint(w.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if err := w.SetClients(testClients()[:1]); err != nil {
		t.Fatal(err)
	}
	if n := testutil.CollectAndCount(w.metrics.attempts); n != len(endings()) {
		t.Errorf("%d series after three of four clients are gone", n)
	}
}

// TestReceivedIsTheSumOfWhatBecameOfIt is the invariant of style.md section 2.9.
func TestReceivedIsTheSumOfWhatBecameOfIt(t *testing.T) {
	w := newWorld(t, func(o *Options, w *world) {
		o.MaxInFlight = 8
		w.accounts.find = func(ctx context.Context, name string) {
			if name == "slow" {
				<-ctx.Done()
			}
		}
		o.Budget = 20 * time.Millisecond
	})
	for round := range 5 {
		for i, c := range corpus() {
			from := c.from
			if from == "" {
				from = fromVPN
			}
			packets := [][]byte{c.octets, goodLogin("alice", testCode)}
			if (i+round)%7 == 0 {
				for range 12 {
					packets = append(packets, goodLogin("slow", testCode))
				}
			}
			w.feed(from, packets...)
		}
	}
	checkSum(t, w)
}

// checkSum holds the counters against each other; nothing may be in flight.
func checkSum(t testing.TB, w *world) {
	t.Helper()
	sum := func(name string) (total float64) {
		families, err := w.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "otpgate_radius_"+name {
					total += m.GetCounter().GetValue()
				}
			}
		}
		return total
	}
	received, discarded, duplicates, attempts, status := sum("packets_received_total"), sum("packets_discarded_total"),
		sum("duplicates_total"), sum("attempts_total"), sum("status_server_total")
	if received == 0 || received != discarded+duplicates+attempts+status {
		t.Errorf("received %v != discarded %v + duplicates %v + attempts %v + Status-Server %v", received, discarded, duplicates, attempts, status)
	}
	if w.slots.Load() != 0 || w.waiting.Load() != 0 {
		t.Errorf("%d slots are taken, %d wait", w.slots.Load(), w.waiting.Load())
	}
}

type panics struct{}

func (panics) Record(context.Context, ...audit.Event) error { panic("audit") }
func (panics) Keep(context.Context, ...audit.Event) error   { panic("audit") }
