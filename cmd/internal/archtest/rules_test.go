package archtest

import (
	"maps"
	"strings"
	"testing"
)

// text is one Go file: where it is in the tree, and what is in it.
type text struct{ path, code string }

// example is a source that a rule refuses, and one like it that the rule lets pass.
type example struct {
	rule      string
	bad, good text
}

// fileExamples are small on purpose: what makes the difference between bad and good is the rule.
func fileExamples() []example {
	const (
		prom   = `import "github.com/prometheus/client_golang/prometheus"; `
		layeh  = `import layeh "layeh.com/radius"; `
		rfc    = `import "layeh.com/radius/rfc2865"; `
		verify = `import "github.com/pquerna/otp/totp"; var _ = totp.Validate`
	)
	long := strings.Repeat("\n", 700)
	return []example{
		{"layers hold", text{"otp/a.go", `package otp; import "otpgate/radius"`}, text{"radius/a.go", `package radius; import "otpgate/otp"`}},
		{"layers hold", text{"radius/a.go", `package radius; import "otpgate/configs"`}, text{"cmd/otpgate/a.go", `package main; import "otpgate/configs"`}},
		{"layers hold", text{"radius/a_test.go", `package radius_test; import "otpgate/metrics"`}, text{"radius/a_test.go", `package radius_test; import "otpgate/otp/boltstore"`}},
		{"layers hold", text{"enroll/a.go", `package enroll; import "otpgate/enroll/smtptest"`}, text{"enroll/a_test.go", `package enroll; import "otpgate/enroll/smtptest"`}},
		{"layers hold", text{"pkg/a.go", `package pkg`}, text{"otp/a.go", `package otp`}},
		{"libraries are in their place", text{"radius/a.go", `package radius; import "github.com/go-ldap/ldap/v3"`}, text{"directory/a.go", `package directory; import "github.com/go-ldap/ldap/v3"`}},
		{"libraries are in their place", text{"otp/a.go", `package otp; import "github.com/lib/pq"`}, text{"otp/a.go", `package otp; import "net/http"`}},
		{"libraries are in their place", text{"enroll/a.go", `package enroll; ` + verify}, text{"enroll/a_test.go", `package enroll; ` + verify}},
		{"libraries are in their place", text{"directory/a.go", `package directory; import "github.com/google/go-cmp/cmp"`}, text{"directory/directorytest/a.go", `package directorytest; import "github.com/google/go-cmp/cmp"`}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; ` + layeh + `var s layeh.PacketServer`}, text{"radius/a.go", `package radius; ` + layeh + `var p layeh.Packet`}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; import "layeh.com/radius"`}, text{"radius/a.go", `package radius; ` + layeh}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; import "layeh.com/radius/debug"`}, text{"radius/a.go", `package radius; ` + rfc}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; ` + rfc + `var _ = rfc2865.UserName_Get`}, text{"radius/a.go", `package radius; ` + rfc + `var _ = rfc2865.UserName_Lookup`}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; ` + rfc + `var _ = rfc2865.State_Set`}, text{"radius/a.go", `package radius; ` + rfc + `var _ = rfc2865.State_Add`}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; import "layeh.com/radius/rfc3162"; var _ = rfc3162.FramedIPv6Route_Set`}, text{"radius/a.go", `package radius; import "layeh.com/radius/rfc3162"; var _ = rfc3162.FramedIPv6Route_Add`}},
		{"layeh is a codec only", text{"radius/a.go", `package radius; func f() { x.IsAuthenticRequest() }`}, text{"radius/a.go", `package radius; func f() { x.Parse() }`}},
		{"layeh is a codec only", text{"otp/a.go", `package otp; import "github.com/pquerna/otp"`}, text{"otp/a.go", `package otp; import pquerna "github.com/pquerna/otp"`}},
		{"instruments are in metrics.go", text{"otp/a.go", `package otp; ` + prom + `func f() { prometheus.NewCounter(o) }`}, text{"otp/metrics.go", `package otp; ` + prom + `func f() { prometheus.NewCounter(o) }`}},
		{"instruments are in metrics.go", text{"otp/a.go", `package otp; ` + prom + `func f() { prometheus.NewRegistry() }`}, text{"cmd/otpgate/a.go", `package main; ` + prom + `func f() { prometheus.NewRegistry() }`}},
		{"files are short", text{"otp/a.go", `package otp` + long}, text{"otp/a_test.go", `package otp` + long}},
		{"files are short", text{"otp/a_test.go", `package otp` + long + long}, text{"otp/a.go", `package otp`}},
		{"functions are short", text{"otp/a.go", `package otp; func f() {` + long + `}`}, text{"otp/storetest/a.go", `package storetest; func f() {` + long + `}`}},
		{"functions are short", text{"otp/a.go", `package otp; func wire() {` + long + `}`}, text{"cmd/otpgate/wire.go", `package main; func wire() {` + long + `}`}},
		{"interfaces are small", text{"otp/a.go", `package otp; type i interface { A(); B(); C(); D() }`}, text{"otp/a.go", `package otp; type i interface { A(); B(); C() }`}},
		{"names name a concept", text{"otp/util.go", `package otp`}, text{"otp/claim.go", `package otp`}},
		{"names name a concept", text{"otp/store_helpers_test.go", `package otp`}, text{"otp/store_test.go", `package otp`}},
		{"names name a concept", text{"otp/common/seed.go", `package common`}, text{"otp/keyset/keys.go", `package keyset`}},
		{"words are ours", text{"otp/a.go", `package otp; func findUser() {}`}, text{"otp/a.go", `package otp; func findAccount() {}`}},
		{"words are ours", text{"otp/a.go", `package otp; type s struct { lookback int }`}, text{"otp/a.go", `package otp; type s struct { typeUserName int }`}},
		{"words are ours", text{"otp/a.go", `package otp; func f() { passcode := 1 }`}, text{"otp/a.go", `package otp; func f() { code := 1 }`}},
		{"nothing happens on import", text{"otp/a.go", `package otp; func init() {}`}, text{"otp/a.go", `package otp; func (x) init() {}`}},
		{"no shared instruments", text{"otp/a.go", `package otp; import "log/slog"; var l = slog.New(nil)`}, text{"otp/a.go", `package otp; import "log/slog"; func f() { var l = slog.New(nil) }`}},
		{"no shared instruments", text{"otp/a.go", `package otp; ` + prom + `var c prometheus.Counter`}, text{"otp/a.go", `package otp; ` + prom + `var _ prometheus.Collector = x{}`}},
		{"tests always run", text{"otp/a_test.go", `package otp; func f() { t.Skip() }`}, text{"otp/a.go", `package otp; func f() { t.Skip() }`}},
		{"tests always run", text{"otp/storetest/a.go", `package storetest; func f() { t.Skipf("") }`}, text{"otp/storetest/a.go", `package storetest; func f() { csv.Skip() }`}},
		{"tests always run", text{"otp/a_test.go", `package otp; import "testing"; var _ = testing.Short()`}, text{"otp/a_test.go", `package otp; import "testing"; var _ = testing.Verbose()`}},
		{"errors are not read", text{"otp/a.go", `package otp; var _ = err.Error() == "no"`}, text{"otp/a_test.go", `package otp; var _ = err.Error() == "no"`}},
		{"errors are not read", text{"otp/a.go", `package otp; import "strings"; var _ = strings.Contains(err.Error(), "no")`}, text{"otp/a.go", `package otp; import "strings"; var _ = strings.ToUpper(err.Error())`}},
		{"promises have a number", text{"otp/a.go", "package otp // TODO later"}, text{"otp/a.go", "package otp // TODO(#12): later"}},
		{"time.Now", text{"otp/a.go", `package otp; import "time"; var _ = time.Now()`}, text{"cmd/otpgate/a.go", `package main; import "time"; var _ = time.Now()`}},
		{"time.Now", text{"otp/a.go", `package otp; import t "time"; var _ = t.Since(x)`}, text{"otp/a_test.go", `package otp; import "time"; var _ = time.Since(x)`}},
		{"time.Now", text{"directory/set.go", `package directory; import "time"; var _ = time.Until(x)`}, text{"directory/pool.go", `package directory; import "time"; var _ = time.Until(x)`}},
		{"time.Sleep", text{"otp/a_test.go", `package otp; import "time"; func f() { time.Sleep(1) }`}, text{"otp/a_test.go", `package otp; import "time"; func f() { time.After(1) }`}},
		{"os.Exit", text{"cmd/otpgate/a.go", `package main; import "os"; func f() { os.Exit(1) }`}, text{"cmd/otpgate/main.go", `package main; import "os"; func f() { os.Exit(1) }`}},
		{"os.Exit", text{"otp/a_test.go", `package otp; import "os"; func f() { os.Exit(1) }`}, text{"otp/a_test.go", `package otp; import "os"; func TestMain() { os.Exit(1) }`}},
		{"os.Exit", text{"otp/a.go", `package otp; import "os"; func TestMain() { os.Exit(1) }`}, text{"otp/a.go", `package otp; import "io"; var _ = io.EOF`}},
		{"log.*", text{"otp/a.go", `package otp; import "log"; func f() { log.Fatalf("") }`}, text{"otp/a.go", `package otp; import log "log/slog"; func f() { log.New(h) }`}},
		{"log/slog.Default", text{"cmd/otpgate/a.go", `package main; import "log/slog"; func f() { slog.InfoContext(c, "") }`}, text{"cmd/otpgate/a.go", `package main; import "log/slog"; var l slog.Logger`}},
		{"os.Getenv", text{"otp/a.go", `package otp; import "os"; var _ = os.Getenv("A")`}, text{"cmd/otpgate/a.go", `package main; import "os"; var _ = os.Getenv("A")`}},
		{"fmt.Print*", text{"otp/a.go", `package otp; import "fmt"; func f() { fmt.Println() }`}, text{"otp/a.go", `package otp; import "fmt"; func f() { fmt.Fprintln(w) }`}},
	}
}

