package directory

import (
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestFilterIsEscapedOnce(t *testing.T) {
	for value, want := range map[string]string{
		"alice":        "(uid=alice)",
		"*":            `(uid=\2a)`,
		`\2a`:          `(uid=\5c2a)`,
		"a)(uid=*":     `(uid=a\29\28uid=\2a)`,
		"a\x00b":       `(uid=a\00b)`,
		"müller":       `(uid=m\c3\bcller)`,
		"&|!=<>~/ ,+#": "(uid=&|!=<>~/ ,+#)",
	} {
		if got := anyOf(term{"uid", value}); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
	if got := anyOf(term{"uid", "a"}, term{"mail", "b"}); got != "(|(uid=a)(mail=b))" {
		t.Error(got)
	}
}

// FuzzFilter: whatever is asked for, the filter that a server gets is an "or" of as many equalities
// as there are terms, each of the intended attribute with the intended value, octet for octet.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"alice", "*", "a)(uid=*", `\2a`, "\x00", "müller", "\xff", " ", `\`, "(", ")", "a*b", "=", ":dn:="} {
		f.Add(s, "other", 2)
		f.Add("other", s, 1)
	}
	f.Fuzz(func(t *testing.T, first, second string, n int) {
		terms := []term{{"uid", first}, {"mail", second}, {"member", first + second}}
		terms = terms[:1+uint(n)%3]
		filter := anyOf(terms...)
		for _, part := range strings.FieldsFunc(filter, func(r rune) bool { return r == '(' || r == ')' }) {
			if strings.ContainsAny(part, "*\x00") {
				t.Fatalf("%q has an octet that was not escaped", filter)
			}
		}
		packet, err := ldap.CompileFilter(filter)
		if err != nil {
			t.Fatalf("%q: %v", filter, err)
		}
		equalities := packet.Children
		if len(terms) == 1 {
			equalities = append(equalities[:0:0], packet)
		} else if packet.Tag != ldap.FilterOr {
			t.Fatalf("%q is not an or", filter)
		}
		if len(equalities) != len(terms) {
			t.Fatalf("%q has %d parts, want %d", filter, len(equalities), len(terms))
		}
		for i, e := range equalities {
			if e.Tag != ldap.FilterEqualityMatch || len(e.Children) != 2 {
				t.Fatalf("part %d of %q is not an equality", i, filter)
			}
			if e.Children[0].Data.String() != terms[i].attribute || e.Children[1].Data.String() != terms[i].value {
				t.Fatalf("part %d of %q asks for %q = %q", i, filter, e.Children[0].Data.String(), e.Children[1].Data.String())
			}
		}
	})
}
