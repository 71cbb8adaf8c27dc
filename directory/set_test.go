package directory_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

func TestCloseLeavesNothingBehind(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{TLS: true})
	frozen := slapdtest.Start(t, slapdtest.Options{})
	before := runtime.NumGoroutine()
	for _, way := range []string{"ldap", "starttls", "ldaps", "frozen"} {
		c := over(server)
		switch way {
		case "starttls":
			c.StartTLS, c.RootCAs = true, server.CAPool()
		case "ldaps":
			c.URLs, c.RootCAs = []string{server.LDAPSURL()}, server.CAPool()
		case "frozen":
			c.URLs = []string{frozen.URL()}
		}
		s, err := directory.New(directory.Options{Directories: []directory.Config{c}, Now: newClock().Now})
		if err != nil {
			t.Fatal(err)
		}
		a := mustFind(t, s, "alice")
		if way == "frozen" {
			frozen.Freeze()
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { _ = s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")) })
			all.Go(func() { _, _ = s.Find(soon(t, patience), "bob", nil) })
		}
		if way != "frozen" {
			all.Wait()
		}
		closed := make(chan struct{})
		go func() { // while searches and binds are under way, if it is frozen
			defer close(closed)
			_ = s.Close()
			_ = s.Close()
		}()
		all.Wait()
		<-closed
		ctx := soon(t, patience)
		_, err = s.Find(ctx, "alice", nil)
		wantError(t, err, directory.ErrUnavailable, "closed")
		wantError(t, s.Authenticate(ctx, a, slapdtest.Password("alice")), directory.ErrUnavailable, "closed")
		wantError(t, s.Health(ctx)[c.Name], directory.ErrUnavailable, "closed")
		if ctx.Err() != nil {
			t.Errorf("%s: Close did not end what was under way", way)
		}
	}
	frozen.Thaw()
	eventually(t, func() bool { return runtime.NumGoroutine() <= before })
	eventually(t, func() bool {
		log := server.Log() + frozen.Log()
		return strings.Count(log, " closed") == strings.Count(log, "ACCEPT from")
	})
}

func TestMetrics(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	reg := prometheus.NewPedanticRegistry()
	c := over(server)
	s, err := directory.New(directory.Options{Directories: []directory.Config{c}, Registerer: reg, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx := soon(t, patience)
	a := mustFind(t, s, "alice")
	_, _ = s.Find(ctx, "nobody", nil)
	_, _ = s.FindMail(ctx, "shared@corp.example")
	_ = s.Authenticate(ctx, a, slapdtest.Password("alice"))
	_ = s.Authenticate(ctx, a, "wrong")
	_ = s.Authenticate(ctx, a, "")
	_ = s.Health(ctx)
	counts := func() map[string]uint64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				key := ""
				for _, l := range m.GetLabel() {
					key += l.GetValue() + " "
				}
				got[key] = m.GetHistogram().GetSampleCount() + uint64(m.GetGauge().GetValue())
			}
		}
		return got
	}
	got := counts()
	for series, want := range map[string]uint64{
		"find ok ": 1, "find not_found ": 1, "find unavailable ": 0, "mail ambiguous ": 1, "bind ok ": 1, "bind refused ": 1,
		"health ok ": 1, "dial unavailable ": 0, "password_busy ": 0, "password_idle ": 1,
	} {
		if value, there := got[series]; value != want || !there {
			t.Errorf("%s= %d, %v; want %d", series, value, there, want)
		}
	}
	if got["search "] == 0 || got["dial ok "] != got["search "]+1 {
		t.Errorf("connections: %v", got)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	_ = s.Close()
	if got := counts(); got["search "]+got["password_idle "]+got["password_busy "] != 0 {
		t.Errorf("connections after Close: %v", got)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := directory.Config{Name: "corp", URLs: []string{"ldaps://[::1]:6360/", "ldaps://dc1"}, BaseDN: "dc=corp"}
	for want, change := range map[string]func(*directory.Config){
		"has no name":                    func(c *directory.Config) { c.Name = "" },
		"neither servers nor a file":     func(c *directory.Config) { c.URLs = nil },
		"is a file":                      func(c *directory.Config) { c.LDIF = "x" },
		`"http://x" is not an LDAP`:      func(c *directory.Config) { c.URLs = []string{"http://x"} },
		`"ldap://" is not an LDAP`:       func(c *directory.Config) { c.URLs = []string{"ldap://"} },
		`"ldap://x/dc=a" is not an LDAP`: func(c *directory.Config) { c.URLs = []string{"ldap://x/dc=a"} },
		"has TLS already":                func(c *directory.Config) { c.StartTLS = true },
		`base "" is not`:                 func(c *directory.Config) { c.BaseDN = "" },
		`base "corp" is not`:             func(c *directory.Config) { c.BaseDN = "corp" },
		"belong together":                func(c *directory.Config) { c.BindDN = "cn=x" },
		`"uid=*)(a" is not the name`:     func(c *directory.Config) { c.LoginAttributes = []string{"uid=*)(a"} },
		`"" is not the name`:             func(c *directory.Config) { c.MailAttributes = []string{""} },
		`"*" is not the name`:            func(c *directory.Config) { c.Attributes = []string{"*"} },
		`"USERPASSWORD" holds`:           func(c *directory.Config) { c.Attributes = []string{"title", "USERPASSWORD"} },
		`"a@b" is not a realm`:           func(c *directory.Config) { c.Realms = []string{"a@b"} },
		"a duration is negative":         func(c *directory.Config) { c.Stale = -1 },
	} {
		c := good
		change(&c)
		_, err := directory.New(directory.Options{Directories: []directory.Config{good, c}, Now: newClock().Now})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "number 2") {
			t.Errorf("want %s, got %v", want, err)
		}
	}
	if _, err := directory.New(directory.Options{Directories: []directory.Config{good}}); err == nil {
		t.Error("a set without a clock")
	}
	if _, err := directory.New(directory.Options{Directories: []directory.Config{good, good}, Now: newClock().Now}); err == nil {
		t.Error("two directories of one name")
	}
	open(t, newClock(), good)
}

