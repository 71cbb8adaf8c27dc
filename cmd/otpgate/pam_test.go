package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPAM logs in as a Linux machine does: pamtester asks pam_radius_auth, which asks the node. Each
// answer goes to one prompt, in their order. What the person sees is stdout for the commands that
// follow. pam_wrapper keeps all that off /etc/pam.d.
//
//	pam accept|reject|silence USER ANSWER...
func cmdPAM(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "pam accept|reject|silence USER ANSWER...")
	dir, err := os.MkdirTemp(ts.Getenv("TMPDIR"), "pam")
	ts.Check(err)
	tries, timeout := 3, 4
	if args[0] == "silence" {
		tries, timeout = 1, 2
	}
	module := fmt.Sprintf("pam_radius_auth.so conf=%s max_challenge=5 prompt_attribute retry=%d", filepath.Join(dir, "radius.conf"), tries)
	for name, text := range map[string]string{
		"radius.conf": fmt.Sprintf("127.0.0.1:%s testing-secret %d\n", ts.Getenv("RADIUS"), timeout),
		"otpgate":     "auth required " + module + "\n",
		"other":       "auth required pam_deny.so\n",
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := bounded(ts, "pamtester", "otpgate", args[1], "authenticate")
	cmd.Env = append(os.Environ(), "LD_PRELOAD=libpam_wrapper.so", "PAM_WRAPPER=1", "PAM_WRAPPER_SERVICE_DIR="+dir)
	cmd.Stdin = strings.NewReader(strings.Join(args[2:], "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		ts.Fatalf("pamtester (Debian package pamtester): %v", err)
	}
	got := "something else"
	switch text := string(out); {
	case strings.Contains(text, "cannot be preloaded"):
		ts.Fatalf("pam_wrapper is missing (Debian package libpam-wrapper):\n%s", out)
	case strings.Contains(text, "successfully authenticated"):
		got = "accept"
	case strings.Contains(text, "Authentication failure"):
		got = "reject"
	case strings.Contains(text, "cannot retrieve authentication info"):
		got = "silence"
	case strings.Contains(text, "Module is unknown"):
		ts.Fatalf("pam_radius_auth is missing (Debian package libpam-radius-auth):\n%s", out)
	}
	if got != args[0] {
		ts.Fatalf("pam: %s, want %s\n%s\n%s", got, args[0], out, lastLines(ts, 6))
	}
	_, err = ts.Stdout().Write(out)
	ts.Check(err)
}
