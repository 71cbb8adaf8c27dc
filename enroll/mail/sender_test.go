package mail_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/enroll/mail"
	"otpgate/enroll/smtptest"
)

// stopped is a clock that stands still; expiry is then a matter of the retries' pauses alone.
func stopped() time.Time { return time.Unix(1_800_000_000, 0) }

func at(d time.Duration) time.Time { return stopped().Add(d) }

func soon(int) time.Duration { return 10 * time.Millisecond }

// sender makes one for a server, and closes it with the test.
func sender(t *testing.T, s *smtptest.Server, change func(*mail.Options)) (*mail.Sender, *prometheus.Registry, func()) {
	t.Helper()
	reg := prometheus.NewRegistry()
	o := mail.Options{
		From: "Example OTP <otp@corp.example>", SMTP: "smtp://" + s.Addr, RootCAs: s.CA, RetryAfter: soon, Timeout: 20 * time.Second,
		Registerer: reg, Now: stopped, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&o)
	}
	m, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	closeNow := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = m.Close(ctx)
	}
	t.Cleanup(closeNow)
	return m, reg, closeNow
}

func message(to string) mail.Message {
	return mail.Message{To: to, Subject: "Prüfung 註冊碼", Text: "Zeile — 您好\nline 2\n", HTML: "<p>您好</p>", Expires: at(time.Hour)}
}

func counted(t *testing.T, reg *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "otpgate_enroll_mails_total" && l.GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("no series for %s", result)
	return 0
}

func TestMailArrivesWhole(t *testing.T) {
	for name, o := range map[string]smtptest.Options{
		"smtp":          {},
		"smtp, AUTH":    {Username: "otp", Password: "päss word"},
		"smtps":         {Direct: true},
		"smtps, AUTH":   {Direct: true, Username: "otp", Password: "pass"},
		"smtp+insecure": {Plain: true},
		"insecure AUTH": {Plain: true, Username: "otp", Password: "pass"},
	} {
		t.Run(name, func(t *testing.T) {
			s := smtptest.Start(t, o)
			m, reg, done := sender(t, s, func(mo *mail.Options) {
				mo.Username, mo.Password = o.Username, o.Password
				switch {
				case o.Direct:
					mo.SMTP = "smtps://" + s.Addr
				case o.Plain:
					mo.SMTP = "smtp+insecure://" + s.Addr
				}
			})
			if err := m.Send(message("alice@corp.example")); err != nil {
				t.Fatal(err)
			}
			got := s.Wait(context.Background(), "alice@corp.example", 0)
			want := message("")
			if got.Err != nil || got.Subject != want.Subject || strings.TrimRight(got.Text, "\n") != strings.TrimRight(want.Text, "\n") || strings.TrimRight(got.HTML, "\n") != want.HTML {
				t.Errorf("%v\n%s", got.Err, got.Raw)
			}
			for key, want := range map[string]string{
				"From": `"Example OTP" <otp@corp.example>`, "To": "<alice@corp.example>", "Auto-Submitted": "auto-generated",
				"Date": stopped().Format(time.RFC1123Z), "Bcc": "", "X-Mailer": "", "User-Agent": "",
			} {
				if have := got.Header.Get(key); have != want {
					t.Errorf("%s: %q, want %q", key, have, want)
				}
			}
			if id := got.Header.Get("Message-Id"); !strings.HasSuffix(id, "@corp.example>") {
				t.Errorf("Message-ID %q", id)
			}
			if got.From != "otp@corp.example" {
				t.Errorf("envelope from %q", got.From)
			}
			done()
			if n := counted(t, reg, "sent"); n != 1 {
				t.Errorf("%v sent", n)
			}
		})
	}
}

