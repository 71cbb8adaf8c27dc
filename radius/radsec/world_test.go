package radsec

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/radsec/radsectest"
)

// testPatience is how long something is waited for that must come.
const testPatience = 20 * time.Second

// moment is what a test waits to see that nothing happens.
const moment = 150 * time.Millisecond

// hand is the handler: it keeps what it got, and does with it what the test wants.
type hand struct {
	work func(c *Conn, packets [][]byte) // nil: send each back
	gone *atomic.Bool                    // no client has any certificate

	mu    sync.Mutex
	got   [][]byte
	conns []*Conn
}

func (h *hand) Identify(c *x509.Certificate) bool {
	return !h.gone.Load() && Match(Names(c), "NAS.example")
}

func (h *hand) Receive(c *Conn, packets [][]byte) {
	h.mu.Lock()
	h.got = append(h.got, packets...)
	h.conns = append(h.conns, c)
	h.mu.Unlock()
	if h.work != nil {
		h.work(c, packets)
		return
	}
	for _, p := range packets {
		c.Send(p)
	}
	c.Done(len(packets))
}

// hold is work that leaves all packets undone.
func hold(*Conn, [][]byte) {}

func (h *hand) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func (h *hand) last(t *testing.T) *Conn {
	t.Helper()
	waitUntil(t, "a packet", func() bool { return h.count() > 0 })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[len(h.conns)-1]
}

// logText is a log that can be read while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func textLogger(l *logText) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// world is a server with an authority and a handler.
type world struct {
	*Server
	t       *testing.T
	ca      *radsectest.Authority
	roots   atomic.Pointer[x509.CertPool] // what ClientCAs returns
	ahead   atomic.Int64                  // how much later it is for the server
	unknown atomic.Bool                   // no client has any certificate
	hand    *hand
	log     logText
	done    chan error // what Serve returned
}

func newWorld(t *testing.T, change ...func(*Options, *world)) *world {
	t.Helper()
	w := &world{t: t, ca: newAuthority(t), done: make(chan error, 1)}
	w.hand = &hand{gone: &w.unknown}
	w.roots.Store(w.ca.Pool())
	server := w.pair(radsectest.Server())
	o := Options{
		Listen:      []string{"127.0.0.1:0"},
		Certificate: func() (*tls.Certificate, error) { return &server, nil },
		ClientCAs:   func() (*x509.CertPool, error) { return w.roots.Load(), nil },
		Handler:     w.hand,
		Logger:      textLogger(&w.log),
		Registerer:  prometheus.NewRegistry(),
		Now:         func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	}
	for _, c := range change {
		c(&o, w)
	}
	var err error
	if w.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	go func() { w.done <- w.Serve() }()
	t.Cleanup(w.end)
	waitUntil(t, "Serve", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.serving
	})
	return w
}

// end shuts down, and holds the sums.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), moment)
	defer cancel()
	err := w.Shutdown(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		w.t.Error(err)
	}
	if err := <-w.done; err != nil {
		w.t.Error("Serve:", err)
	}
	closed := 0.
	for e := range endings {
		closed += testutil.ToFloat64(w.metrics.closed[e])
	}
	if n := testutil.ToFloat64(w.metrics.came[accepted]); n != closed {
		w.t.Errorf("%v connections were accepted and %v ended", n, closed)
	}
	if a := w.admission; a.total+a.crowded+a.unknown.Len()+len(a.addresses)+len(a.certificates) != 0 {
		w.t.Errorf("something is left: %+v", a)
	}
}

func newAuthority(t *testing.T) *radsectest.Authority {
	t.Helper()
	a, err := radsectest.New("RadSec test CA")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) pair(l radsectest.Leaf) tls.Certificate {
	w.t.Helper()
	return pairOf(w.t, w.ca, l)
}

func pairOf(t *testing.T, a *radsectest.Authority, l radsectest.Leaf) tls.Certificate {
	t.Helper()
	c, err := a.Pair(l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) address() string { return w.Addrs()[0].String() }

// config is a client's: with a certificate for nas.example, unless others are given.
func (w *world) config(certificates ...tls.Certificate) *tls.Config {
	if len(certificates) == 0 {
		certificates = []tls.Certificate{w.pair(radsectest.Client("nas.example"))}
	}
	return &tls.Config{
		RootCAs: w.ca.Pool(), ServerName: "localhost", MinVersion: tls.VersionTLS10,
		// Whatever the server would like to see: a wrong certificate must be sent.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil },
	}
}

// dial connects as a client that the server knows.
func (w *world) dial() *tls.Conn {
	w.t.Helper()
	c, err := w.try(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) try(config *tls.Config) (*tls.Conn, error) {
	w.t.Helper()
	tcp, err := net.Dial("tcp", w.address())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { tcp.Close() })
	_ = tcp.SetDeadline(time.Now().Add(testPatience))
	c := tls.Client(tcp, config)
	return c, c.Handshake()
}

// came is how many connections had an outcome.
func (w *world) came(o outcome) int { return int(testutil.ToFloat64(w.metrics.came[o])) }

// through waits until so many connections are open: a client of TLS 1.3 is ready before the server.
func (w *world) through(n int) {
	w.t.Helper()
	waitUntil(w.t, "connections that are open", func() bool { _, open := w.admission.count(); return open == n })
}

// ended waits until a connection has ended for a reason.
func (w *world) ended(e ending) {
	w.t.Helper()
	waitUntil(w.t, "the end of a connection: "+e.String(), func() bool { return testutil.ToFloat64(w.metrics.closed[e]) == 1 })
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(testPatience); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("this did not happen: ", what)
		}
	}
}

// packet is one of a length, whose octets tell which.
func packet(n, size int) []byte {
	p := make([]byte, size)
	p[0], p[1] = 12, byte(n)
	binary.BigEndian.PutUint16(p[2:], uint16(size))
	binary.BigEndian.PutUint32(p[4:], uint32(n))
	for i := 8; i < size; i++ {
		p[i] = byte(n + i)
	}
	return p
}

func write(t *testing.T, w io.Writer, octets ...[]byte) {
	t.Helper()
	if _, err := w.Write(slices.Concat(octets...)); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, r io.Reader, octets ...[]byte) {
	t.Helper()
	for i, o := range octets {
		b := make([]byte, len(o))
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatalf("reply %d: %v", i, err)
		}
		if !bytes.Equal(b, o) {
			t.Fatalf("reply %d: %x, want %x", i, b, o)
		}
	}
}

// wantEnd wants the server's close_notify, and closes the client's end.
func wantEnd(t *testing.T, r io.ReadCloser) {
	t.Helper()
	defer r.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d octets and %v, want the end in order", n, err)
	}
}

func (w *world) logged(t *testing.T, text string) {
	t.Helper()
	waitUntil(t, "a log line with "+text, func() bool { return strings.Contains(w.log.String(), text) })
}
