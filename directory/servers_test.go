package directory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"otpgate/directory"
	"otpgate/directory/directorytest"
	"otpgate/directory/slapdtest"
)

const patience = 20 * time.Second

func soon(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func mustFind(t testing.TB, s *directory.Set, name string) *directory.Account {
	t.Helper()
	a, err := s.Find(soon(t, patience), name, nil)
	if err != nil {
		t.Fatalf("Find(%q): %v", name, err)
	}
	return a
}

func wantError(t testing.TB, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("got %v; want %v with %q", err, want, text)
	}
}

func TestServerWithWrongCertificateIsRefused(t *testing.T) {
	right := slapdtest.Start(t, slapdtest.Options{TLS: true})
	other := slapdtest.Start(t, slapdtest.Options{TLS: true, Hosts: []string{"ldap.corp.example"}})
	for name, c := range map[string]struct {
		server *slapdtest.Server
		pool   *slapdtest.Server // whose authority is trusted; nil: the system's
		text   string
	}{
		"of an authority that nobody trusts": {right, nil, "unknown authority"},
		"of another authority":               {right, other, "certificate"},
		"for another host":                   {other, other, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, startTLS := range []bool{true, false} {
				config := over(c.server)
				if config.StartTLS = startTLS; !startTLS {
					config.URLs = []string{c.server.LDAPSURL()}
				}
				if c.pool != nil {
					config.RootCAs = c.pool.CAPool()
				}
				s := open(t, newClock(), config)
				_, err := s.Find(soon(t, patience), "alice", nil)
				wantError(t, err, directory.ErrUnavailable, c.text)
				a := &directory.Account{Directory: directorytest.Directory, DN: slapdtest.PersonDN("alice")}
				wantError(t, s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")), directory.ErrUnavailable, c.text)
			}
			if strings.Contains(c.server.Log(), "BIND") {
				t.Error("a password was sent")
			}
		})
	}
}

func TestStartTLSThatIsRefusedIsNotGivenUp(t *testing.T) {
	plain := slapdtest.Start(t, slapdtest.Options{}) // knows no StartTLS, as if somebody had stripped it
	c := over(plain)
	c.StartTLS, c.RootCAs = true, plain.CAPool()
	s := open(t, newClock(), c)
	_, err := s.Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "StartTLS")
	a := &directory.Account{Directory: directorytest.Directory, DN: slapdtest.PersonDN("alice")}
	wantError(t, s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")), directory.ErrUnavailable, "StartTLS")
	wantError(t, s.Health(soon(t, patience))[c.Name], directory.ErrUnavailable, "StartTLS")
	if log := plain.Log(); strings.Contains(log, "BIND") || strings.Contains(log, "SRCH") {
		t.Errorf("something was sent in clear text:\n%s", log)
	}
}

func TestStartTLSThatEndsInClearTextIsRefused(t *testing.T) {
	// A server that agrees to StartTLS and then speaks on without: what follows is no handshake.
	agreed := []byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00}
	l := listen(t, func(c net.Conn) {
		request := make([]byte, 4096)
		for {
			if _, err := c.Read(request); err != nil {
				return
			}
			if _, err := c.Write(agreed); err != nil {
				return
			}
		}
	})
	c := directorytest.Base()
	c.URLs, c.StartTLS = []string{"ldap://" + l}, true
	_, err := open(t, newClock(), c).Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "StartTLS")
}

func TestFindMovesToTheNextServerAndBack(t *testing.T) {
	first, second := slapdtest.Start(t, slapdtest.Options{}), slapdtest.Start(t, slapdtest.Options{})
	second.Modify("dn: " + slapdtest.PersonDN("alice") + "\nchangetype: modify\nreplace: displayName\ndisplayName: Second\n")
	now := newClock()
	s := open(t, now, over(first, second))
	expect := func(want string) {
		t.Helper()
		a := mustFind(t, s, "alice")
		if a.FullName != want {
			t.Errorf("answered by the server of %q, want %q", a.FullName, want)
		}
		if err := s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")); err != nil {
			t.Error(err)
		}
	}
	expect("Alice")
	first.Stop()
	expect("Second")
	first.Start()
	expect("Second")
	now.Advance(10 * time.Minute) // long enough for the connection to be replaced
	expect("Alice")
	second.Stop()
	expect("Alice")
	first.Stop()
	_, err := s.Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "")
	wantError(t, s.Health(soon(t, patience))[directorytest.Directory], directory.ErrUnavailable, "")
	second.Start()
	expect("Second") // although it failed a moment ago: there is no other
}