func TestNothingGetsIntoTheHeader(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, _, done := sender(t, s, nil)
	for _, to := range []string{
		"", "alice", "@corp.example", "alice@", "alice@corp.example, eve@evil.example", "Alice <alice@corp.example>", "<alice@corp.example>",
		"alice@corp.example\r\nBcc: eve@evil.example", "alice@corp.example\nBcc: eve@evil.example", "alice@corp.example\x00", "alice @corp.example",
		"alice@corp.example>\r\nRCPT TO:<eve@evil.example", "\"a\r\nb\"@corp.example", " alice@corp.example", "alice@corp.example (comment)",
		strings.Repeat("a", 250) + "@corp.example", "\"quoted space\"@corp.example",
	} {
		if err := m.Send(mail.Message{To: to, Subject: "s", Text: "t", HTML: "h", Expires: at(time.Hour)}); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("%q: %v", to, err)
		}
	}
	for _, subject := range []string{"a\r\nBcc: eve@evil.example", "a\nb", "a\rb", "a\x00b"} {
		bad := message("alice@corp.example")
		bad.Subject = subject
		if err := m.Send(bad); err == nil {
			t.Errorf("%q was taken", subject)
		}
	}
	done()
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("alice@corp.example", "subject")
	f.Add("alice@corp.example\r\nBcc: x@y", "a\nb")
	f.Fuzz(func(t *testing.T, to, subject string) {
		raw, err := mail.Render(mail.Message{To: to, Subject: subject, Text: "t", HTML: "h"}, "otp@corp.example", stopped())
		if err != nil {
			return
		}
		msg, err := netmail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%q %q: %v\n%s", to, subject, err, raw)
		}
		for key, values := range msg.Header {
			switch key {
			case "Date", "Mime-Version", "Message-Id", "Auto-Submitted", "From", "To", "Subject", "Content-Type":
				if len(values) != 1 {
					t.Fatalf("%q %q: %s %q", to, subject, key, values)
				}
			default:
				t.Fatalf("%q %q: header %s", to, subject, key)
			}
		}
		if list, err := msg.Header.AddressList("To"); err != nil || len(list) != 1 {
			t.Fatalf("%q: to %v, %v", to, list, err)
		}
	})
}

