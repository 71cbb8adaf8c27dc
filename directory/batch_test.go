package directory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

// crowd is a directory of n people besides [slapdtest.Entries].
func crowd(n int) string {
	var b strings.Builder
	b.WriteString(slapdtest.Entries)
	for i := range n {
		fmt.Fprintf(&b, "\ndn: uid=person%[1]d,ou=people,%[2]s\nobjectClass: inetOrgPerson\nuid: person%[1]d\ncn: Person %[1]d\nsn: %[1]d\nmail: person%[1]d@corp.example\n", i, slapdtest.BaseDN)
	}
	return b.String()
}

// searches is how many searches a server has been asked for.
func searches(s *slapdtest.Server) int { return strings.Count(s.Log(), "SRCH base=") }

// searchesAre waits for the server's log, which is written by others.
func searchesAre(t *testing.T, s *slapdtest.Server, ok func(int) bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if ok(searches(s)) {
			return
		}
		<-tick.C
	}
	t.Errorf("%d searches", searches(s))
}

// TestALookUpIsOneSearch: without groups, and when nothing is remembered.
func TestALookUpIsOneSearch(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Groups = false
	s := open(t, newClock(), c)
	for n := 1; n <= 20; n++ {
		if n%2 == 0 {
			mustFind(t, s, "alice")
		} else if _, err := s.Find(soon(t, patience), "nobody", nil); !errors.Is(err, directory.ErrNotFound) {
			t.Fatal(err)
		}
		searchesAre(t, server, func(got int) bool { return got == n })
	}
}

// names are of every kind that there is in a directory.
func names() []string {
	all := []string{
		"alice", "ALICE", "alice@corp.example", `CORP\bob`, "heidi@corp.example", "heidi", "twin", "müller", "MÜLLER", `we(ird)*\,n`,
		"frank", "grace", "nobody", "no-body", "al", "alic*", "alice@elsewhere.example", "person", " carol ", "dave",
	}
	for i := range 60 {
		all = append(all, fmt.Sprint("person", i))
	}
	return all
}

// TestManyAtOnceFindWhatEachFindsAlone: each of many lookups at the same time, and of many in one call, finds
// the account that it finds alone, and fails as it fails alone. They need fewer searches.
func TestManyAtOnceFindWhatEachFindsAlone(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(50)})
	c := over(server)
	c.Groups = false
	alone := open(t, newClock(), c)
	type answer struct {
		id  string
		err error
	}
	want := map[string]answer{}
	for _, name := range names() {
		a, err := alone.Find(soon(t, patience), name, nil)
		if err != nil {
			want[name] = answer{err: err}
		} else {
			want[name] = answer{id: a.ID}
		}
	}
	check := func(name, id string, err error) {
		t.Helper()
		w := want[name]
		if id != w.id || (err == nil) != (w.err == nil) || err != nil && err.Error() != w.err.Error() {
			t.Errorf("%q: %q, %v; alone %q, %v", name, id, err, w.id, w.err)
		}
	}
	before := searches(server)
	s := open(t, newClock(), c)
	const rounds = 10
	var all sync.WaitGroup
	for range rounds {
		for _, name := range names() {
			all.Go(func() {
				a, err := s.Find(soon(t, patience), name, nil)
				if err != nil {
					a = &directory.Account{}
				}
				check(name, a.ID, err)
			})
		}
		all.Wait()
	}
	searchesAre(t, server, func(got int) bool { return got > before && got-before < rounds*len(names())*3/4 })
	before = searches(server)
	ids, errs := s.IDs(soon(t, patience), names())
	for i, name := range names() {
		check(name, ids[i], errs[i])
	}
	searchesAre(t, server, func(got int) bool { return got > before && got-before < 20 })
}

// TestAnEntryThatFitsNoNameIsNotGuessedAt: a server that ignores more than we do, as telephoneNumberMatch
// does, finds what nobody can be given for sure. Each name is then asked for alone.
func TestAnEntryThatFitsNoNameIsNotGuessedAt(t *testing.T) {
	const phones = "\ndn: uid=%[1]s,ou=people,%[2]s\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: x\nsn: x\ntelephoneNumber: %[3]s\n"
	ldif := slapdtest.Entries + fmt.Sprintf(phones, "one", slapdtest.BaseDN, "555-1234") + fmt.Sprintf(phones, "two", slapdtest.BaseDN, "555-99") +
		fmt.Sprintf(phones, "three", slapdtest.BaseDN, "55599")
	c := over(slapdtest.Start(t, slapdtest.Options{LDIF: ldif}))
	c.Groups, c.LoginAttributes = false, []string{"telephoneNumber"}
	s := open(t, newClock(), c)
	_, errs := s.IDs(soon(t, patience), []string{"5551234", "555-1234", "555-99", "55599", "42"})
	for i, want := range []error{nil, nil, directory.ErrAmbiguous, directory.ErrAmbiguous, directory.ErrNotFound} {
		if !errors.Is(errs[i], want) {
			t.Errorf("%d: %v, want %v", i, errs[i], want)
		}
	}
}

