package smtptest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/smtp"
	"os"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/smtptest"
)

const raw = "Subject: x\r\n\r\ny\r\n"

// hand hands in a mail as a strict client does: with TLS that verifies, unless there is none.
func hand(t *testing.T, s *smtptest.Server, o smtptest.Options, to string) error {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	config := &tls.Config{ServerName: "127.0.0.1", RootCAs: s.CA}
	if o.Direct {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if !o.Plain && !o.Direct {
		if err := c.StartTLS(config); err != nil {
			return err
		}
	}
	if o.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", o.Username, o.Password, "127.0.0.1")); err != nil {
			return err
		}
	}
	if err := errors.Join(c.Mail("otp@corp.example"), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(raw)); err != nil {
		return err
	}
	return w.Close()
}

func TestEveryKindOfServerTakesMails(t *testing.T) {
	for name, o := range map[string]smtptest.Options{
		"STARTTLS": {}, "TLS": {Direct: true}, "plain": {Plain: true}, "AUTH": {Username: "otp", Password: "right"},
	} {
		s := smtptest.Start(t, o)
		if err := hand(t, s, o, "alice@corp.example"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m := s.Wait(context.Background(), "ALICE@corp.example", 0); m.Subject != "x" || len(s.To("alice@corp.example")) != 1 || len(s.To("bob@corp.example")) != 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestItIsStrict: without TLS where there is TLS, with another authority, with a wrong password.
func TestItIsStrict(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{Username: "otp", Password: "right"})
	if err := hand(t, s, smtptest.Options{Username: "otp", Password: "wrong"}, "alice@corp.example"); err == nil {
		t.Error("a wrong password")
	}
	if err := hand(t, s, smtptest.Options{}, "alice@corp.example"); err == nil {
		t.Error("no password")
	}
	c, err := smtp.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if ok, _ := c.Extension("AUTH"); ok {
		t.Error("AUTH is offered before TLS")
	}
	if err := c.StartTLS(&tls.Config{ServerName: "127.0.0.1", RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("the certificate verifies without its authority")
	}
	plain := smtptest.Start(t, smtptest.Options{Plain: true})
	if err := hand(t, plain, smtptest.Options{}, "alice@corp.example"); err == nil {
		t.Error("STARTTLS where there is no TLS")
	}
	if len(s.Mails())+len(plain.Mails()) != 0 {
		t.Error("a mail was taken all the same")
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault smtptest.Fault
		want  string
	}{{smtptest.Refuse, "5.1.1"}, {smtptest.Defer, "4.3.0"}, {smtptest.Cut, "EOF"}, {smtptest.Stall, "timeout"}} {
		s := smtptest.Start(t, smtptest.Options{})
		s.Fail("Eve@corp.example", c.fault, 1)
		err := hand(t, s, smtptest.Options{}, "eve@corp.example")
		if err == nil || !strings.Contains(err.Error(), c.want) && !(c.want == "EOF" && strings.Contains(err.Error(), "reset")) {
			t.Errorf("fault %d: %v, want %s", c.fault, err, c.want)
		}
		if len(s.Mails()) != 0 {
			t.Errorf("fault %d: a mail was taken", c.fault)
		}
		for _, to := range []string{"alice@corp.example", "eve@corp.example"} { // others never, and it only once
			if err := hand(t, s, smtptest.Options{}, to); err != nil {
				t.Errorf("fault %d: then %s: %v", c.fault, to, err)
			}
		}
	}
}

func TestStop(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	s.Stop()
	if err := hand(t, s, smtptest.Options{}, "alice@corp.example"); err == nil {
		t.Error("it still answers")
	}
}

func TestAuthorityIsInAFile(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	octets, err := os.ReadFile(s.CAFile)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(octets) || !pool.Equal(s.CA) {
		t.Errorf("%v", err)
	}
	if p := smtptest.Start(t, smtptest.Options{Plain: true}); p.CAFile != "" || p.CA != nil {
		t.Error("an authority without TLS")
	}
}
