package directory_test

import (
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
