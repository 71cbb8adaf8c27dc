package directory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/directorytest"
	"otpgate/directory/slapdtest"
)

// A clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open returns a set that is closed at the end of the test.
func open(t testing.TB, c *clock, configs ...directory.Config) *directory.Set {
	t.Helper()
	s, err := directory.New(directory.Options{Directories: configs, Now: c.Now, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// over returns the configuration for servers, which answer slowly when the machine is busy.
func over(servers ...*slapdtest.Server) directory.Config {
	c := directorytest.Base()
	c.BindDN, c.BindPassword, c.Timeout = slapdtest.ServiceDN, slapdtest.ServicePassword, 20*time.Second
	for _, s := range servers {
		c.URLs = append(c.URLs, s.URL())
	}
	return c
}

func opener(c directory.Config) directorytest.Open {
	return func(t *testing.T, change func(*directory.Config)) *directory.Set {
		t.Helper()
		c := c
		if change != nil {
			change(&c)
		}
		return open(t, newClock(), c)
	}
}

func TestServersConform(t *testing.T) {
	s := slapdtest.Start(t, slapdtest.Options{TLS: true})
	t.Run("ldap", func(t *testing.T) { directorytest.Run(t, opener(over(s))) })
	t.Run("starttls", func(t *testing.T) {
		c := over(s)
		c.StartTLS, c.RootCAs = true, s.CAPool()
		directorytest.Run(t, opener(c))
	})
	t.Run("ldaps", func(t *testing.T) {
		c := over(s)
		c.URLs, c.RootCAs = []string{s.LDAPSURL()}, s.CAPool()
		directorytest.Run(t, opener(c))
	})
}

func TestFileConforms(t *testing.T) {
	directorytest.Run(t, opener(inFile(t, slapdtest.Entries)))
}

// TestMoreGroupsThanAreLookedUp: every kind of directory says that it does not tell all groups.
func TestMoreGroupsThanAreLookedUp(t *testing.T) {
	var more strings.Builder
	more.WriteString(slapdtest.Entries)
	for i := range 501 {
		fmt.Fprintf(&more, "\ndn: cn=many-%[1]d,ou=groups,%[2]s\nobjectClass: groupOfNames\ncn: many-%[1]d\nmember: %[3]s\n", i, slapdtest.BaseDN, slapdtest.PersonDN("erin"))
	}
	own := over(slapdtest.Start(t, slapdtest.Options{LDIF: more.String()}))
	stingy := over(slapdtest.Start(t, slapdtest.Options{LDIF: more.String(), Database: "sizelimit 20"}))
	for name, c := range map[string]struct {
		config directory.Config
		groups int
	}{"file": {inFile(t, more.String()), 500}, "server": {own, 500}, "server with a limit": {stingy, 20}} {
		s := open(t, newClock(), c.config)
		if a := mustFind(t, s, "erin"); len(a.Groups) != c.groups || !a.GroupsCut {
			t.Errorf("%s: %d groups, cut: %v", name, len(a.Groups), a.GroupsCut)
		}
		if a := mustFind(t, s, "bob"); len(a.Groups) != 2 || a.GroupsCut {
			t.Errorf("%s: %v, cut: %v", name, a.Groups, a.GroupsCut)
		}
	}
}

// inFile returns the configuration for a directory from a file.
func inFile(t testing.TB, ldif string) directory.Config {
	t.Helper()
	c := directorytest.Base()
	c.LDIF = filepath.Join(t.TempDir(), "entries.ldif")
	if err := os.WriteFile(c.LDIF, []byte(ldif), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}
