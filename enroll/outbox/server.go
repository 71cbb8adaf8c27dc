package outbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	defaultKeep = 100
	maxMail     = 1 << 20 // octets
	timeout     = time.Minute
)

// Options are what a [Server] is made of.
type Options struct {
	Listen string      // empty: a free port of 127.0.0.1
	TLS    *tls.Config // nil: none; otherwise STARTTLS is offered, and required before AUTH
	Direct bool        // TLS from the first octet, as for smtps
	// Username and Password are asked for if not empty.
	Username, Password string
	Keep               int // mails; 0: 100
	// Hook, if any, is asked before a recipient (AtRecipient) and a mail's text (AtText) are
	// taken; its error is the answer. A *smtp.SMTPError says which.
	Hook func(stage Stage, to string, conn net.Conn) error
	Now  func() time.Time // nil: mails have no time of arrival
}

// Stage is a place in an SMTP dialogue where a [Options.Hook] is asked.
type Stage int

// The stages.
const (
	AtRecipient Stage = iota
	AtText
)

// A Server takes mails and keeps the last ones. It is safe for concurrent use.
type Server struct {
	options  Options
	smtp     *smtp.Server
	listener net.Listener
	done     chan struct{}

	mu      sync.Mutex
	mails   []Mail
	count   int
	changed chan struct{} // closed and replaced with each mail
}

// Listen starts a server. Its only errors are those of the socket.
func Listen(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	s := &Server{options: o, listener: l, done: make(chan struct{}), changed: make(chan struct{})}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c.Conn()}, nil
	}))
	s.smtp.Domain = "localhost"
	s.smtp.MaxMessageBytes, s.smtp.MaxRecipients = maxMail, 1
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = timeout, timeout
	s.smtp.AllowInsecureAuth = o.TLS == nil || o.Direct
	s.smtp.ErrorLog = silent{}
	if o.Direct {
		l = tls.NewListener(l, o.TLS)
	} else {
		s.smtp.TLSConfig = o.TLS
	}
	go func() { defer close(s.done); _ = s.smtp.Serve(l) }()
	return s, nil
}

// Addr is where the server listens: host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Mails returns what is kept, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Wait returns the newest mail to an address, once there is one with a number above after.
func (s *Server) Wait(ctx context.Context, to string, after int) (Mail, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		for i := len(s.mails) - 1; i >= 0; i-- {
			if m := s.mails[i]; m.Number > after && strings.EqualFold(m.To, to) {
				s.mu.Unlock()
				return m, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Mail{}, fmt.Errorf("outbox: no mail to %s: %w", to, ctx.Err())
		}
	}
}

// Close ends the server and its connections.
func (s *Server) Close() error {
	err := s.smtp.Close()
	// go-smtp closes the listeners that it serves: one that it has not come to yet would be
	// served for ever.
	_ = s.listener.Close()
	<-s.done
	return err
}

// keep adds a mail.
func (s *Server) keep(m Mail) {
	m.parse()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	m.Number, m.Received = s.count, s.options.Now()
	if s.mails = append(s.mails, m); len(s.mails) > s.options.Keep {
		s.mails = append([]Mail(nil), s.mails[len(s.mails)-s.options.Keep:]...)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// silent takes what go-smtp would log: clients that go away are nothing to write about.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

var _ io.Closer = (*Server)(nil)
