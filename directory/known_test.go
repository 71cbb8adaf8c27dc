package directory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twoFiles are two directories with people of the same names, and some of their own.
func twoFiles(t *testing.T) *Set {
	t.Helper()
	o := Options{Now: time.Now}
	for _, home := range []struct {
		name string
		from int
	}{{"corp", 0}, {"lab", 100}} {
		var people strings.Builder
		for i := home.from; i < home.from+200; i++ {
			fmt.Fprintf(&people, "dn: uid=user%d,dc=%s\nobjectClass: inetOrgPerson\nuid: user%d\ncn: u\nsn: u\nentryUUID: %08d-0000-4000-8000-%012d\n\n", i, home.name, i, home.from, i)
		}
		file := filepath.Join(t.TempDir(), home.name+".ldif")
		if err := os.WriteFile(file, []byte(people.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		o.Directories = append(o.Directories, Config{
			Name: home.name, LDIF: file, BaseDN: "dc=" + home.name, Realms: []string{home.name + ".example"}, Fresh: time.Hour, Stale: 2 * time.Hour,
		})
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestAllThatAreKnownAreKnownAlone: of many names at once is said what is said of each, wherever it leads.
func TestAllThatAreKnownAreKnownAlone(t *testing.T) {
	s := twoFiles(t)
	var questions []Question
	for i := range 300 {
		name := fmt.Sprint("user", i)
		for _, q := range []Question{
			{Name: name}, {Name: strings.ToUpper(name)}, {Name: name, Allowed: []string{"lab"}}, {Name: name + "@lab.example"},
			{Name: name + "@lab.example", Allowed: []string{"corp"}}, {Name: name, Allowed: []string{"gone"}}, {Name: `lab.example\` + name},
			{Name: "nobody " + name}, {Name: "\x00"}, {},
		} {
			questions = append(questions, q)
			if i%3 == 0 {
				_, _ = s.Find(t.Context(), q.Name, q.Allowed)
			}
		}
	}
	found := make([]*Account, len(questions))
	for i := range found {
		found[i] = &Account{ID: "of before"}
	}
	s.FindAllKnown(questions, found)
	known := 0
	for i, q := range questions {
		want, _ := s.FindKnown(q.Name, q.Allowed)
		if found[i] != want {
			t.Errorf("%q in %q: %v, want %v", q.Name, q.Allowed, found[i], want)
		}
		if want != nil {
			known++
		}
	}
	if known < 300 || known > len(questions)-300 {
		t.Errorf("%d of %d are known: what was compared?", known, len(questions))
	}
}

// TestAPanicOverANameIsNobodyElsesTrouble: what is known of the others is told, and of that name Find tells.
func TestAPanicOverANameIsNobodyElsesTrouble(t *testing.T) {
	s := &Set{} // which has no rules for names
	found := []*Account{{}, {}}
	s.FindAllKnown([]Question{{Name: "alice"}, {Name: "bob"}}, found)
	if found[0] != nil || found[1] != nil {
		t.Errorf("%v", found)
	}
}