// TestEveryFileRuleCanFail shows each rule what it is against, and what it is not against.
func TestEveryFileRuleCanFail(t *testing.T) {
	rules := fileRules()
	shown := maps.Clone(rules)
	for _, e := range fileExamples() {
		t.Run(e.rule, func(t *testing.T) {
			if rules[e.rule] == nil {
				t.Fatalf("there is no rule %q", e.rule)
			}
			delete(shown, e.rule)
			bad, good := sources(t, e.bad), sources(t, e.good)
			if found := rules[e.rule](bad[0]); len(found) == 0 {
				t.Errorf("lets pass %s:\n%.200s", e.bad.path, e.bad.code)
			}
			if found := rules[e.rule](good[0]); len(found) > 0 {
				t.Errorf("refuses %s:\n%.200s\n%q", e.good.path, e.good.code, found)
			}
		})
	}
	for name := range shown {
		t.Errorf("rule %q has no example", name)
	}
}

// TestEveryTreeRuleCanFail does the same for the rules on all files together. Rows that nobody
// needs are shown by a tree that lacks almost everything; the real tree is what lets them pass.
func TestEveryTreeRuleCanFail(t *testing.T) {
	many := []text{{"otp/doc.go", "// Package otp.\npackage otp"}}
	for name := range packageFiles {
		many = append(many, text{"otp/" + string(rune('a'+name)) + ".go", "package otp"})
	}
	small, one := many[:2], text{"otp/a.go", "// Package otp.\npackage otp"}
	rules := treeRules()
	for _, e := range []struct {
		rule      string
		bad, good []text
	}{
		{"one package comment", many[1:], small},
		{"one package comment", []text{many[0], one}, []text{one}},
		{"one package comment", []text{one, many[2]}, []text{one, {"otp/a_test.go", "package otp_test"}}},
		{"packages are small", many, many[1:]},
		{"every layer is used", small, nil},
		{"every library is used", small, nil},
		{"every exception is used", small, nil},
	} {
		t.Run(e.rule, func(t *testing.T) {
			rule := treeRules()[e.rule]
			delete(rules, e.rule)
			if found := rule(sources(t, e.bad...)); len(found) == 0 {
				t.Error("lets the bad tree pass")
			}
			if found := rule(sources(t, e.good...)); e.good != nil && len(found) > 0 {
				t.Errorf("refuses the good tree: %q", found)
			}
		})
	}
	for name := range rules {
		t.Errorf("rule %q has no example", name)
	}
}

