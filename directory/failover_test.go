package directory_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

func TestConnectionThatDiesWithTheRequestIsReplaced(t *testing.T) {
	server := slapdtest.Start(t, slapdtest.Options{})
	// Between the two stands a firewall that forgets the connections that it has: it cuts each when
	// the next request comes, so that nobody can know before.
	var forgotten, connections atomic.Int64 // the connections up to this number are forgotten
	address := listen(t, func(client net.Conn) {
		number := connections.Add(1)
		upstream, err := net.Dial("tcp", server.Addr())
		if err != nil {
			return
		}
		defer upstream.Close()
		go func() {
			defer client.Close()
			_, _ = io.Copy(client, upstream)
		}()
		request := make([]byte, 64<<10)
		for {
			n, err := client.Read(request)
			if err != nil || number <= forgotten.Load() {
				return
			}
			if _, err := upstream.Write(request[:n]); err != nil {
				return
			}
		}
	})
	c := over(server)
	c.URLs = []string{"ldap://" + address}
	s := open(t, newClock(), c)
	for range 3 {
		forgotten.Store(connections.Load())
		for range 2 { // a look-up on each of the shared connections, and a password check
			a := mustFind(t, s, "carol")
			if err := s.Authenticate(soon(t, patience), a, slapdtest.Password("carol")); err != nil {
				t.Error(err)
			}
		}
	}
	if got := connections.Load(); got != 9 {
		t.Errorf("%d connections, want three for each time that they were forgotten", got)
	}
}

func TestServerThatFailedIsTriedLastForAWhile(t *testing.T) {
	good := slapdtest.Start(t, slapdtest.Options{})
	var asked atomic.Int64
	hanging := listen(t, func(c net.Conn) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, c)
	})
	c := over(good)
	c.URLs, c.Timeout = []string{"ldap://" + hanging, good.URL()}, 3*time.Second
	now := newClock()
	s := open(t, now, c)
	everything := func() {
		t.Helper()
		for range 3 {
			a := mustFind(t, s, "alice")
			if err := s.Authenticate(soon(t, patience), a, slapdtest.Password("alice")); err != nil {
				t.Error(err)
			}
		}
	}
	everything()
	if got := asked.Load(); got != 1 {
		t.Errorf("the hanging server was asked %d times, want once", got)
	}
	now.Advance(10 * time.Minute)
	everything()
	if got := asked.Load(); got != 2 {
		t.Errorf("the hanging server was asked %d times, want once more", got)
	}
	// The same when it hangs in a bind or a search, rather than while the connection is made.
	for i, busy := range []func(*directory.Set) error{
		func(s *directory.Set) error {
			a := &directory.Account{Directory: c.Name, DN: slapdtest.PersonDN("alice")}
			return s.Authenticate(soon(t, patience), a, slapdtest.Password("alice"))
		},
		func(s *directory.Set) error {
			_, err := s.Find(soon(t, patience), "alice", nil)
			return err
		},
	} {
		anonymous := c
		anonymous.BindDN, anonymous.BindPassword, anonymous.Timeout = "", "", 2*time.Second
		s := open(t, newClock(), anonymous)
		for range 3 {
			_ = busy(s) // an anonymous search finds nothing
		}
		if got := asked.Load(); got != int64(3+i) {
			t.Errorf("the hanging server was asked %d times, want %d", got, 3+i)
		}
	}
}
