package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// nothingHappensOnImport finds init functions.
func nothingHappensOnImport(s source) []string {
	var found []string
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			found = append(found, s.at(f, "no init: do it in New"))
		}
	}
	return found
}

// noSharedInstruments finds loggers, registries and instruments that belong to a package rather
// than to a value.
func noSharedInstruments(s source) []string {
	var found []string
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if v.Names[0].Name == "_" {
				continue // only asserts that a type satisfies an interface
			}
			s.uses(v, func(at ast.Node, pkg, name string) {
				if pkg == "log" || pkg == "log/slog" || strings.HasPrefix(pkg, "github.com/prometheus/client_golang/prometheus") {
					found = append(found, s.at(at, "package variable %s of %s: hand it to New", v.Names[0].Name, pkg))
				}
			})
		}
	}
	return found
}

// testsAlwaysRun finds what leaves a test out.
func testsAlwaysRun(s source) []string {
	if !s.forTests() {
		return nil
	}
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := sel.X.(*ast.Ident)
		switch name := sel.Sel.Name; {
		case name == "SkipNow", name == "Skipf", name == "Skip" && x != nil && within(x.Name, []string{"t", "b", "f", "tb", "ts"}):
			found = append(found, s.at(sel, "%s: a test that does not run proves nothing; fail and name the missing package", name))
		case name == "Short" && x != nil && x.Name == "testing":
			found = append(found, s.at(sel, "testing.Short: every test runs every time"))
		}
		return true
	})
	return found
}

// errorText is the use that exceptions() may allow of [errorsAreNotRead].
const errorText = "an error's text"

// errorsAreNotRead finds errors that are told apart by their text.
func errorsAreNotRead(s source) []string {
	if s.forTests() || s.excepted(errorText) {
		return nil
	}
	var found []string
	s.errorsRead(func(at ast.Node) {
		found = append(found, s.at(at, "%s: tell errors by errors.Is", errorText))
	})
	return found
}

var comparing = regexp.MustCompile(`^(Contains|HasPrefix|HasSuffix|Index|EqualFold|Cut)`)

// errorsRead calls each where err.Error() stands beside == or !=, or is searched by package strings.
func (s source) errorsRead(each func(at ast.Node)) {
	text := func(e ast.Expr) bool {
		call, ok := e.(*ast.CallExpr)
		if !ok || len(call.Args) > 0 {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Error"
	}
	names := s.names()
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (text(n.X) || text(n.Y)) {
				each(n)
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.ContainsFunc(n.Args, text) || !comparing.MatchString(sel.Sel.Name) {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "strings" {
				each(n)
			}
		}
		return true
	})
}

var (
	promise  = regexp.MustCompile(`\b(TODO|FIXME)\b`)
	numbered = regexp.MustCompile(`\b(TODO|FIXME)\b\S*#\d+`)
)

// promisesHaveANumber finds notes for later that no issue stands for.
func promisesHaveANumber(s source) []string {
	var found []string
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			for line := range strings.SplitSeq(c.Text, "\n") {
				if promise.MatchString(line) && !numbered.MatchString(line) {
					found = append(found, s.at(c, "a note for later needs an issue: (#number)"))
				}
			}
		}
	}
	return found
}