// TestOtherRulesCanFail is for those that look at something else than Go files.
func TestOtherRulesCanFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		found []string
		want  int
	}{
		{"an entry that nobody knows", topLevelIsKnown([]string{"pkg", "cmd"}, ""), 1},
		{"an entry that git ignores", topLevelIsKnown([]string{"otpgate", "x.prof"}, "/otpgate\n*.prof\n"), 0},
		{"a library without a row", requirementsHaveARow("require (\n\tgithub.com/lib/pq v1.0.0\n\tgo.etcd.io/bbolt v1.5.0\n)"), 1},
		{"a library on a line of its own", requirementsHaveARow("require github.com/lib/pq v1.0.0\n"), 1},
		{"a library of a library", requirementsHaveARow("require (\n\tgithub.com/lib/pq v1.0.0 // indirect\n)"), 0},
	} {
		if len(c.found) != c.want {
			t.Errorf("%s: %d findings, want %d: %q", c.name, len(c.found), c.want, c.found)
		}
	}
}

// TestEveryRowHasAReason is why the tables are tables.
func TestEveryRowHasAReason(t *testing.T) {
	reasons := map[string]string{}
	for _, l := range layers() {
		reasons["layer "+l.pkg] = l.why
	}
	for _, l := range libraries() {
		reasons["library "+l.path] = l.why
	}
	for _, r := range restricted() {
		reasons["names "+r.pkg+"."+r.name[0]] = r.why
	}
	for _, e := range exceptions() {
		reasons["exception "+e.path] = e.why
	}
	maps.Copy(reasons, longFunctions())
	maps.Copy(reasons, largeInterfaces())
	for row, why := range reasons {
		if why == "" {
			t.Errorf("%s has no reason", row)
		}
	}
}

func sources(t *testing.T, texts ...text) []source {
	t.Helper()
	var all []source
	for _, x := range texts {
		s, err := parse(x.path, []byte(x.code))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
