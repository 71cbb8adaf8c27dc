package radsec

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// How long an acceptor waits after an error that is not its end, such as too many open files.
const (
	acceptPause    = 10 * time.Millisecond
	maxAcceptPause = time.Second
)

// accept takes connections from a socket until the server stops.
func (s *Server) accept(l net.Listener) error {
	pause := acceptPause
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = acceptPause
			s.admit(conn)
			continue
		}
		select {
		case <-s.closing: // which closed the socket
			return nil
		case <-time.After(pause):
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if s.accepting.Allow(s.now()) {
			s.logger.Error("accept failed", "address", l.Addr().String(), "error", err)
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// admit gives a connection a place and a goroutine, or closes it.
func (s *Server) admit(conn net.Conn) {
	from := addrPort(conn.RemoteAddr())
	ticket, out := s.admission.enter(from.Addr(), conn)
	if out != accepted {
		s.refuse(conn, from, out)
		return
	}
	s.readers.Add(1)
	s.connections.Go(func() {
		defer s.admission.leave(ticket)
		s.serve(conn, from, ticket)
	})
}

// serve is the life of a connection.
func (s *Server) serve(conn net.Conn, from netip.AddrPort, ticket *ticket) {
	read := sync.OnceFunc(s.readers.Done)
	defer read()
	var c *Conn
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			if c == nil {
				s.metrics.came[broken].Inc()
				_ = conn.Close()
				return
			}
			c.abort(panicked)
			s.part(c)
		}
	}()
	if c = s.welcome(conn, from, ticket); c == nil {
		return
	}
	c.read()
	read()
	c.finish()
	s.part(c)
}

// welcome does the handshake and finds out who the client is. It is nil when the connection has
// been closed.
func (s *Server) welcome(conn net.Conn, from netip.AddrPort, ticket *ticket) *Conn {
	t, id, err := s.greet(conn)
	if err != nil {
		out := failed(t, err)
		if s.admission.gaveWay(ticket) { // which is why it failed
			out = crowdedOut
		}
		var verify *tls.CertificateVerificationError
		attrs := []any{"error", err}
		if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
			attrs = append(attrs, "certificate_names", shown(verify.UnverifiedCertificates[0]))
		}
		s.refuse(conn, from, out, attrs...)
		return nil
	}
	leaf := id.chain[0]
	out := unknownCertificate
	if s.o.Handler.Identify(leaf) {
		out = s.admission.identified(ticket, leaf.Raw)
	}
	if out == accepted {
		c := newConn(s, conn, t, id)
		if s.add(c) {
			s.metrics.came[accepted].Inc()
			s.logger.Debug("connected", "client_address", from.String(), "certificate_names", shown(leaf))
			return c
		}
		out = stopping
	}
	watch := time.AfterFunc(s.o.WriteTime, func() { _ = conn.Close() })
	defer watch.Stop()
	_ = t.CloseWrite()
	s.refuse(conn, from, out, "certificate_names", shown(leaf), "issuer", brief(leaf.Issuer.CommonName))
	return nil
}

// refuse closes a connection that is not accepted, and says why, at a limited rate.
func (s *Server) refuse(conn net.Conn, from netip.AddrPort, out outcome, attrs ...any) {
	_ = conn.Close()
	s.metrics.came[out].Inc()
	limit := s.strangers.Of(from.Addr())
	switch out {
	case stopping:
		return
	case tooMany:
		limit = &s.crowded
	case unready:
		limit = &s.unready
	}
	if limit.Allow(s.now()) {
		s.logger.Warn("connection refused", append([]any{
			"client_address", from.String(), "reason", out.String(), "hint", out.hint(),
		}, attrs...)...)
	}
}

// part counts a connection that was accepted and has ended.
func (s *Server) part(c *Conn) {
	s.remove(c)
	s.metrics.closed[c.why].Inc()
	attrs := []any{"client_address", c.remote.String(), "certificate_names", shown(c.Certificate()), "reason", c.why.String()}
	switch hint := c.why.hint(); {
	case hint == "":
		s.logger.Debug("disconnected", attrs...)
	case s.known.Of(c.remote.Addr()).Allow(s.now()):
		s.logger.Warn("connection closed", append(attrs, "hint", hint)...)
	}
}

// panicked counts a panic and says where it was, once a minute. What it says may hold what somebody
// typed, unless it comes from the Go runtime.
func (s *Server) panicked(p any) {
	s.metrics.panics.Inc()
	if !s.panics.Allow(s.now()) {
		return
	}
	text := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		text = err.Error()
	}
	s.logger.Error("panic", "panic", text, "stack", string(debug.Stack()))
}
