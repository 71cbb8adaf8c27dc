package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// The ways to talk to a mail server, by the scheme of its URL.
const (
	startTLS  = "smtp"          // plain first, then STARTTLS, without which nothing is sent (RFC 3207)
	directTLS = "smtps"         // TLS from the first octet (RFC 8314 section 3.3)
	noTLS     = "smtp+insecure" // no TLS at all; the password, if any, goes in the clear
)

// server is where mails are handed in.
type server struct {
	scheme, host       string
	port               int
	username, password string
	tls                *tls.Config
}

// parseServer reads smtp://host:587, smtps://host:465 or smtp+insecure://host:25.
func parseServer(raw, username, password string, roots *x509.CertPool) (*server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the SMTP server is not a URL")
	}
	ports := map[string]int{startTLS: 587, directTLS: 465, noTLS: 25}
	port, ok := ports[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("the SMTP server's scheme is %q, want smtp, smtps or smtp+insecure", u.Scheme)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" || (u.Path != "" && u.Path != "/") {
		return nil, errors.New("the SMTP server is not of the form scheme://host:port")
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return nil, errors.New("the SMTP server's port is not one")
		}
	}
	return &server{
		scheme: u.Scheme, host: u.Hostname(), port: port, username: username, password: password,
		tls: &tls.Config{RootCAs: roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12},
	}, nil
}

// deliver hands in one mail, before the context's deadline, whatever the server does.
func (s *server) deliver(ctx context.Context, msg *gomail.Msg, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := s.client(ctx, timeout)
	if err != nil {
		return err
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err != nil && msg.IsDelivered() {
		return nil // the server has taken it, and was rude afterwards
	}
	return err
}

// greet connects, encrypts and authenticates as for a mail, and leaves.
func (s *server) greet(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := s.client(ctx, timeout)
	if err != nil {
		return err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	return client.Close()
}

// client is one for a single try, which ends with the context.
func (s *server) client(ctx context.Context, timeout time.Duration) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(timeout), gomail.WithTLSConfig(s.tls),
		gomail.WithDialContextFunc(s.dialer(ctx)), gomail.WithoutNoop(), gomail.WithTLSPolicy(gomail.NoTLS),
	}
	if s.scheme == startTLS {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.username != "" {
		mechanisms := []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
		if s.scheme == noTLS {
			mechanisms = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
		}
		options = append(options, gomail.WithOpportunisticSMTPAuth(mechanisms...),
			gomail.WithUsername(s.username), gomail.WithPassword(s.password))
	}
	return gomail.NewClient(s.host, options...)
}

// dialer connects, with TLS for smtps. Whatever happens, the connection is closed when try ends:
// go-mail hears about the context while it connects only, and leaves a connection open whose
// greeting it did not like.
func (s *server) dialer(try context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(try, func() { _ = conn.Close() })
		bound := &boundConn{Conn: conn}
		bound.latest, _ = try.Deadline()
		if s.scheme != directTLS {
			return bound, nil
		}
		secured := tls.Client(bound, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return secured, nil
	}
}

// boundConn is a connection whose deadline can be brought forward, but not put off: go-mail
// renews it with every command, so that a server which answers slowly would never be given up.
type boundConn struct {
	net.Conn
	latest time.Time
}

func (c *boundConn) SetDeadline(t time.Time) error {
	if !c.latest.IsZero() && (t.IsZero() || t.After(c.latest)) {
		t = c.latest
	}
	return c.Conn.SetDeadline(t)
}

// permanent reports whether a server has refused the mail for good.
func permanent(err error) bool {
	var sent *gomail.SendError
	return errors.As(err, &sent) && !sent.IsTemp() && sent.ErrorCode() >= 500 && sent.ErrorCode() < 600
}

// cause is what to log of an error: servers like to repeat the address in the text of a refusal,
// so of that only the numbers are kept.
func cause(err error) string {
	var sent *gomail.SendError
	if !errors.As(err, &sent) {
		return err.Error()
	}
	return fmt.Sprintf("%v: status %d %s", sent.Reason, sent.ErrorCode(), sent.EnhancedStatusCode())
}
