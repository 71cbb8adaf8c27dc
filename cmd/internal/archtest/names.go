package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

// names is a row: what of a package may be used in some places only.
type names struct {
	pkg    string
	name   []string // a star at the end stands for any end
	places []string
	tests  bool // tests and what supports them may
	why    string
}

func restricted() []names {
	return []names{
		{"time", []string{"Now", "Since", "Until"}, []string{"cmd/..."}, true, "take the clock as a parameter"},
		{"time", []string{"Sleep"}, nil, false, "wait for what should happen"},
		{"os", []string{"Exit"}, nil, false, "only main exits"},
		{"log", []string{"*"}, nil, true, "log to the slog.Logger that is handed in"},
		{"log/slog", []string{"Default", "SetDefault", "Debug*", "Info*", "Warn*", "Error*", "Log", "LogAttrs"}, nil, false, "log to the logger that is handed in"},
		{"os", []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Args", "Stdin", "Stdout", "Stderr"}, []string{"cmd/..."}, true, "what the process was given, cmd hands on"},
		{"fmt", []string{"Print*"}, []string{"cmd/..."}, true, "return it; cmd prints"},
	}
}

// exception is a row: a file that may use a name where others may not.
type exception struct{ path, use, why string }

func exceptions() []exception {
	return []exception{
		{"cmd/otpgate/main.go", "os.Exit", "it is main"},
		{"cmd/radload/main.go", "os.Exit", "it is main"},
		{"otp/keyset/keys_test.go", "os.Exit", "ends a process that the test has started"},
		{"otp/storetest/crash.go", "os.Exit", "ends a process that the test has started"},
		{"directory/cache.go", "time.Until", "what is left of a context is told by the context's own clock; with one that a test moves it comes out as years, or as nothing"},
		{"directory/pool.go", "time.Until", "as in cache.go"},
		{"metrics/health_test.go", "time.Sleep", "in a synctest bubble: no real time"},
		{"radius/radsec/server_test.go", "time.Sleep", "in a synctest bubble: no real time"},
	}
}

func (s source) excepted(use string) bool {
	return slices.ContainsFunc(exceptions(), func(e exception) bool { return e.path == s.path && e.use == use })
}

// holds says where a file uses what the row does not allow there.
func (r names) holds(s source) []string {
	if within(s.pkg(), r.places) || r.tests && s.forTests() {
		return nil
	}
	var found []string
	r.usedIn(s, func(at ast.Node, use string) {
		if !s.excepted(use) {
			found = append(found, s.at(at, "%s: %s", use, r.why))
		}
	})
	return found
}

// usedIn calls each where a file uses what the row is about. TestMain is main, of a test.
func (r names) usedIn(s source, each func(at ast.Node, use string)) {
	i := slices.IndexFunc(s.file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && s.test() && f.Name.Name == "TestMain"
	})
	s.uses(s.file, func(at ast.Node, pkg, name string) {
		if i >= 0 && s.file.Decls[i].Pos() <= at.Pos() && at.End() <= s.file.Decls[i].End() {
			return
		}
		if pkg == r.pkg && slices.ContainsFunc(r.name, func(n string) bool {
			begin, star := strings.CutSuffix(n, "*")
			return name == n || star && strings.HasPrefix(name, begin)
		}) {
			each(at, pkg+"."+name)
		}
	})
}

// exceptionsAreNeeded says which rows allow what nobody does.
func exceptionsAreNeeded(all []source) []string {
	used := map[exception]bool{}
	for _, s := range all {
		for _, r := range restricted() {
			r.usedIn(s, func(_ ast.Node, use string) { used[exception{path: s.path, use: use}] = true })
		}
		s.errorsRead(func(ast.Node) { used[exception{path: s.path, use: errorText}] = true })
	}
	var found []string
	for _, e := range exceptions() {
		if !used[exception{path: e.path, use: e.use}] {
			found = append(found, "names.go: "+e.path+" has no need of "+e.use)
		}
	}
	return found
}
