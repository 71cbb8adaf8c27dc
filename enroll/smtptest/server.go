package smtptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"otpgate/enroll/outbox"
)

// patience is how long a test waits for a mail.
const patience = 30 * time.Second

// Options say what kind of server it is. The zero value offers STARTTLS and wants no password.
type Options struct {
	Username, Password string // asked for if not empty
	Plain              bool   // no TLS at all
	Direct             bool   // TLS from the first octet
}

// Mail is one that the server took.
type Mail = outbox.Mail

// A Server is one that runs until the test ends.
type Server struct {
	Addr   string         // host:port, on 127.0.0.1
	CAFile string         // PEM; empty if Plain
	CA     *x509.CertPool // the same

	tb    testing.TB
	box   *outbox.Server
	mu    sync.Mutex
	fault map[string]*fault // by recipient, in lower case
}

// Fault is what goes wrong with a recipient.
type Fault int

// The faults.
const (
	Refuse Fault = iota // 550: there is no such mailbox
	Defer               // 451: try again later
	Stall               // no answer, until the client is gone
	Cut                 // the connection is closed where the answer should be
)

type fault struct {
	kind  Fault
	times int // how often; below 0: always
}

// Start starts a server, which ends with the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := &Server{tb: tb, fault: map[string]*fault{}}
	box := outbox.Options{Username: o.Username, Password: o.Password, Direct: o.Direct, Hook: s.hook}
	if !o.Plain {
		var certificate tls.Certificate
		certificate, s.CAFile, s.CA = authority(tb)
		box.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	var err error
	if s.box, err = outbox.Listen(box); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.box.Close() })
	s.Addr = s.box.Addr()
	return s
}

// Fail makes things go wrong for a recipient, a number of times (below 0: always).
func (s *Server) Fail(to string, kind Fault, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault[strings.ToLower(to)] = &fault{kind: kind, times: times}
}

// Stop ends the server before the test does.
func (s *Server) Stop() { _ = s.box.Close() }

// Mails returns what the server took, oldest first.
func (s *Server) Mails() []Mail { return s.box.Mails() }

// To returns the mails to one address, oldest first.
func (s *Server) To(address string) []Mail {
	var found []Mail
	for _, m := range s.box.Mails() {
		if strings.EqualFold(m.To, address) {
			found = append(found, m)
		}
	}
	return found
}

// Wait returns the newest mail to an address with a number above after, and fails the test if
// there is none in time.
func (s *Server) Wait(ctx context.Context, to string, after int) Mail {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := s.box.Wait(ctx, to, after)
	if err != nil {
		s.tb.Fatal(err)
	}
	return m
}

// hook is asked by the server for each recipient and each mail.
func (s *Server) hook(stage outbox.Stage, to string, conn net.Conn) error {
	s.mu.Lock()
	f := s.fault[strings.ToLower(to)]
	// Refusals come with the recipient, broken connections with the mail.
	if f == nil || f.times == 0 || (stage == outbox.AtText) != (f.kind == Stall || f.kind == Cut) {
		s.mu.Unlock()
		return nil
	}
	f.times--
	s.mu.Unlock()
	switch f.kind {
	case Refuse:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox <" + to + ">"}
	case Defer:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later, <" + to + ">"}
	case Stall:
		_, _ = conn.Read(make([]byte, 1))
	}
	_ = conn.Close()
	return net.ErrClosed
}
