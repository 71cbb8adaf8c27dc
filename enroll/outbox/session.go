package outbox

import (
	"crypto/subtle"
	"errors"
	"io"
	"net"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one SMTP connection.
type session struct {
	server   *Server
	conn     net.Conn
	known    bool // AUTH succeeded
	from, to string
}

var _ smtp.AuthSession = (*session)(nil)

// AuthMechanisms implements [smtp.AuthSession].
func (s *session) AuthMechanisms() []string {
	if s.server.options.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements [smtp.AuthSession].
func (s *session) Auth(string) (sasl.Server, error) {
	o := s.server.options
	return sasl.NewPlainServer(func(_, username, password string) error {
		right := subtle.ConstantTimeCompare([]byte(username), []byte(o.Username)) &
			subtle.ConstantTimeCompare([]byte(password), []byte(o.Password))
		if right != 1 {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

// Mail implements [smtp.Session].
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.Username != "" && !s.known {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt implements [smtp.Session].
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.hook(AtRecipient, to); err != nil {
		return err
	}
	s.to = to
	return nil
}

// Data implements [smtp.Session].
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.hook(AtText, s.to); err != nil {
		return err
	}
	s.server.keep(Mail{From: s.from, To: s.to, Raw: raw})
	return nil
}

func (s *session) hook(stage Stage, to string) error {
	if s.server.options.Hook == nil {
		return nil
	}
	err := s.server.options.Hook(stage, to, s.conn)
	var answer *smtp.SMTPError
	if err != nil && !errors.As(err, &answer) {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 0, 0}, Message: err.Error()}
	}
	return err
}

// Reset implements [smtp.Session].
func (s *session) Reset() { s.from, s.to = "", "" }

// Logout implements [smtp.Session].
func (s *session) Logout() error { return nil }
