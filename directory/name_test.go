package directory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/secure/precis"
)

func TestDecodeName(t *testing.T) {
	for octets, want := range map[string]string{
		"alice": "alice", "müller": "müller", "m\xfcller": "müller", "王": "王", "caf\xe9": "café",
		strings.Repeat("x", 253): strings.Repeat("x", 253),
		"\xff":                   "ÿ",
	} {
		if got, err := DecodeName([]byte(octets)); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", octets, got, err, want)
		}
	}
	for _, octets := range []string{"", "a\x00", "\n", "a\x7f", "\xc2\x85", "\x85\xff", strings.Repeat("x", 254)} {
		if got, err := DecodeName([]byte(octets)); !errors.Is(err, ErrNameInvalid) || got != "" {
			t.Errorf("%q: %q, %v; want ErrNameInvalid", octets, got, err)
		}
	}
}

func testRealms(t testing.TB) *names {
	t.Helper()
	n, err := newNames([]Config{
		{Name: "corp", Realms: []string{"corp.example", "CORP"}},
		{Name: "lab", Realms: []string{"lab.example", "Labör"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNamesAreRoutedByRealm(t *testing.T) {
	n := testRealms(t)
	for _, c := range []struct {
		name    string
		allowed []string
		want    string // directory: values
	}{
		{"alice", nil, "corp: alice"},
		{"alice", []string{"lab"}, "lab: alice"},
		{"alice", []string{"lab", "corp"}, "lab: alice"},
		{"alice", []string{"gone", "corp"}, "nowhere"},
		{"alice@lab.example", []string{"lab", "gone"}, "nowhere"},
		{"alice", []string{"gone"}, "nowhere"},
		{"Alice@Lab.Example", nil, "lab: alice alice@lab.example"},
		{"alice@lab.example", []string{"lab"}, "lab: alice alice@lab.example"},
		{"alice@lab.example", []string{"corp"}, "nowhere"},
		{`corp\Alice`, []string{"lab", "corp"}, `corp: alice corp\alice`},
		{`corp\alice`, []string{"lab"}, "nowhere"},
		{"alice@other.example", nil, "corp: alice@other.example"},
		{"alice@other.example", []string{"lab"}, "lab: alice@other.example"},
		{`OTHER\alice`, nil, `corp: other\alice`},
		{`CORP\alice@lab.example`, nil, `lab: corp\alice corp\alice@lab.example`},
		{"a@b@lab.example", nil, "lab: a@b a@b@lab.example"},
		{"alice@LABÖR", nil, "lab: alice alice@labör"},
		{"alice@LABO\u0308R", nil, "lab: alice alice@labör"},
		{"אבג@corp.example", nil, "corp: אבג אבג@corp.example"},
		{"7müller", nil, "corp: 7müller"},
		{"  Alice   Archer ", nil, "corp: alice archer"},
		{" Alice@Lab.Example ", nil, "lab: alice alice@lab.example"},
		{" corp\\alice", []string{"lab", "corp"}, `corp: alice corp\alice`},
		{"alice@lab.example\u3000", nil, "lab: alice alice@lab.example"},
		{"alice @lab.example", nil, "lab: alice alice@lab.example"},
	} {
		w, ok, err := n.route(c.name, c.allowed)
		got := "nowhere"
		if ok {
			got = n.directories[w.directory] + ": " + strings.Join(w.values, " ")
		}
		if err != nil || got != c.want {
			t.Errorf("%q of %q: %s, %v; want %s", c.name, c.allowed, got, err, c.want)
		}
	}
}

func TestRealmOfTwoDirectoriesIsRefused(t *testing.T) {
	for _, configs := range [][]Config{
		{{Name: "a", Realms: []string{"Corp"}}, {Name: "b", Realms: []string{"CORP"}}},
		{{Name: "a"}, {Name: "a"}},
	} {
		if _, err := newNames(configs); err == nil {
			t.Errorf("%v accepted", configs)
		}
	}
	if _, err := newNames([]Config{{Name: "a", Realms: []string{"Corp", "CORP"}}}); err != nil {
		t.Errorf("the same realm twice in one directory: %v", err)
	}
}

// FuzzName: a name that is accepted is already in the form in which it is compared, holds nothing
// that a person cannot see, and goes to a directory that is allowed.
func FuzzName(f *testing.F) {
	for _, s := range []string{"alice", "ALICE@corp.example", `CORP\x`, "mu\u0308ller", "ａ＠ｌａｂ.example", "İ", "a b", "\xff", "א1", "7é", "@", `\`} {
		f.Add(s, true)
	}
	n := testRealms(f)
	f.Fuzz(func(t *testing.T, name string, onlyLab bool) {
		var allowed []string
		if onlyLab {
			allowed = []string{"lab"}
		}
		w, ok, err := n.route(name, allowed)
		if err != nil && !errors.Is(err, ErrNameInvalid) {
			t.Fatalf("unexpected error %v", err)
		}
		if !ok {
			return
		}
		if onlyLab && n.directories[w.directory] != "lab" {
			t.Fatalf("%q goes to %q", name, n.directories[w.directory])
		}
		if w.key != strings.Join(w.values, "\x00") || w.values[0] == "" {
			t.Fatalf("%q: key %q, values %q", name, w.key, w.values)
		}
		for _, v := range w.values {
			if strings.ContainsAny(v, "\x00\n\r\t\x7f") {
				t.Fatalf("%q has a control character", v)
			}
		}
		if again, err := n.enforce(w.values[0]); err != nil || again != w.values[0] {
			t.Fatalf("%q becomes %q becomes %q, %v", name, w.values[0], again, err)
		}
		if isPlain(name) {
			want, err := precis.UsernameCaseMapped.String(name)
			got, enforceErr := n.enforce(name)
			if diff := cmp.Diff(want, got); diff != "" || err != nil || enforceErr != nil {
				t.Fatalf("%q: %v %v %s", name, err, enforceErr, diff)
			}
		}
	})
}

func TestEqualDN(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"cn=a,dc=b", "CN=A, DC=B", true}, {"cn=a+ou=x,dc=b", "ou=x+cn=a,dc=b", true}, {`cn=a\2cb`, `cn=a\,b`, true},
		{"cn=a,dc=b", "cn=a", false}, {"cn=a", "ou=a", false}, {"", "", false}, {"a", "a", false}, {"cn=a,", "cn=a,", false},
		{"=", "=", false}, {"cn=a", "", false}, {"", "cn=a", false}, {`cn=\zz`, `cn=\zz`, false},
	} {
		if got := (Group{DN: c.b}).Is(c.a); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
		if c.want && foldDN(c.a) != foldDN(c.b) {
			t.Errorf("%q and %q have keys %q and %q", c.a, c.b, foldDN(c.a), foldDN(c.b))
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	n := testRealms(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = n.route("alice.archer@corp.example", nil)
	}
}

// TestDifferentQuestionsHaveDifferentKeys: the cache must not give the answer to one name to
// another, even when both look the same when they are written out.
func TestDifferentQuestionsHaveDifferentKeys(t *testing.T) {
	n := testRealms(t)
	questions := map[string]string{} // by key
	for _, name := range []string{
		"alice", "alice@corp.example", `CORP\alice`, "alice@corp.example@corp.example", `CORP\alice@corp.example`,
		"alice @corp.example", "alice@ corp.example", "alice@corp.example ", ` CORP\alice`, `CORP \alice`, "alice@corp .example",
		"alice@corp.example@other.example", "ａｌｉｃｅ＠corp.example",
	} {
		w, ok, err := n.route(name, nil)
		if err != nil || !ok {
			continue
		}
		question := n.directories[w.directory] + ": " + strings.Join(w.values, " or ")
		key := n.directories[w.directory] + ": " + w.key
		if other, taken := questions[key]; taken && other != question {
			t.Errorf("%q asks for %q under the key of %q", name, question, other)
		}
		questions[key] = question
	}
	if len(questions) < 6 {
		t.Errorf("%d questions: nothing was proved", len(questions))
	}
}
