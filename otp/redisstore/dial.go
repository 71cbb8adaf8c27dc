package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// dialer connects to servers, and knows the connections.
type dialer struct {
	tls     *tls.Config
	timeout time.Duration

	mu    sync.Mutex
	links map[*link]string // and where they lead
}

// link is a connection that the dialer knows. The library looks at its socket before it uses it.
type link struct {
	*net.TCPConn
	dialer *dialer
}

// Read reads. A call whose answer does not come in time is not made again: who is slow has it already.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.TCPConn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = overdue{err}
	}
	return n, err
}

// overdue is an answer that did not come in time. It is to the library as if the caller had no more time: other
// errors of connections it answers by a second try.
type overdue struct{ error }

func (o overdue) Is(target error) bool { return target == context.DeadlineExceeded }
func (o overdue) Unwrap() error        { return o.error }

// Close forgets the connection.
func (l *link) Close() error {
	l.dialer.mu.Lock()
	delete(l.dialer.links, l)
	l.dialer.mu.Unlock()
	return l.TCPConn.Close()
}

// dial connects to an address. One that cannot be reached gives a connection on which everything fails: after
// as many errors of a dialer as its pool has places, the library dials once a second only, and nobody would
// get in for as long after the server is back.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, network, address)
	if err != nil {
		return deadEnd{err}, nil
	}
	l := &link{TCPConn: conn.(*net.TCPConn), dialer: d} //nolint:forcetypeassert // network is tcp
	d.mu.Lock()
	d.links[l] = address
	d.mu.Unlock()
	if d.tls == nil {
		return l, nil
	}
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(l, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = l.Close()
		return deadEnd{err}, nil
	}
	return secure, nil
}

// cut closes all connections but those to an address. What is under way on them fails at once.
func (d *dialer) cut(except string) {
	d.mu.Lock()
	var others []*link
	for l, address := range d.links {
		if address != except {
			others = append(others, l)
		}
	}
	d.mu.Unlock()
	for _, l := range others {
		_ = l.Close()
	}
}

// deadEnd is a connection to what cannot be reached.
type deadEnd struct{ err error }

func (d deadEnd) Read([]byte) (int, error)       { return 0, d.err }
func (d deadEnd) Write([]byte) (int, error)      { return 0, d.err }
func (deadEnd) Close() error                     { return nil }
func (deadEnd) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (deadEnd) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (deadEnd) SetDeadline(time.Time) error      { return nil }
func (deadEnd) SetReadDeadline(time.Time) error  { return nil }
func (deadEnd) SetWriteDeadline(time.Time) error { return nil }

// SilenceLibrary stops go-redis from writing a line of its own to standard error for every failed
// dial. What it would write comes back as the error of the call as well. The library has one logger
// for the whole process: only main, and TestMain, may call this.
func SilenceLibrary() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
