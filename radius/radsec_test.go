package radius

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
	"otpgate/radius/radsec/radsectest"
)

// encrypted is a world that is served over TLS too. Its first client is known by nas1.example and
// nas2.example, and has no network.
func encrypted(t testing.TB, change ...func(*Options, *world)) (*world, *radsectest.Authority) {
	t.Helper()
	ca, err := radsectest.New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Pair(radsectest.Server())
	if err != nil {
		t.Fatal(err)
	}
	pool := ca.Pool()
	w := newWorld(t, append([]func(*Options, *world){func(o *Options, _ *world) {
		o.RadSec = &RadSec{
			Listen:      []string{"127.0.0.1:0"},
			Certificate: func() (*tls.Certificate, error) { return &server, nil },
			ClientCAs:   func() (*x509.CertPool, error) { return pool, nil },
		}
		o.Clients = append([]Client{
			{Name: "tls", CertificateNames: []string{"NAS1.example", "nas2.example"}, MPPE: true},
			{Name: "second", CertificateNames: []string{"nas3.example"}, Login: LoginPasswordThenCode},
		}, testClients()...)
	}}, change...)...)
	w.serve(t)
	return w, ca
}

// line is a connection of a gateway.
type line struct {
	*tls.Conn
	t testing.TB
}

// dialTLS connects with a certificate for these names.
func (w *world) dialTLS(t testing.TB, ca *radsectest.Authority, names ...string) line {
	t.Helper()
	certificate, err := ca.Pair(radsectest.Client(names...))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", w.radsec.Addrs()[0].String(), &tls.Config{
		RootCAs: ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{certificate},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(radiustest.Patience))
	return line{conn, t}
}

func (l line) send(packets ...[]byte) {
	l.t.Helper()
	if _, err := l.Write(slices.Concat(packets...)); err != nil {
		l.t.Fatal(err)
	}
}

// answered reads one reply, which must be right.
func (l line) answered(packet []byte) probe.Reply {
	l.t.Helper()
	b := make([]byte, headerLength)
	if _, err := io.ReadFull(l, b); err != nil {
		l.t.Fatal(err)
	}
	b = append(b, make([]byte, int(binary.BigEndian.Uint16(b[2:]))-len(b))...)
	if _, err := io.ReadFull(l, b[headerLength:]); err != nil {
		l.t.Fatal(err)
	}
	r, err := probe.Check(packet, b, radsecSecret)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l line) exchange(packet []byte) probe.Reply {
	l.t.Helper()
	l.send(packet)
	return l.answered(packet)
}

// ends holds that the server ends the connection without another octet.
func (l line) ends() {
	l.t.Helper()
	n, err := l.Read(make([]byte, 1))
	if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Errorf("%d octets, %v: the connection is open", n, err)
	}
	l.Close()
}

func loginTLS(name, typed string) *probe.Request {
	return probe.Login(radsecSecret, name, typed)
}

func reportTLS(status uint32, name string) []byte {
	q := accounting(status, name)
	q.Secret = []byte(radsecSecret)
	return stamped(q)
}

func statusTLS() []byte { return probe.NewRequest(probe.StatusServer, radsecSecret).Signed().Octets() }

// TestAllOverOneConnection: logins, refusals that wait, accounting and Status-Server.
func TestAllOverOneConnection(t *testing.T) {
	const delay = time.Second
	w, ca := encrypted(t, func(o *Options, _ *world) { o.RejectDelay, o.Sessions = delay, &fakeSessions{} })
	l := w.dialTLS(t, ca, "nas1.example")
	if r := l.exchange(statusTLS()); !r.Is(probe.AccessAccept) {
		t.Errorf("Status-Server: code %d", r.Code)
	}
	start := time.Now()
	identified := func(q *probe.Request, id byte) []byte {
		q.Identifier = id
		return q.Octets()
	}
	wrong, right := identified(loginTLS("alice", "000000"), 1), identified(loginTLS("alice", testCode).Add(33, "p"), 2)
	q := accounting(1, "alice")
	q.Secret, q.Identifier = []byte(radsecSecret), 3
	started := stamped(q)
	l.send(wrong, right, started)
	want := map[byte]byte{2: probe.AccessAccept, 3: accountingResponse}
	for range 2 {
		b := make([]byte, 4096)
		n, err := io.ReadAtLeast(l, b, headerLength)
		if err != nil {
			t.Fatal(err)
		}
		for b = b[:n]; len(b) > 0; b = b[binary.BigEndian.Uint16(b[2:]):] {
			if want[b[1]] != b[0] {
				t.Errorf("packet %d is answered with code %d", b[1], b[0])
			}
			delete(want, b[1])
		}
		if len(want) == 0 {
			break
		}
	}
	if r := l.answered(wrong); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
	if waited := time.Since(start); waited < delay {
		t.Errorf("refused after %v", waited)
	}
	if r := l.exchange(wrong); !r.Is(probe.AccessReject) { // the duplicate of a packet that was answered does not wait
		t.Errorf("code %d", r.Code)
	}
	if r := l.exchange(right); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	if n := len(w.trail.all()); n != 3 {
		t.Errorf("%d recorded", n)
	}
	unsigned := loginTLS("carol", testCode).Without(maType).Add(33, "p").Octets() // TLS has said whose it is
	if r := l.exchange(unsigned); !r.Is(probe.AccessAccept) {
		t.Errorf("without Message-Authenticator: code %d", r.Code)
	}
	e := w.trail.all()[0]
	if e.Client != "tls" || !strings.HasPrefix(e.Source, "127.0.0.1") {
		t.Errorf("event %+v", e)
	}
	if got := testutil.ToFloat64(w.metrics.receivedTLS); got != 7 {
		t.Errorf("%v received over TLS", got)
	}
	eventually(t, "nothing is under way", func() bool { return w.slots.Load() == 0 && w.reporting.Load() == 0 })
}

