package radius_test

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// radclient runs FreeRADIUS's client with one packet and returns what it prints; no answer is an
// answer too.
func radclient(t *testing.T, address, command, secret, attributes string) string {
	t.Helper()
	path, err := exec.LookPath("radclient")
	if err != nil {
		t.Fatal("radclient is missing: install the Debian package freeradius-utils")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-x", "-r", "1", "-t", "3", address, command, secret)
	cmd.Stdin = strings.NewReader(attributes)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, _ := cmd.CombinedOutput() // its status is 1 for a refusal
	return string(out)
}

// TestRadclient: a client that other people wrote understands the replies, and checks them.
func TestRadclient(t *testing.T) {
	s := newSite(t, 1)
	login := "User-Name = user0, User-Password = " + codeAt(s.now()) + ", NAS-IP-Address = 127.0.0.1, Proxy-State = 0x0102, Proxy-State = 0x03"
	for _, c := range []struct{ name, command, secret, attributes, want string }{
		{"status", "status", realSecret, "Message-Authenticator = 0x00", "Received Access-Accept"},
		{"login", "auth", realSecret, login + ", Message-Authenticator = 0x00", "Received Access-Accept"},
		{"the code again", "auth", realSecret, login + ", Message-Authenticator = 0x00", "Received Access-Reject"},
		{"CHAP", "auth", realSecret, "User-Name = user0, CHAP-Password = 123456, Message-Authenticator = 0x00", "Received Access-Reject"},
		{"unsigned", "auth", realSecret, login, "No reply from server"},
		{"another secret", "auth", "another secret", login + ", Message-Authenticator = 0x00", "No reply from server"},
	} {
		out := radclient(t, s.address, c.command, c.secret, c.attributes)
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: want %q in\n%s", c.name, c.want, out)
		}
		_, reply, received := strings.Cut(out, "Received ")
		if !received {
			continue
		}
		lines := strings.Split(reply, "\n")
		if len(lines) < 2 || !strings.Contains(lines[1], "Message-Authenticator") {
			t.Errorf("%s: Message-Authenticator does not come first in\n%s", c.name, out)
		}
		if strings.Contains(c.attributes, "Proxy-State") && !strings.Contains(reply, "Proxy-State = 0x0102\n\tProxy-State = 0x03") {
			t.Errorf("%s: Proxy-State did not come back in order in\n%s", c.name, out)
		}
	}
}