func TestRefusedForGood(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	var log bytes.Buffer
	m, reg, done := sender(t, s, func(o *mail.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.Fail("eve@corp.example", smtptest.Refuse, 1) // a second try would get through
	if err := m.Send(message("eve@corp.example")); err != nil {
		t.Fatal(err)
	}
	done()
	if n := counted(t, reg, "refused"); n != 1 || len(s.Mails()) != 0 {
		t.Errorf("%v refused, %d mails", n, len(s.Mails()))
	}
	if !strings.Contains(log.String(), "550") || strings.Contains(log.String(), "eve@") {
		t.Errorf("log: %s", log.String())
	}
}

func TestTriedAgain(t *testing.T) {
	for name, fault := range map[string]smtptest.Fault{"451": smtptest.Defer, "cut": smtptest.Cut} {
		t.Run(name, func(t *testing.T) {
			s := smtptest.Start(t, smtptest.Options{})
			m, _, _ := sender(t, s, nil)
			s.Fail("bob@corp.example", fault, 3)
			if err := m.Send(message("bob@corp.example")); err != nil {
				t.Fatal(err)
			}
			s.Wait(context.Background(), "bob@corp.example", 0)
		})
	}
}

func TestSlowServerIsGivenUpAndTriedAgain(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, _, _ := sender(t, s, func(o *mail.Options) { o.Timeout = time.Second })
	s.Fail("bob@corp.example", smtptest.Stall, 1)
	if err := m.Send(message("bob@corp.example")); err != nil {
		t.Fatal(err)
	}
	s.Wait(context.Background(), "bob@corp.example", 0)
}

// TestDripFeedingServerIsGivenUp: a server that answers each command just in time does not hold
// a connection for ever.
func TestDripFeedingServerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
			// Continuation lines, without end.
			if _, err := io.WriteString(conn, "220-still here\r\n"); err != nil {
				ended <- nil
				return
			}
		}
	}()
	m, err := mail.New(mail.Options{
		From: "otp@corp.example", SMTP: "smtp://" + l.Addr().String(), Timeout: 500 * time.Millisecond, Now: stopped,
		RetryAfter: func(int) time.Duration { return 2 * time.Hour }, // never again
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(message("bob@corp.example")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the connection is still open")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}

// TestRudeGreetingLeavesNoConnection: a server that turns everybody away at the door, or says
// nothing, does not collect connections that this end forgot.
func TestRudeGreetingLeavesNoConnection(t *testing.T) {
	for name, c := range map[string]struct {
		greeting string
		timeout  time.Duration
	}{
		"refused": {"554 go away\r\n", time.Hour},
		"garbage": {"\x15\x03\x01\x00\x02\x02\x46\r\n", time.Hour},
		"silence": {"", 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			m, err := mail.New(mail.Options{
				From: "otp@corp.example", SMTP: "smtp://" + l.Addr().String(), Timeout: c.timeout, Now: stopped,
				RetryAfter: func(int) time.Duration { return 2 * time.Hour }, // never again
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Send(message("bob@corp.example")); err != nil {
				t.Fatal(err)
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, c.greeting)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the connection is still open: %v", err)
			}
		})
	}
}

func TestGivenUpWhenItIsOfNoUse(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, reg, done := sender(t, s, func(o *mail.Options) { o.RetryAfter = func(int) time.Duration { return time.Hour } })
	s.Fail("bob@corp.example", smtptest.Defer, -1)
	if err := m.Send(message("bob@corp.example")); err != nil {
		t.Fatal(err)
	}
	done()
	if n := counted(t, reg, "expired"); n != 1 {
		t.Errorf("%v expired", n)
	}
}

func TestNothingLeavesWithoutTLS(t *testing.T) {
	foreign := smtptest.Start(t, smtptest.Options{})
	for name, c := range map[string]struct {
		server smtptest.Options
		scheme string
		roots  *x509.CertPool
	}{
		"no STARTTLS":        {smtptest.Options{Plain: true}, "smtp", nil},
		"unknown authority":  {smtptest.Options{}, "smtp", x509.NewCertPool()},
		"another authority":  {smtptest.Options{}, "smtp", foreign.CA},
		"smtps, none there":  {smtptest.Options{Plain: true}, "smtps", nil},
		"smtps, unknown":     {smtptest.Options{Direct: true}, "smtps", x509.NewCertPool()},
		"smtp against smtps": {smtptest.Options{Direct: true}, "smtp", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := smtptest.Start(t, c.server)
			roots := c.roots
			if roots == nil {
				roots = s.CA
			}
			m, reg, done := sender(t, s, func(o *mail.Options) {
				o.SMTP, o.RootCAs = c.scheme+"://"+s.Addr, roots
				o.Username, o.Password = "otp", "secret"
				o.Timeout = 2 * time.Second
				o.RetryAfter = func(int) time.Duration { return 2 * time.Hour }
			})
			if err := m.Send(message("alice@corp.example")); err != nil {
				t.Fatal(err)
			}
			done()
			if n := counted(t, reg, "expired"); n != 1 || len(s.Mails()) != 0 {
				t.Errorf("%v given up, %d mails", n, len(s.Mails()))
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{Username: "otp", Password: "right"})
	var log bytes.Buffer
	m, reg, done := sender(t, s, func(o *mail.Options) {
		o.Username, o.Password = "otp", "a-wrong-one"
		o.RetryAfter = func(int) time.Duration { return 2 * time.Hour }
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	if err := m.Send(message("alice@corp.example")); err != nil {
		t.Fatal(err)
	}
	done()
	if counted(t, reg, "expired") != 1 || len(s.Mails()) != 0 || !strings.Contains(log.String(), "535") || strings.Contains(log.String(), "a-wrong-one") {
		t.Errorf("%d mails, log: %s", len(s.Mails()), log.String())
	}
}

func TestQueueIsBounded(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, reg, _ := sender(t, s, func(o *mail.Options) {
		o.QueueSize = 3
		o.RetryAfter = func(int) time.Duration { return time.Minute }
	})
	s.Fail("bob@corp.example", smtptest.Defer, 3)
	for range 3 {
		if err := m.Send(message("bob@corp.example")); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Send(message("alice@corp.example")); !errors.Is(err, mail.ErrQueueFull) {
		t.Error(err)
	}
	if n := counted(t, reg, "dropped"); n != 1 {
		t.Errorf("%v dropped", n)
	}
}

// TestAPanicIsOneMailsProblem: the process and the mails after it go on.
func TestAPanicIsOneMailsProblem(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	var log bytes.Buffer
	m, reg, done := sender(t, s, func(o *mail.Options) {
		o.RetryAfter = func(int) time.Duration { panic("ABCD-EFGH") }
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	s.Fail("bob@corp.example", smtptest.Defer, 1)
	for _, to := range []string{"bob@corp.example", "alice@corp.example"} {
		if err := m.Send(message(to)); err != nil {
			t.Fatal(err)
		}
	}
	done()
	if counted(t, reg, "dropped") != 1 || counted(t, reg, "sent") != 1 || !strings.Contains(log.String(), "stack=") || strings.Contains(log.String(), "ABCD-EFGH") {
		t.Errorf("log: %s", log.String())
	}
}

func TestCloseTriesOnceMoreAndTakesNoMore(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, reg, done := sender(t, s, func(o *mail.Options) { o.RetryAfter = func(int) time.Duration { return 59 * time.Minute } })
	s.Fail("bob@corp.example", smtptest.Defer, 1)
	if err := m.Send(message("bob@corp.example")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return testutil.CollectAndCount(reg, "otpgate_enroll_mail_retries_total") == 1 && retries(t, reg) == 1
	})
	done()
	if n := len(s.To("bob@corp.example")); n != 1 {
		t.Errorf("%d mails", n)
	}
	if err := m.Send(message("bob@corp.example")); !errors.Is(err, mail.ErrClosed) {
		t.Error(err)
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	m, _, _ := sender(t, s, nil)
	s.Fail("bob@corp.example", smtptest.Stall, -1)
	if err := m.Send(message("bob@corp.example")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	// What was under way then has ended, and holds no connection until its own time is up.
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	good := mail.Options{From: "otp@corp.example", SMTP: "smtp://localhost:587", Now: stopped}
	if _, err := mail.New(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*mail.Options){
		"no sender":       func(o *mail.Options) { o.From = "" },
		"two senders":     func(o *mail.Options) { o.From = "a@b.example, c@d.example" },
		"no URL":          func(o *mail.Options) { o.SMTP = "mail.example.org:587" },
		"another scheme":  func(o *mail.Options) { o.SMTP = "http://mail.example.org" },
		"no host":         func(o *mail.Options) { o.SMTP = "smtp://" },
		"password in URL": func(o *mail.Options) { o.SMTP = "smtp://otp:secret@mail.example.org" },
		"path":            func(o *mail.Options) { o.SMTP = "smtp://mail.example.org/inbox" },
		"port":            func(o *mail.Options) { o.SMTP = "smtp://mail.example.org:70000" },
		"no clock":        func(o *mail.Options) { o.Now = nil },
		"broken URL":      func(o *mail.Options) { o.SMTP = "smtp://[::1" },
		"newline in name": func(o *mail.Options) { o.From = "OTP\r\nBcc: x@y.example <otp@corp.example>" },
	} {
		o := good
		change(&o)
		if _, err := mail.New(o); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func retries(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "otpgate_enroll_mail_retries_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 4000 {
		if ok() {
			return
		}
		<-tick.C
	}
	t.Fatal("it never came true")
}
