package directory_test

import (
	"errors"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

// replace opens the set that takes the place of another.
func replace(t *testing.T, c *clock, before *directory.Set, configs ...directory.Config) *directory.Set {
	t.Helper()
	s, err := directory.New(directory.Options{Directories: configs, Before: before, Now: c.Now, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestNewSetKnowsWhatTheOneBeforeKnew(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Fresh, c.Stale = time.Minute, time.Hour
	now := newClock()
	before := open(t, now, c)
	alice := mustFind(t, before, "alice")
	server.Stop()
	now.Advance(2 * time.Minute)

	same := c
	same.Stale = 2 * time.Hour
	after := replace(t, now, before, same)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if a := mustFind(t, after, "alice"); a.ID != alice.ID {
		t.Errorf("%+v, want %+v", a, alice)
	}
	now.Advance(2 * time.Hour)
	_, err := after.Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "")
}

func TestNewSetKnowsNothingOfAnotherDirectory(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Fresh, c.Stale = time.Minute, time.Hour
	now := newClock()
	before := open(t, now, c)
	mustFind(t, before, "alice")
	server.Stop()
	for name, change := range map[string]func(*directory.Config){
		"servers":    func(d *directory.Config) { d.URLs = append([]string{"ldap://127.0.0.1:1"}, d.URLs...) },
		"base":       func(d *directory.Config) { d.BaseDN = "ou=people," + d.BaseDN },
		"searcher":   func(d *directory.Config) { d.BindDN, d.BindPassword = "", "" },
		"attributes": func(d *directory.Config) { d.LoginAttributes = []string{"cn"} },
		"mail":       func(d *directory.Config) { d.MailAttributes = []string{"cn"} },
		"more":       func(d *directory.Config) { d.Attributes = []string{"employeeType"} },
		"groups":     func(d *directory.Config) { d.Groups = !d.Groups },
		"name":       func(d *directory.Config) { d.Name = "other" },
	} {
		d := c
		change(&d)
		_, err := replace(t, now, before, d).Find(soon(t, patience), "alice", nil)
		if err == nil {
			t.Errorf("%s: another directory's account is trusted", name)
		}
	}
}

// TestADirectoryThatIsNotHereIsNoAnswer: until a reload has put the new clients in place too, one of before may ask in a
// directory that is gone. Whether it has the account nobody can tell; that one which is here has none is an answer.
func TestADirectoryThatIsNotHereIsNoAnswer(t *testing.T) {
	corp, lab := inFile(t, crowd(3)), inFile(t, crowd(3))
	lab.Name, lab.Realms = "lab", []string{"lab.example"}
	s, box := open(t, newClock(), corp, lab), make(mailbox, 1)
	for _, c := range []struct {
		name    string
		allowed []string
		want    error
	}{
		{"person1", []string{"gone"}, directory.ErrUnavailable},
		{"person1@lab.example", []string{"gone"}, directory.ErrUnavailable},
		{"person1@lab.example", []string{corp.Name}, directory.ErrNotFound},
		{"person1@lab.example", []string{"gone", corp.Name}, directory.ErrNotFound},
		{"nobody", []string{"gone", corp.Name}, directory.ErrNotFound},
		{"person1", []string{"gone", corp.Name}, nil},
		{"\n", []string{"gone"}, directory.ErrNameInvalid},
	} {
		_, alone := s.Find(soon(t, patience), c.name, c.allowed)
		s.FindAll(t.Context(), []directory.Question{{Name: c.name, Allowed: c.allowed, Patience: patience}}, box)
		for how, got := range map[string]error{"Find": alone, "FindAll": box.collect(t, 1)[nil].Err} {
			if !errors.Is(got, c.want) || c.want == directory.ErrUnavailable && errors.Is(got, directory.ErrNotFound) {
				t.Errorf("%s: %q of %q: %v, want %v", how, c.name, c.allowed, got, c.want)
			}
		}
	}
}