func TestSetWithoutDirectoriesKnowsNobody(t *testing.T) {
	s := open(t, newClock())
	_, err := s.Find(t.Context(), "alice", nil)
	wantError(t, err, directory.ErrNotFound, "")
	_, err = s.FindMail(t.Context(), "alice@corp.example")
	wantError(t, err, directory.ErrNotFound, "")
}

func TestNoPasswordIsLogged(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	refused := over(server)
	refused.Name, refused.Realms, refused.BindPassword = "refused", nil, "hunter2-searcher"
	s, err := directory.New(directory.Options{Directories: []directory.Config{over(server), refused}, Logger: logger, Now: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a := mustFind(t, s, "alice")
	said := []error{s.Authenticate(soon(t, patience), a, "hunter2-person"), s.Health(soon(t, patience))["refused"]}
	server.Stop()
	said = append(said, s.Authenticate(soon(t, patience), a, "hunter2-person"))
	text := log.String() + errors.Join(said...).Error()
	for _, secret := range []string{"hunter2", slapdtest.ServicePassword} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told:\n%s", secret, text)
		}
	}
	if !strings.Contains(log.String(), "directory server failed") || !strings.Contains(log.String(), "directory=corp") {
		t.Errorf("the outage is not told:\n%s", log.String())
	}
}

func TestServerThatDoesNotReadIsLeft(t *testing.T) {
	// What is written to it piles up, until a write blocks.
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	address := listen(t, func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(1024)
		}
		<-release
	})
	c := directory.Config{Name: "corp", BaseDN: "dc=corp", URLs: []string{"ldap://" + address}, Timeout: 300 * time.Millisecond}
	s := open(t, newClock(), c)
	a := &directory.Account{Directory: "corp", DN: "uid=" + strings.Repeat("x", 8<<20)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	wantError(t, s.Authenticate(ctx, a, "secret"), directory.ErrUnavailable, "")
	_, err := s.Find(ctx, "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "")
	if ctx.Err() != nil {
		t.Error("waited longer than Timeout")
	}
}

func TestServerThatNeverAnswersATLSHandshakeIsLeft(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	address := listen(t, func(net.Conn) { <-release })
	before := runtime.NumGoroutine()
	for _, c := range []directory.Config{{URLs: []string{"ldaps://" + address}}, {URLs: []string{"ldap://" + address}, StartTLS: true}} {
		c.Name, c.BaseDN, c.Timeout = "corp", "dc=corp", 200*time.Millisecond
		s := open(t, newClock(), c)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := s.Find(ctx, "alice", nil)
		wantError(t, err, directory.ErrUnavailable, "")
		wantError(t, s.Health(ctx)["corp"], directory.ErrUnavailable, "")
		if ctx.Err() != nil {
			t.Error("waited longer than Timeout")
		}
	}
	// Only the listener's side still waits: two connections for each configuration.
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+4 })
}