// TestKeysAreHiddenWithTheSecretOfRadSec, which is what both sides have there (RFC 6614 section 2.3).
func TestKeysAreHiddenWithTheSecretOfRadSec(t *testing.T) {
	w, ca := encrypted(t)
	p := newPeer(t, "alice", testCode)
	q := p.add(probe.NewRequest(probe.AccessRequest, radsecSecret).Add(probe.UserName, "alice"))
	r := w.dialTLS(t, ca, "nas2.example").exchange(q.Octets())
	send, receive := p.keys()
	if !bytes.Equal(unhidden(t, microsoftValue(r, msMPPESendKey), radsecSecret, q.Authenticator), send) ||
		!bytes.Equal(unhidden(t, microsoftValue(r, msMPPERecvKey), radsecSecret, q.Authenticator), receive) ||
		!bytes.Equal(microsoftValue(r, msCHAP2Success), p.success()) {
		t.Errorf("%s: attributes %v", w.trail.last(t), r.Attributes)
	}
}

// TestAChallengeOverTLS: the State is the client's, and not the connection's.
func TestAChallengeOverTLS(t *testing.T) {
	w, ca := encrypted(t)
	first := w.dialTLS(t, ca, "nas3.example").exchange(loginTLS("alice", "geheim").Octets())
	state := value(first, probe.State)
	if !first.Is(accessChallenge) || state == "" {
		t.Fatalf("code %d", first.Code)
	}
	if r := w.dialTLS(t, ca, "nas1.example").exchange(loginTLS("alice", testCode).Add(probe.State, state).Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("from another client: code %d", r.Code)
	}
	if r := w.dialTLS(t, ca, "nas3.example").exchange(loginTLS("alice", testCode).Add(probe.State, state).Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d, %s", r.Code, w.trail.last(t))
	}
}

// TestWhoseCertificateItIs: one client's, or it is nobody's.
func TestWhoseCertificateItIs(t *testing.T) {
	w, ca := encrypted(t)
	stranger, err := radsectest.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		names  []string
		client string // "": refused
	}{
		{"a name", []string{"nas1.example"}, "tls"},
		{"in other letters", []string{"Nas1.Example"}, "tls"},
		{"two names of one client", []string{"nas1.example", "nas2.example"}, "tls"},
		{"a name and others", []string{"nas3.example", "www.example"}, "second"},
		{"nobody's", []string{"nas4.example"}, ""},
		{"none", nil, ""},
		{"of a network's client", []string{"vpn"}, ""},
		{"two clients'", []string{"nas1.example", "nas3.example"}, ""},
		{"a wildcard", []string{"*.example"}, ""},
	} {
		l := w.dialTLS(t, ca, c.names...)
		if c.client == "" {
			l.ends()
			continue
		}
		if r := l.exchange(loginTLS("mallory", testCode).Octets()); !r.Is(probe.AccessReject) {
			t.Errorf("%s: code %d", c.name, r.Code)
		}
		if all := w.trail.all(); all[len(all)-1].Client != c.client {
			t.Errorf("%s: client %s", c.name, all[len(all)-1].Client)
		}
	}
	certificate, err := stranger.Pair(radsectest.Client("nas1.example"))
	if err != nil {
		t.Fatal(err)
	}
	before := len(w.trail.all())
	conn, err := tls.Dial("tcp", w.radsec.Addrs()[0].String(), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{certificate}})
	if err == nil { // TLS 1.3 says so with the first read
		_ = conn.SetDeadline(time.Now().Add(radiustest.Patience))
		line{conn, t}.ends()
	}
	udp := radiustest.Dial(t, w.Addrs()[0].String(), radsecSecret)
	udp.Send(udp.Login("alice", testCode).Octets()) // what protects nothing there
	udp.Silent(50 * time.Millisecond)
	if n := len(w.trail.all()); n != before {
		t.Errorf("%d attempts of strangers", n-before)
	}
}

