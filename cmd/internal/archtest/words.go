package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// words are what we say, by what others say for the same thing.
func words() map[string]string {
	return map[string]string{
		"user": "account", "passcode": "code", "pin": "code", "lookback": "window",
		"burn": "claim", "burnt": "claim", "consume": "claim", "consumed": "claim",
	}
}

var word = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// wordsAreOurs finds names declared with a word that has another one here. RADIUS has a User-Name
// and a User-Password.
func wordsAreOurs(s source) []string {
	if s.forTests() {
		return nil
	}
	var found []string
	declared(s.file, func(id *ast.Ident) {
		if strings.Contains(id.Name, "UserName") || strings.Contains(id.Name, "UserPassword") {
			return
		}
		for _, w := range word.FindAllString(id.Name, -1) {
			if ours := words()[strings.ToLower(w)]; ours != "" {
				found = append(found, s.at(id, "%s: we say %s", id.Name, ours))
			}
		}
	})
	return found
}

// declared calls each with every name that a file gives to something.
func declared(f *ast.File, each func(*ast.Ident)) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch d := n.(type) {
		case *ast.FuncDecl:
			each(d.Name)
		case *ast.TypeSpec:
			each(d.Name)
		case *ast.ValueSpec:
			for _, id := range d.Names {
				each(id)
			}
		case *ast.Field:
			for _, id := range d.Names {
				each(id)
			}
		case *ast.AssignStmt:
			for _, l := range d.Lhs {
				if id, ok := l.(*ast.Ident); ok && d.Tok == token.DEFINE {
					each(id)
				}
			}
		}
		return true
	})
}

var nameless = regexp.MustCompile(`^(util|common|helper|type|manager|misc)s?(_[a-z0-9_]+)?$|_(util|helper|manager)s?(_test)?$|^(utils?|common|helpers?|types?|managers?)[a-z]*$`)

// namesNameAConcept finds files and packages whose name says nothing about what is in them.
func namesNameAConcept(s source) []string {
	for part := range strings.SplitSeq(strings.TrimSuffix(s.path, ".go"), "/") {
		if nameless.MatchString(part) {
			return []string{s.path + ": " + part + " says nothing; name it for what is in it"}
		}
	}
	return nil
}