func TestFindSurvivesARestartWithinOneRequest(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	s := open(t, newClock(), over(server))
	for range 3 {
		a := mustFind(t, s, "alice")
		if err := s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")); err != nil {
			t.Fatal(err)
		}
		server.Stop()
		server.Start()
	}
	mustFind(t, s, "alice")
}

func TestFrozenServerIsUnavailableWithinTheDeadline(t *testing.T) {
	frozen, good := slapdtest.Start(t, slapdtest.Options{}), slapdtest.Start(t, slapdtest.Options{})
	slow, fine := over(frozen), over(good)
	slow.Timeout = 300 * time.Millisecond
	fine.Name, fine.Realms = "fine", []string{"fine.example"}
	s := open(t, newClock(), fine, slow)
	a := mustFind(t, s, `corp\alice`) // a connection that is in use when the server freezes
	frozen.Freeze()
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			ctx := soon(t, patience)
			switch i % 3 {
			case 0:
				_, err := s.Find(ctx, fmt.Sprintf(`corp\alice%d`, i), nil)
				wantError(t, err, directory.ErrUnavailable, "")
			case 1:
				wantError(t, s.Authenticate(ctx, a, slapdtest.Password("alice")), directory.ErrUnavailable, "")
			case 2:
				if _, err := s.Find(ctx, "alice", nil); err != nil {
					t.Errorf("the other directory: %v", err)
				}
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("waited longer than Timeout: %v", err)
			}
		})
	}
	all.Wait()
	health := s.Health(soon(t, patience))
	wantError(t, health["corp"], directory.ErrUnavailable, "")
	if health["fine"] != nil {
		t.Error(health["fine"])
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // less than Timeout
	defer cancel()
	_, err := s.Find(short, `corp\alice`, nil)
	wantError(t, err, directory.ErrUnavailable, "")
	frozen.Thaw()
	eventually(t, func() bool { _, err := s.Find(soon(t, patience), `corp\alice`, nil); return err == nil })
	eventually(t, func() bool { return s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")) == nil })
}

func TestFrozenServerIsLeftForTheNextOneWithinOneRequest(t *testing.T) {
	frozen, good := slapdtest.Start(t, slapdtest.Options{}), slapdtest.Start(t, slapdtest.Options{})
	c := over(frozen, good)
	c.Timeout = 3 * time.Second
	s := open(t, newClock(), c)
	a := mustFind(t, s, "alice")
	frozen.Freeze()
	mustFind(t, s, "alice")
	if err := s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")); err != nil {
		t.Error(err)
	}
}

func TestEveryOctetOfAPasswordCounts(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	s := open(t, newClock(), over(server))
	a := mustFind(t, s, "carol")
	all := make([]byte, 0, 255)
	for octet := 1; octet < 256; octet++ {
		all = append(all, byte(octet))
	}
	for _, password := range []string{string(all), "a\x00b", "\xff\xfe", "päss wörd", "p\u0308", "*)(&", `\2a`, " ", "%s%n", strings.Repeat("x", 4000)} {
		server.SetPassword(a.DN, []byte(password))
		if err := s.Authenticate(soon(t, patience), a, password); err != nil { // at once: nothing is remembered
			t.Errorf("%q: %v", password, err)
		}
		for _, wrong := range []string{password + "x", password + "\x00", "x" + password[1:], slapdtest.Password("carol")} {
			if wrong != password {
				wantError(t, s.Authenticate(soon(t, patience), a, wrong), directory.ErrPasswordWrong, "")
			}
		}
	}
}

func TestEmptyPasswordNeverReachesABind(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	s := open(t, newClock(), over(server))
	a := mustFind(t, s, "alice")
	bind := `BIND dn="` + a.DN
	for _, empty := range []string{"", "\x00", "\x00secret"} {
		wantError(t, s.Authenticate(soon(t, patience), a, empty), directory.ErrPasswordEmpty, "")
	}
	anonymous := &directory.Account{Directory: a.Directory}
	wantError(t, s.Authenticate(soon(t, patience), anonymous, "secret"), directory.ErrPasswordWrong, "")
	if log := server.Log(); strings.Contains(log, bind) || strings.Contains(log, `BIND dn=""`) {
		t.Errorf("the server saw it:\n%s", log)
	}
	// The server would have said yes, and the log would have told.
	c, err := ldap.DialURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.UnauthenticatedBind(a.DN); err != nil || !strings.Contains(server.Log(), bind) {
		t.Errorf("the server is not as careless as this test needs it: %v", err)
	}
}

func TestOnlyWhatIsNeededIsAskedFor(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.Groups = false
	mustFind(t, open(t, newClock(), c), "alice@corp.example")
	log := server.Log()
	for _, want := range []string{
		`filter="(|(uid=alice)(uid=alice@corp.example))"`,
		`SRCH attr=entryUUID cn displayName preferredLanguage pwdAccountLockedTime uid mail`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
}

func TestEntryWithoutIDIsNoAccount(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{Database: "access to attrs=entryUUID by * none"})
	s := open(t, newClock(), over(server))
	_, err := s.Find(soon(t, patience), "alice", nil)
	// It is what the log has of such logins, so it says what is wrong, with whom, and what to do.
	wantError(t, err, directory.ErrUnavailable, `"uid=alice,ou=people,dc=corp,dc=example" has no entryUUID, or the searcher may not read it: `+
		"let bind_dn read it (RFC 4530); accounts of a directory without it, such as Active Directory, cannot be used")
}

func TestWrongSearcherAndWrongBaseAreSaid(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	c := over(server)
	c.BindPassword = "not-the-secret"
	_, err := open(t, newClock(), c).Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "bind_dn or its password refused")
	if strings.Contains(fmt.Sprint(err), c.BindPassword) {
		t.Errorf("the password is in the error: %v", err)
	}
	c = over(server)
	c.BaseDN = "dc=elsewhere"
	s := open(t, newClock(), c)
	_, err = s.Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, `base "dc=elsewhere" does not exist`)
	wantError(t, s.Health(soon(t, patience))[c.Name], directory.ErrUnavailable, `base "dc=elsewhere" does not exist`)
}