// TestAValueWithAnOptionIsNotPassedOver: a filter finds it (RFC 4511 section 4.5.1.7), so that the name is two entries'.
func TestAValueWithAnOptionIsNotPassedOver(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{LDIF: crowd(3)})
	server.Modify("dn: uid=person0,ou=people," + slapdtest.BaseDN + "\nchangetype: modify\nadd: uid;lang-de\nuid;lang-de: person1\nuid;lang-de: person9\n")
	c := over(server)
	c.Groups = false
	s := open(t, newClock(), c)
	names := []string{"person0", "person1", "person2", "person9"}
	ids, errs := s.IDs(soon(t, patience), names)
	for i, name := range names {
		a, err := s.Find(soon(t, patience), name, nil)
		if fmt.Sprint(errs[i]) != fmt.Sprint(err) || err == nil && ids[i] != a.ID {
			t.Errorf("%s: %q, %v; alone %v", name, ids[i], errs[i], err)
		}
		if (name == "person1") != errors.Is(err, directory.ErrAmbiguous) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAskingOneAtATimeIsSaid once, with the reason, and counted.
func TestAskingOneAtATimeIsSaid(t *testing.T) {
	c := over(slapdtest.Start(t, slapdtest.Options{LDIF: crowd(20), Database: "sizelimit 1"}))
	c.Groups, c.Fresh, c.Stale = false, 0, 0
	var log bytes.Buffer
	reg, now := prometheus.NewPedanticRegistry(), newClock()
	s, err := directory.New(directory.Options{
		Directories: []directory.Config{c}, Registerer: reg, Now: now.Now,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	box := make(mailbox, 100)
	for range 3 {
		s.FindAll(t.Context(), questions(patience, "person1", "person2", "person3"), box)
		for of, a := range box.collect(t, 3) {
			if a.Err != nil {
				t.Errorf("%v: %v", of, a.Err)
			}
		}
		now.Advance(2 * time.Minute)
	}
	_ = s.Close()
	const counter = `
# HELP otpgate_directory_parted_total Searches for several names that failed in a way that had names looked up one at a time for a minute.
# TYPE otpgate_directory_parted_total counter
otpgate_directory_parted_total 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(counter), "otpgate_directory_parted_total"); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "one at a time, because") != 1 || !strings.Contains(text, "more to tell") {
		t.Errorf("the log:\n%s", text)
	}
}

// findAtOnce looks for everybody of a crowd of 20, three times, all at the same time.
func findAtOnce(t *testing.T, s *directory.Set) {
	t.Helper()
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			if _, err := s.Find(soon(t, patience), fmt.Sprint("person", i%20), nil); err != nil {
				t.Errorf("at the same time: %v", err)
			}
		})
	}
	all.Wait()
}

// TestMoreThanALimitAllowsIsAskedOneAtATime: a server that tells no more than one entry.
func TestMoreThanALimitAllowsIsAskedOneAtATime(t *testing.T) {
	c := over(slapdtest.Start(t, slapdtest.Options{LDIF: crowd(20), Database: "sizelimit 1"}))
	c.Groups = false
	s := open(t, newClock(), c)
	ids, errs := s.IDs(soon(t, patience), []string{"person1", "person2", "person3", "twin"})
	for i, want := range []error{nil, nil, nil, directory.ErrAmbiguous} {
		if !errors.Is(errs[i], want) || (ids[i] == "") != (want != nil) {
			t.Errorf("%d: %q, %v", i, ids[i], errs[i])
		}
	}
	findAtOnce(t, s)
}

// TestWhatAServerRefusesTogetherIsAskedOneAtATime: one that does no search for which it has to look at more than so
// many entries, which for one name are few.
func TestWhatAServerRefusesTogetherIsAskedOneAtATime(t *testing.T) {
	c := over(slapdtest.Start(t, slapdtest.Options{LDIF: crowd(20), Database: "limits * size.unchecked=2"}))
	c.Groups, c.LoginAttributes = false, []string{"uid"}
	s := open(t, newClock(), c)
	ids, errs := s.IDs(soon(t, patience), []string{"person1", "person2", "person3", "nobody"})
	for i, want := range []error{nil, nil, nil, directory.ErrNotFound} {
		if !errors.Is(errs[i], want) || (ids[i] == "") != (want != nil) {
			t.Errorf("%d: %q, %v", i, ids[i], errs[i])
		}
	}
	findAtOnce(t, s)
}

// TestIDsOfADirectoryThatIsGone say so, and of a file are those of the file.
func TestIDsOfADirectoryThatIsGone(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	gone := over(server)
	gone.Name, gone.Realms = "gone", []string{"gone"}
	server.Stop()
	s := open(t, newClock(), inFile(t, crowd(3)), gone)
	ids, errs := s.IDs(soon(t, patience), []string{"person1", "person2@gone", "twin", "", "nobody"})
	for i, want := range []error{nil, directory.ErrUnavailable, directory.ErrAmbiguous, directory.ErrNameInvalid, directory.ErrNotFound} {
		if !errors.Is(errs[i], want) || (ids[i] == "") != (want != nil) {
			t.Errorf("%d: %q, %v, want %v", i, ids[i], errs[i], want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, errs := s.IDs(ended, []string{"person1"}); !errors.Is(errs[0], directory.ErrUnavailable) {
		t.Errorf("with a context that has ended: %v", errs[0])
	}
}
