package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	period = 60 * time.Second
	// margin is how much of a step has to be left when a code is made, so that the login that
	// follows it is still in the same step.
	margin = 10 * time.Second
)

// cmdCode has oathtool compute the code of the step before (prev), of this one (now) or of the one
// after (next), and sets $CODE. Used in this order, the codes of one device are always fresh.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "code prev|now|next SEED")
	steps, ok := map[string]time.Duration{"prev": -1, "now": 0, "next": 1}[args[0]]
	if !ok {
		ts.Fatalf("code: prev, now or next")
	}
	if left := period - time.Since(time.Unix(0, 0))%period; left < margin {
		<-time.After(left)
	}
	at := time.Now().Add(steps * period).UTC()
	out, err := exec.Command("oathtool", "--totp=sha1", "--time-step-size=60s", "--digits=6",
		"--now", at.Format("2006-01-02 15:04:05 UTC"), "--base32", args[1]).Output()
	if err != nil {
		ts.Fatalf("oathtool (Debian package oathtool): %v", err)
	}
	code := strings.TrimSpace(string(out))
	ts.Setenv("CODE", code)
	b := benchOf(ts)
	b.secrets = append(b.secrets, code)
}

// cmdRadclient logs in with FreeRADIUS's radclient and checks what comes of it.
//
//	radclient accept|reject|silence USER PASSWORD [secret=S] [message-authenticator=none] [attribute=value...]
func cmdRadclient(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "radclient accept|reject|silence USER PASSWORD [secret=S] [message-authenticator=none]")
	secret, attributes := "testing-secret", []string{
		fmt.Sprintf("User-Name = %q", args[1]), fmt.Sprintf("User-Password = %q", args[2]),
	}
	authenticator := "Message-Authenticator = 0x00"
	for _, option := range args[3:] {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "secret":
			secret = value
		case "message-authenticator":
			authenticator = ""
		default:
			attributes = append(attributes, fmt.Sprintf("%s = %q", key, value))
		}
	}
	if authenticator != "" {
		attributes = append(attributes, authenticator)
	}
	// Silence is proved by waiting, so it is worth a second; an answer ends the wait.
	timeout := map[bool]string{true: "1.5", false: "10"}[args[0] == "silence"]
	cmd := exec.Command("radclient", "-x", "-r", "1", "-t", timeout, "127.0.0.1:"+ts.Getenv("RADIUS"), "auth", secret)
	cmd.Stdin = strings.NewReader(strings.Join(attributes, ", ") + "\n")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		ts.Fatalf("radclient (Debian package freeradius-utils): %v", err)
	}
	got := "silence"
	switch text := string(out); {
	case strings.Contains(text, "Received Access-Accept"):
		got = "accept"
	case strings.Contains(text, "Received Access-Reject"):
		got = "reject"
	case !strings.Contains(text, "No reply from server"):
		got = "something else"
	}
	if got != args[0] {
		ts.Fatalf("radclient: %s, want %s\n%s\n%s", got, args[0], out, lastLines(ts, 6))
	}
}

// lastLines is the end of what the nodes said, for a test that failed.
func lastLines(ts *testscript.TestScript, n int) string {
	var out strings.Builder
	for _, p := range benchOf(ts).nodes {
		lines := strings.Split(strings.TrimSpace(ts.ReadFile(p.log)), "\n")
		fmt.Fprintf(&out, "%s:\n%s\n", p.log, strings.Join(lines[max(0, len(lines)-n):], "\n"))
	}
	return out.String()
}