// TestAClientThatIsTakenAwayLosesItsConnections, and no other does.
func TestAClientThatIsTakenAwayLosesItsConnections(t *testing.T) {
	w, ca := encrypted(t)
	gone, stays := w.dialTLS(t, ca, "nas1.example"), w.dialTLS(t, ca, "nas3.example")
	gone.exchange(statusTLS())
	stays.exchange(statusTLS())
	if err := w.SetClients(slices.Clone(w.options.Clients)[1:]); err != nil {
		t.Fatal(err)
	}
	gone.ends()
	if r := stays.exchange(statusTLS()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	w.dialTLS(t, ca, "nas1.example").ends()
}

// TestWhatBreaksAConnection (RFC 6613 section 2.6.4), and what is only thrown away.
func TestWhatBreaksAConnection(t *testing.T) {
	w, ca := encrypted(t, func(o *Options, _ *world) { o.Sessions = &fakeSessions{} })
	good := loginTLS("alice", testCode).Octets()
	for _, c := range []struct {
		name   string
		packet []byte
		ends   bool
	}{
		{"a wrong Message-Authenticator", probe.Flip(good, 22*8), true},
		{"another secret", probe.Login("other", "alice", testCode).Octets(), true},
		{"a short Message-Authenticator", loginTLS("alice", testCode).Without(maType).Add(maType, "x").Octets(), true},
		{"attributes that do not fit", overwrite(good, 21, 255), true},
		{"an attribute without length", overwrite(good, 21, 0), true},
		{"a wrong Request Authenticator", probe.Flip(reportTLS(1, "alice"), 5*8), true},
		{"a Length below a header", overwrite(good, 2, 0, 19), true},
		{"a code that is none", overwrite(good, 0, 99), false},
		{"Status-Server without Message-Authenticator", probe.NewRequest(probe.StatusServer, radsecSecret).Octets(), false},
		{"EAP without Message-Authenticator", loginTLS("alice", testCode).Without(maType).Add(79, "x").Octets(), false},
		{"a report without a status", stamped(func() *probe.Request {
			q := accounting(1, "alice").Without(40)
			q.Secret = []byte(radsecSecret)
			return q
		}()), false},
	} {
		l := w.dialTLS(t, ca, "nas1.example")
		before := statusTLS()
		l.send(before, c.packet)
		l.answered(before)
		if c.ends {
			l.ends()
			continue
		}
		if r := l.exchange(statusTLS()); !r.Is(probe.AccessAccept) {
			t.Errorf("%s: code %d", c.name, r.Code)
		}
	}
	if n := len(w.trail.all()); n != 0 {
		t.Errorf("%d attempts", n)
	}
}

// TestShutdownLetsAnswersOutOverTLS: a refusal that waits, and what is being worked on.
func TestShutdownLetsAnswersOutOverTLS(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w, ca := encrypted(t, func(o *Options, w *world) {
		o.RejectDelay = 400 * time.Millisecond
		w.accounts.find = func(context.Context, string) {
			close(entered)
			<-release
		}
	})
	l := w.dialTLS(t, ca, "nas1.example")
	wrong, slow := loginTLS("alice", "000000"), loginTLS("carol", testCode)
	wrong.Identifier, slow.Identifier = 1, 2
	l.send(wrong.Octets(), slow.Octets())
	<-entered
	eventually(t, "the refusal waits", func() bool { return w.refusals.Len() == 1 })
	done := make(chan error, 1)
	go func() { done <- w.Shutdown(context.Background()) }()
	<-w.closing
	if conn, err := net.Dial("tcp", w.radsec.Addrs()[0].String()); err == nil {
		conn.Close() // it may have been a moment earlier than the listener was closed
	}
	if r := l.answered(wrong.Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("code %d", r.Code)
	}
	select {
	case err := <-done:
		t.Fatalf("shutdown did not wait: %v", err)
	default:
	}
	close(release)
	if r := l.answered(slow.Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("code %d", r.Code)
	}
	l.ends()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestShutdownWhileConnectionsTalk: nothing that was read is lost, and nothing is left running.
func TestShutdownWhileConnectionsTalk(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("serve", func(t *testing.T) {
		w, ca := encrypted(t)
		for range 8 {
			l := w.dialTLS(t, ca, "nas1.example")
			go func() {
				for id := byte(0); ; id++ {
					q := loginTLS("alice", "000000")
					q.Identifier = id
					if _, err := l.Write(q.Octets()); err != nil {
						return
					}
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, l) }()
		}
		eventually(t, "they talk", func() bool { return len(w.trail.all()) > 100 })
		if err := w.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if w.slots.Load() != 0 || w.refusals.Len() != 0 {
			t.Errorf("%d slots taken, %d refusals wait", w.slots.Load(), w.refusals.Len())
		}
	})
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// TestARadSecThatCannotBeLeavesNothingBehind: the UDP sockets are free again.
func TestARadSecThatCannotBeLeavesNothingBehind(t *testing.T) {
	w, ca := encrypted(t)
	w.dialTLS(t, ca, "nas1.example").exchange(statusTLS())
	o := w.options
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Listen, o.Registerer = []string{free.LocalAddr().String()}, nil
	free.Close()
	broken := *o.RadSec
	o.RadSec = &broken
	broken.Listen = []string{w.radsec.Addrs()[0].String()} // taken
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("%v", err)
	}
	again, err := net.ListenPacket("udp4", o.Listen[0])
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
