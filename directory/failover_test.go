package directory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/directory/directorytest"
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

// A relay stands between a node and its directory, which counts connections.
type relay struct {
	address     string
	connections atomic.Int64
	closed      atomic.Bool // to new connections: they are taken, and nothing is carried
	held        atomic.Bool // nothing is carried back
}

func relayTo(t *testing.T, server *slapdtest.Server) *relay {
	t.Helper()
	r := &relay{}
	r.address = listen(t, func(client net.Conn) {
		r.connections.Add(1)
		if r.closed.Load() {
			_, _ = io.Copy(io.Discard, client)
			return
		}
		upstream, err := net.Dial("tcp", server.Addr())
		if err != nil {
			return
		}
		defer upstream.Close()
		go func() { _, _ = io.Copy(upstream, client) }()
		for answer := make([]byte, 64<<10); ; {
			n, err := upstream.Read(answer)
			if err != nil {
				return
			}
			eventually(t, func() bool { return !r.held.Load() })
			if _, err := client.Write(answer[:n]); err != nil {
				return
			}
		}
	})
	return r
}

// config is that of a directory behind the relay, which is asked every time.
func (r *relay) config(timeout time.Duration) directory.Config {
	c := directorytest.Base()
	c.BindDN, c.BindPassword, c.URLs = slapdtest.ServiceDN, slapdtest.ServicePassword, []string{"ldap://" + r.address}
	c.Fresh, c.Stale, c.Timeout = 0, 0, timeout
	return c
}

// askBeside asks for somebody beside the test. The channel gets what became of it.
func askBeside(t *testing.T, s *directory.Set) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := s.FindID(t.Context(), "nobody's")
		ended <- err
	}()
	return ended
}

// stillAsks fails the test when that is over.
func stillAsks(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		t.Fatalf("nobody has connected meanwhile: %v", err)
	default:
	}
}

// TestAGoodConnectionStaysWhileThereIsNoOther: one that has lived long enough is used until the next one is there.
func TestAGoodConnectionStaysWhileThereIsNoOther(t *testing.T) {
	r, now := relayTo(t, slapdtest.Start(t, slapdtest.Options{})), newClock()
	c := r.config(8 * time.Second)
	c.Groups = false
	s := open(t, now, c)
	everybody := func(connections int64) {
		t.Helper()
		for range 2 * searchConnections {
			mustFind(t, s, "alice")
		}
		if got := r.connections.Load(); got != connections {
			t.Errorf("%d connections, want %d", got, connections)
		}
	}
	everybody(searchConnections)
	r.closed.Store(true)
	now.Advance(10 * time.Minute)
	everybody(2 * searchConnections) // each is tried once
	everybody(2 * searchConnections) // and not at once again
	r.closed.Store(false)
	now.Advance(10 * time.Minute)
	everybody(3 * searchConnections)
}

// TestOldConnectionsAreReplacedOneByOne: while one waits for its successor, the other is used, however old it is.
func TestOldConnectionsAreReplacedOneByOne(t *testing.T) {
	r, now := relayTo(t, slapdtest.Start(t, slapdtest.Options{})), newClock()
	c := r.config(2 * patience) // whose half is how long the next one is waited for
	c.Groups = false
	s := open(t, now, c)
	for range searchConnections {
		mustFind(t, s, "alice")
	}
	r.closed.Store(true)
	now.Advance(10 * time.Minute)
	ended := askBeside(t, s)
	eventually(t, func() bool { return r.connections.Load() == searchConnections+1 })
	for range 2 * searchConnections {
		mustFind(t, s, "alice")
	}
	stillAsks(t, ended)
	if got := r.connections.Load(); got != searchConnections+1 {
		t.Errorf("%d connections", got)
	}
	_ = s.Close()
	<-ended
}

// TestWhoConnectsHoldsUpNobodyElse: there is another connection, which works.
func TestWhoConnectsHoldsUpNobodyElse(t *testing.T) {
	r := relayTo(t, slapdtest.Start(t, slapdtest.Options{}))
	c := r.config(patience)
	c.Groups = false
	s := open(t, newClock(), c)
	mustFind(t, s, "alice")
	r.closed.Store(true)
	ended := askBeside(t, s)
	eventually(t, func() bool { return r.connections.Load() == 2 })
	for range 2 * searchConnections {
		mustFind(t, s, "alice")
	}
	stillAsks(t, ended)
	_ = s.Close()
	<-ended
}

// TestWhoHangsUpTakesNoConnectionFromTheOthers.
func TestWhoHangsUpTakesNoConnectionFromTheOthers(t *testing.T) {
	r := relayTo(t, slapdtest.Start(t, slapdtest.Options{}))
	s := open(t, newClock(), r.config(patience))
	for range searchConnections {
		mustFind(t, s, "alice")
	}
	r.held.Store(true)
	for range 2 * searchConnections {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := s.FindMail(ctx, "alice@corp.example"); !errors.Is(err, context.Canceled) {
			t.Errorf("who hung up: %v", err)
		}
	}
	r.held.Store(false)
	for range 2 * searchConnections {
		mustFind(t, s, "alice")
	}
	if got := r.connections.Load(); got != searchConnections {
		t.Errorf("%d connections", got)
	}
}

// TestABusyServerIsSaidToBeBusy, and has no more to do because of that: many are not asked for one by one.
func TestABusyServerIsSaidToBeBusy(t *testing.T) {
	var searches atomic.Int64
	c := directorytest.Base()
	c.URLs = []string{"ldap://" + listen(t, func(conn net.Conn) {
		for {
			id, operation, err := readLDAP(conn)
			if err != nil {
				return
			}
			answer := []byte{0x30, 12, 2, 1, id, operation + 1, 7, 10, 1, 0, 4, 0, 4, 0}
			if operation == 0x63 { // a search; its end is two more (RFC 4511 section 4.5.2)
				searches.Add(1)
				answer[5], answer[9] = 0x65, 51
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})}
	c.BindDN, c.BindPassword, c.Groups = slapdtest.ServiceDN, slapdtest.ServicePassword, false
	c.Timeout = patience
	s, box := open(t, newClock(), c), make(mailbox, 100)
	_, err := s.Find(soon(t, patience), "alice", nil)
	wantError(t, err, directory.ErrUnavailable, "Busy")
	wantError(t, s.Authenticate(soon(t, patience), &directory.Account{Directory: c.Name, DN: "uid=alice"}, "x"), nil, "")
	names := make([]string, 20)
	for i := range names {
		names[i] = fmt.Sprint("person", i)
	}
	before := searches.Load()
	for range 3 {
		s.FindAll(t.Context(), questions(patience, names...), box)
		for of, a := range box.collect(t, len(names)) {
			if !errors.Is(a.Err, directory.ErrUnavailable) {
				t.Errorf("%v: %v", of, a.Err)
			}
		}
	}
	if got := searches.Load() - before; got > 3*4 {
		t.Errorf("%d searches for %d questions, asked three times", got, len(names))
	}
}

// readLDAP reads a message, and returns its number, below 128, and the tag of what it is (RFC 4511 section 4.1.1).
func readLDAP(conn net.Conn) (id, operation byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return 0, 0, err
	}
	length := int(head[1])
	if length > 0x80 {
		octets := make([]byte, length-0x80)
		if _, err := io.ReadFull(conn, octets); err != nil {
			return 0, 0, err
		}
		length = 0
		for _, o := range octets {
			length = length<<8 | int(o)
		}
	}
	message := make([]byte, length)
	if _, err := io.ReadFull(conn, message); err != nil {
		return 0, 0, err
	}
	return message[2], message[3], nil
}
