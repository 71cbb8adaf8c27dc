package directory_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// otherwise is what asks another directory, or other things of one, under the names of the settings.
func otherwise() map[string]func(*directory.Config) {
	return map[string]func(*directory.Config){
		"urls":                        func(d *directory.Config) { d.URLs = append([]string{"ldap://127.0.0.1:1"}, d.URLs...) },
		"base_dn":                     func(d *directory.Config) { d.BaseDN = "ou=people," + d.BaseDN },
		"bind_dn":                     func(d *directory.Config) { d.BindDN, d.BindPassword = "", "" },
		"login_attributes":            func(d *directory.Config) { d.LoginAttributes = []string{"cn"} },
		"mail_attributes":             func(d *directory.Config) { d.MailAttributes = []string{"cn"} },
		"attributes in replies":       func(d *directory.Config) { d.Attributes = []string{"employeeType"} },
		"whether clients need groups": func(d *directory.Config) { d.Groups = !d.Groups },
		"name":                        func(d *directory.Config) { d.Name = "other" },
	}
}

func TestNewSetKnowsNothingOfAnotherDirectory(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Fresh, c.Stale = time.Minute, time.Hour
	now := newClock()
	before := open(t, now, c)
	mustFind(t, before, "alice")
	server.Stop()
	for name, change := range otherwise() {
		d := c
		change(&d)
		_, err := replace(t, now, before, d).Find(soon(t, patience), "alice", nil)
		if err == nil {
			t.Errorf("%s: another directory's account is trusted", name)
		}
	}
}

// TestADirectoryThatIsNotHereIsNoAnswer: until a reload has put the new clients in place too, one of before may ask in a
// directory that is gone. Which account was meant nobody can tell, also where others of its directories are here.
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
		{"person1@lab.example", []string{"gone", corp.Name}, directory.ErrUnavailable},
		{"nobody", []string{"gone", corp.Name}, directory.ErrUnavailable},
		{"person1", []string{"gone", corp.Name}, directory.ErrUnavailable}, // which may be another person1
		{"person1", []string{corp.Name, "gone"}, directory.ErrUnavailable},
		{"person1", []string{corp.Name, lab.Name}, nil},
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

// TestNewSetSaysWhatItForgets: who reloads while a directory is away has to know that this keeps everybody out.
func TestNewSetSaysWhatItForgets(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Fresh, c.Stale = time.Minute, time.Hour
	now := newClock()
	before, nobody := open(t, now, c), open(t, now, c)
	mustFind(t, before, "alice")
	mustFind(t, before, "bob")
	says := func(before *directory.Set, configs ...directory.Config) string {
		t.Helper()
		var log bytes.Buffer
		s, err := directory.New(directory.Options{
			Directories: configs, Before: before, Now: now.Now,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		if err == nil {
			_ = s.Close()
		}
		var said strings.Builder
		for line := range strings.Lines(log.String()) { // there are warnings of other things
			if strings.Contains(line, "forgotten") {
				said.WriteString(line)
			}
		}
		return said.String()
	}
	changes := otherwise()
	other := c
	changes["name"](&other)
	delete(changes, "name") // of that one nobody can tell that it was another
	changes["start_tls"] = func(d *directory.Config) { d.StartTLS = !d.StartTLS }
	broken := directory.Config{Name: "broken"}
	for name, change := range changes {
		d := c
		change(&d)
		want := `directory=` + c.Name + ` accounts=2 changed=`
		if strings.Contains(name, " ") {
			want += `"` + name + `" `
		} else {
			want += name + " "
		}
		if said := says(before, d); !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: %q, want %q", name, said, want)
		}
		if said := says(nobody, d); said != "" {
			t.Errorf("%s: nobody is forgotten, and it says %q", name, said)
		}
		if said := says(before, d, broken); said != "" {
			t.Errorf("%s: the new set is refused, and it says %q", name, said)
		}
	}
	same := c
	same.Stale, same.Timeout, same.Realms = 2*time.Hour, time.Second, []string{"corp.example"}
	file := directory.Config{Name: c.Name, BaseDN: c.BaseDN, LDIF: filepath.Join(t.TempDir(), "people.ldif"), Fresh: time.Minute}
	if err := os.WriteFile(file.LDIF, []byte(slapdtest.Entries), 0o600); err != nil {
		t.Fatal(err)
	}
	filed := open(t, now, file)
	mustFind(t, filed, "alice")
	for _, said := range []string{says(before, same), says(before, other), says(before, file), says(filed, file)} {
		if said != "" { // a file is never away
			t.Errorf("nobody is forgotten who could not be found, and it says %q", said)
		}
	}
	if said := says(filed, c); !strings.Contains(said, "ldif_file, urls") {
		t.Errorf("instead of a file: %q", said)
	}
}
