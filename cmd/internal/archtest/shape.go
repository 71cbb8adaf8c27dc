package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

const (
	fileLines     = 600
	testFileLines = 900
	functionLines = 60
	packageFiles  = 20
)

// longFunctions may be longer than functionLines, each for a reason.
func longFunctions() map[string]string {
	return map[string]string{
		"cmd/otpgate.wire": "one straight list of what is made from what; in pieces it would hide the order",
	}
}

func filesAreShort(s source) []string {
	limit := fileLines
	if s.test() {
		limit = testFileLines
	}
	if n := s.lines(); n > limit {
		return []string{fmt.Sprintf("%s: %d lines, of %d at most: split it by concept", s.path, n, limit)}
	}
	return nil
}

func functionsAreShort(s source) []string {
	if s.forTests() {
		return nil
	}
	var found []string
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || longFunctions()[s.pkg()+"."+f.Name.Name] != "" {
			continue
		}
		if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > functionLines {
			found = append(found, s.at(f, "%s has %d lines, of %d at most", f.Name.Name, n, functionLines))
		}
	}
	return found
}

// interfaceMethods is how many an interface may have.
const interfaceMethods = 3

// largeInterfaces may have more, each for a reason.
func largeInterfaces() map[string]string {
	return map[string]string{
		"otp.Store":        "the contract that two stores keep, and one suite proves",
		"radius.batchConn": "what the library's sockets of both families have in common",
	}
}

// interfacesAreSmall finds those that ask for more than one consumer needs.
func interfacesAreSmall(s source) []string {
	if s.test() {
		return nil
	}
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		t, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if i, ok := t.Type.(*ast.InterfaceType); ok && len(i.Methods.List) > interfaceMethods && largeInterfaces()[s.pkg()+"."+t.Name.Name] == "" {
			found = append(found, s.at(t, "%s asks for %d things, of %d at most: declare what the consumer uses", t.Name.Name, len(i.Methods.List), interfaceMethods))
		}
		return true
	})
	return found
}

// packages returns the sources by package.
func packages(all []source) map[string][]source {
	by := map[string][]source{}
	for _, s := range all {
		by[s.pkg()] = append(by[s.pkg()], s)
	}
	return by
}

// onePackageComment says which packages have not exactly one comment, or have it elsewhere than in
// doc.go; a package of one file has it there.
func onePackageComment(all []source) []string {
	var found []string
	for pkg, files := range packages(all) {
		var comments, code []string
		for _, s := range files {
			if s.file.Doc != nil {
				comments = append(comments, s.name())
			}
			if !s.test() {
				code = append(code, s.name())
			}
		}
		single := len(code) == 1 && slices.Equal(comments, code)
		if len(code) > 0 && !single && !slices.Equal(comments, []string{"doc.go"}) {
			found = append(found, fmt.Sprintf("%s: the package comment belongs in doc.go and nowhere else; found in %q", pkg, comments))
		}
	}
	return found
}

func packagesAreSmall(all []source) []string {
	var found []string
	for pkg, files := range packages(all) {
		files = slices.DeleteFunc(files, source.test)
		if len(files) > packageFiles {
			found = append(found, fmt.Sprintf("%s: %d files without tests, of %d at most", pkg, len(files), packageFiles))
		}
	}
	return found
}

// topLevel is all that may be at the top of the tree.
func topLevel() []string {
	return []string{
		".git", ".ci", ".gitignore",
		"cmd", "radius", "directory", "otp", "enroll", "metrics", "configs",
		"go.mod", "go.sum", "README.md", "Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
	}
}

// topLevelIsKnown says what else is there, but for what .gitignore leaves out.
func topLevelIsKnown(entries []string, gitignore string) []string {
	var found []string
	for _, e := range entries {
		ignored := slices.ContainsFunc(strings.Fields(gitignore), func(pattern string) bool {
			ok, err := path.Match(strings.Trim(pattern, "/"), e)
			return ok && err == nil
		})
		if !ignored && !slices.Contains(topLevel(), e) {
			found = append(found, e+": the top level is fixed; see cmd/internal/archtest/shape.go")
		}
	}
	return found
}
