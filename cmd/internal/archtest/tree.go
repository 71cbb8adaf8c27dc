package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const module = "otpgate"

// source is one Go file.
type source struct {
	path string // from the top of the tree, with slashes
	file *ast.File
	set  *token.FileSet
}

func parse(path string, text []byte) (source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path, file, set}, err
}

// pkg returns the package's folder from the top of the tree, which is its import path without the
// module's.
func (s source) pkg() string  { return path.Dir(s.path) }
func (s source) name() string { return path.Base(s.path) }
func (s source) test() bool   { return strings.HasSuffix(s.path, "_test.go") }

// support reports whether a package exists for tests only.
func support(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// forTests reports whether a file is for tests only.
func (s source) forTests() bool { return s.test() || support(s.pkg()) }

func (s source) lines() int { return s.set.File(s.file.FileStart).LineCount() }

// at returns a finding that names the place of a node.
func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.path, s.set.Position(n.Pos()).Line, fmt.Sprintf(format, args...))
}

// imports calls each with the path of every import.
func (s source) imports(each func(*ast.ImportSpec, string)) {
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			each(spec, p)
		}
	}
}

// names returns the imports by the names that the file uses for them.
func (s source) names() map[string]string {
	names := map[string]string{}
	s.imports(func(spec *ast.ImportSpec, p string) {
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	})
	return names
}

// uses calls each with every identifier of another package in n: its import path and its name.
func (s source) uses(n ast.Node, each func(at ast.Node, pkg, name string)) {
	names := s.names()
	ast.Inspect(n, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] != "" {
				each(sel, names[x.Name], sel.Sel.Name)
			}
		}
		return true
	})
}

// within reports whether pkg is one of the places; a place that ends in /... includes what is below.
func within(pkg string, places []string) bool {
	return slices.ContainsFunc(places, func(place string) bool {
		above, below := strings.CutSuffix(place, "/...")
		return pkg == above || below && strings.HasPrefix(pkg, above+"/")
	})
}

// readTree parses every Go file below root that the go tool would look at.
func readTree(root string) ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := p != root && strings.IndexAny(d.Name(), "._") == 0
		if d.IsDir() {
			if hidden || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if hidden || filepath.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		all = append(all, s)
		return err
	})
	return all, err
}