func TestServerThatSendsNonsenseIsUnavailable(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing, and closes": "", "text": "HTTP/1.1 400 Bad Request\r\n\r\n",
		"an empty sequence": "\x30\x00", "a message without an answer": "\x30\x03\x02\x01\x01",
		"an answer that is no result":     "\x30\x05\x02\x01\x01\x65\x00",
		"another message":                 "\x30\x0c\x02\x01\x63\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
		"a result code of the wrong type": "\x30\x0c\x02\x01\x01\x65\x07\x04\x01\x00\x04\x00\x04\x00",
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
			})
			c := directorytest.Base()
			c.URLs, c.Timeout = []string{"ldap://" + address}, time.Second
			s := open(t, newClock(), c)
			_, err := s.Find(soon(t, patience), "alice", nil)
			wantError(t, err, directory.ErrUnavailable, "")
			a := &directory.Account{Directory: c.Name, DN: slapdtest.PersonDN("alice")}
			wantError(t, s.Authenticate(soon(t, patience), a, "secret"), directory.ErrUnavailable, "")
		})
	}
}

func TestFewConnectionsCarryManySearches(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	s := open(t, newClock(), over(server))
	var all sync.WaitGroup
	var found atomic.Int64
	for i := range 512 {
		all.Go(func() {
			if _, err := s.Find(soon(t, patience), []string{"alice", "bob", "carol", "dave"}[i%4], nil); err == nil {
				found.Add(1)
			}
		})
	}
	all.Wait()
	if found.Load() != 512 {
		t.Errorf("%d of 512 found", found.Load())
	}
	// One is slapdtest's, which looked whether the server listens.
	if connections := strings.Count(server.Log(), "ACCEPT from"); connections > 3 {
		t.Errorf("%d connections", connections)
	}
}

// listen accepts connections on a free port and serves each until serve returns.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// eventually polls until a condition holds.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came true")
		}
	}
}
