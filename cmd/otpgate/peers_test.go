package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/directory/slapdtest"
	"otpgate/enroll/smtptest"
	"otpgate/otp/redisstore/redistest"
)

// peers are the real servers that a script has running.
type peers struct {
	slapd *slapdtest.Server
	redis *redistest.Server
	smtp  *smtptest.Server

	replicated *replicated
}

// cmdSlapd starts, stops, freezes and thaws an OpenLDAP server with a few people in it, and tells
// where it is: $LDAP_URL, $LDAP_CA, $LDAP_BASE, $LDAP_DN, $LDAP_PASSWORD.
func cmdSlapd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "slapd start|stop|freeze|thaw")
	b := benchOf(ts)
	s := b.peers.slapd
	switch {
	case args[0] == "start" && s == nil:
		s = slapdtest.Start(b.tb(ts), slapdtest.Options{TLS: true})
		b.peers.slapd = s
		ts.Setenv("LDAP_URL", s.URL())
		ts.Setenv("LDAP_CA", s.CAFile)
		ts.Setenv("LDAP_BASE", s.BaseDN)
		ts.Setenv("LDAP_DN", s.ServiceDN)
		ts.Setenv("LDAP_PASSWORD", s.ServicePassword)
		b.secrets = append(b.secrets, s.ServicePassword)
	case s == nil:
		ts.Fatalf("slapd was never started")
	case args[0] == "start":
		s.Start()
	case args[0] == "stop":
		s.Stop()
	case args[0] == "freeze":
		s.Freeze()
	case args[0] == "thaw":
		s.Thaw()
	default:
		ts.Fatalf("slapd: unknown verb %q", args[0])
	}
}

// cmdRedis starts and stops a Redis server: $REDIS.
func cmdRedis(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "redis start|stop")
	b := benchOf(ts)
	s := b.peers.redis
	switch {
	case args[0] == "start" && s == nil:
		b.peers.redis = redistest.Start(b.tb(ts))
		ts.Setenv("REDIS", b.peers.redis.Addr)
	case s == nil:
		ts.Fatalf("redis was never started")
	case args[0] == "start":
		s.Start()
	case args[0] == "stop":
		s.Stop()
	default:
		ts.Fatalf("redis: unknown verb %q", args[0])
	}
}

// cmdStore starts and stops whatever keeps the devices in this run of the script. The first start
// sets $STORE_YAML, which belongs into the configuration. The embedded store lives in the node n1,
// so it is gone when that is killed.
func cmdStore(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "store start|stop")
	b := benchOf(ts)
	first := ts.Getenv("STORE_YAML") == ""
	switch ts.Getenv("STORE") {
	case "redis":
		cmdRedis(ts, neg, args)
		ts.Setenv("STORE_YAML", fmt.Sprintf("store: {redis: {addresses: [%q]}}", ts.Getenv("REDIS")))
	case "embedded":
		ts.Setenv("STORE_YAML", "# store: left out, so devices are kept in data_dir")
		switch {
		case args[0] == "stop":
			cmdNode(ts, false, []string{"kill", "n1"})
		case !first:
			b.start(ts, "n1", []string{"serve", "--config", "otpgate.yaml"})
		}
	default:
		ts.Fatalf("no store was chosen for this script")
	}
}

// cmdSMTP starts and stops a mail server that wants STARTTLS and AUTH: $SMTP, $SMTP_CA, $SMTP_USER,
// $SMTP_PASSWORD.
func cmdSMTP(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "smtp start|stop")
	b := benchOf(ts)
	if args[0] != "start" || b.peers.smtp != nil {
		ts.Fatalf("smtp: can only be started, once")
	}
	s := smtptest.Start(b.tb(ts), smtptest.Options{Username: "otp", Password: "smtp-secret"})
	b.peers.smtp = s
	b.secrets = append(b.secrets, "smtp-secret")
	ts.Setenv("SMTP", s.Addr)
	ts.Setenv("SMTP_CA", s.CAFile)
	ts.Setenv("SMTP_USER", "otp")
	ts.Setenv("SMTP_PASSWORD", "smtp-secret")
}

// cmdMail waits for a mail to an address that holds a text, and writes it to mail.txt.
func cmdMail(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "mail ADDRESS TEXT")
	b := benchOf(ts)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found := eventually(func() bool {
		for _, m := range b.peers.smtp.Mails()[b.read:] {
			text := "Subject: " + m.Subject + "\n\n" + m.Text
			if strings.EqualFold(m.To, args[0]) && strings.Contains(text, args[1]) {
				ts.Check(os.WriteFile(ts.MkAbs("mail.txt"), []byte(text), 0o600))
				return true
			}
		}
		return ctx.Err() != nil
	})
	if !found || ctx.Err() != nil {
		ts.Fatalf("no mail to %s with %q", args[0], args[1])
	}
}

// cmdForgetMails makes mail look at mails only that come from now on.
func cmdForgetMails(ts *testscript.TestScript, neg bool, args []string) {
	b := benchOf(ts)
	b.read = len(b.peers.smtp.Mails())
}
