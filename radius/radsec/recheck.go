package radsec

import (
	"crypto/x509"
	"time"
)

// recheckEvery is how long a certificate that no longer holds can go unnoticed on an open
// connection.
const recheckEvery = time.Minute

// Recheck ends the connections whose certificate no longer verifies, because it has expired or its
// authority is gone, and those that no client has any more. The server does so each minute by itself;
// it should be called when the clients or the authorities were changed. A [Handler] must not call it.
func (s *Server) Recheck() {
	s.rechecking.Lock()
	defer s.rechecking.Unlock()
	roots, err := s.o.ClientCAs()
	if (err != nil || roots == nil) && s.recheck.Allow(s.now()) {
		s.logger.Error("the clients' authorities cannot be read: open connections keep the old ones", "error", err)
	}
	for _, c := range s.open() {
		s.recheckConn(c, roots)
	}
}

// recheckConn looks at one connection; one goroutine at a time. Without roots it goes by those that it came with.
func (s *Server) recheckConn(c *Conn, roots *x509.CertPool) {
	if roots == nil {
		roots = c.id.roots
	}
	if !c.id.holds(s.now(), roots) {
		c.end(notVerified)
		return
	}
	if !s.o.Handler.Identify(c.Certificate()) {
		c.Close()
	}
}

// watch rechecks until the server stops.
func (s *Server) watch() {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
			s.safely(s.Recheck)
		}
	}
}

// safely runs what asks the handler in a goroutine of the server's own.
func (s *Server) safely(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
		}
	}()
	f()
}
