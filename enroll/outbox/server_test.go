package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"otpgate/enroll/outbox"
)

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// listen starts a server that ends with the test.
func listen(t *testing.T, o outbox.Options) *outbox.Server {
	t.Helper()
	o.Now = noon
	s, err := outbox.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// send hands in a mail as the standard library does.
func send(t *testing.T, s *outbox.Server, to, raw string) {
	t.Helper()
	if err := smtp.SendMail(s.Addr(), nil, "otp@corp.example", []string{to}, []byte(raw)); err != nil {
		t.Fatal(err)
	}
}

// whole is a mail as otpgate writes it: both alternatives, quoted-printable, an encoded subject.
const whole = "From: otp@corp.example\r\nTo: alice@corp.example\r\nSubject: =?UTF-8?q?Pr=C3=BCfung?=\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nH=C3=A9llo=\r\n there\r\n" +
	"--b\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SGk8L3A+\r\n--b--\r\n"

func TestMailsAreReadAsPeopleReadThem(t *testing.T) {
	s := listen(t, outbox.Options{})
	send(t, s, "alice@corp.example", whole)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m, err := s.Wait(ctx, "ALICE@corp.example", 0)
	if err != nil || m.Err != nil {
		t.Fatal(err, m.Err)
	}
	if m.Subject != "Prüfung" || m.Text != "Héllo there" || m.HTML != "<p>Hi</p>" || m.From != "otp@corp.example" || m.Number != 1 || !m.Received.Equal(noon()) {
		t.Errorf("%+v", m)
	}
}

// TestBrokenMailsAreKept: with what can be read of them, and why not all.
func TestBrokenMailsAreKept(t *testing.T) {
	deep := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", 50)
	for name, raw := range map[string]string{
		"no header":       "just text",
		"no boundary":     "Content-Type: multipart/mixed\r\n\r\nx",
		"too many parts":  "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 50) + "--b--\r\n",
		"deep":            deep,
		"cut":             "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx",
		"broken base64":   "Content-Transfer-Encoding: base64\r\n\r\n!!!",
		"unknown charset": "Subject: =?x-none?q?a?=\r\n\r\nx",
	} {
		s := listen(t, outbox.Options{})
		send(t, s, "alice@corp.example", raw)
		if all := s.Mails(); len(all) != 1 || all[0].Err == nil || len(all[0].Raw) == 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

func TestTheLastMailsAreKept(t *testing.T) {
	s := listen(t, outbox.Options{Keep: 3})
	for i := range 5 {
		send(t, s, fmt.Sprintf("a%d@corp.example", i), "Subject: x\r\n\r\ny\r\n")
	}
	all := s.Mails()
	if len(all) != 3 || all[0].Number != 3 || all[2].Number != 5 || all[2].To != "a4@corp.example" {
		t.Errorf("%+v", all)
	}
}

func TestLargeMailsAreRefused(t *testing.T) {
	s := listen(t, outbox.Options{})
	err := smtp.SendMail(s.Addr(), nil, "otp@corp.example", []string{"alice@corp.example"}, []byte("Subject: x\r\n\r\n"+strings.Repeat("line\r\n", 200_000)))
	if err == nil || len(s.Mails()) != 0 {
		t.Errorf("%v, %d mails", err, len(s.Mails()))
	}
}

func TestPasswordIsAskedFor(t *testing.T) {
	s := listen(t, outbox.Options{Username: "otp", Password: "right"})
	host, _, _ := net.SplitHostPort(s.Addr())
	to, raw := []string{"alice@corp.example"}, []byte("Subject: x\r\n\r\ny\r\n")
	for name, auth := range map[string]smtp.Auth{
		"none":           nil,
		"wrong password": smtp.PlainAuth("", "otp", "wrong", host),
		"wrong name":     smtp.PlainAuth("", "root", "right", host),
		"empty":          smtp.PlainAuth("", "", "", host),
	} {
		if err := smtp.SendMail(s.Addr(), auth, "otp@corp.example", to, raw); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := smtp.SendMail(s.Addr(), smtp.PlainAuth("", "otp", "right", host), "otp@corp.example", to, raw); err != nil || len(s.Mails()) != 1 {
		t.Errorf("%v, %d mails", err, len(s.Mails()))
	}
}

func TestHookSaysWhatIsRefused(t *testing.T) {
	s := listen(t, outbox.Options{Hook: func(stage outbox.Stage, to string, _ net.Conn) error {
		if (stage == outbox.AtRecipient) == (to == "a@corp.example") {
			return errors.New("not today")
		}
		return nil
	}})
	for _, to := range []string{"a@corp.example", "b@corp.example"} { // the one as recipient, the other with its text
		err := smtp.SendMail(s.Addr(), nil, "otp@corp.example", []string{to}, []byte("Subject: x\r\n\r\ny\r\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "451 ") {
			t.Errorf("%s: %v", to, err)
		}
	}
	if len(s.Mails()) != 0 {
		t.Error("taken all the same")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	s := listen(t, outbox.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Wait(ctx, "alice@corp.example", 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCloseAtOnce: however soon after Listen.
func TestCloseAtOnce(t *testing.T) {
	for range 500 {
		s, err := outbox.Listen(outbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
}

func TestListenSaysWhyNot(t *testing.T) {
	s := listen(t, outbox.Options{})
	if _, err := outbox.Listen(outbox.Options{Listen: s.Addr()}); err == nil {
		t.Error("two servers on one socket")
	}
}
