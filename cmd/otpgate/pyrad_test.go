package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdMSCHAPv2 logs in by MS-CHAPv2, which radclient cannot, with testdata/pyrad/mschapv2.py. What
// that found out about the reply is stdout for the commands that follow, a line for each attribute:
// "MS-CHAP2-Success = right" when the server has proved that it knows the password,
// "MS-MPPE-Send-Key = right" when its key is the one that the gateway computes.
//
//	mschapv2 accept|challenge|reject|silence USER PASSWORD [secret=S] [port=VARIABLE] [from=ADDRESS] [Attribute=value...]
func cmdMSCHAPv2(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "mschapv2 accept|challenge|reject|silence USER PASSWORD [secret=S] [Attribute=value...]")
	port, arguments := "RADIUS", []string{"--tries=3", "--seconds=4"}
	if args[0] == "silence" {
		arguments = []string{"--tries=1", "--seconds=1.5"}
	}
	for _, option := range args[3:] {
		switch key, value, _ := strings.Cut(option, "="); key {
		case "port":
			port = value
		case "secret", "from":
			arguments = append(arguments, "--"+option)
		default:
			arguments = append(arguments, option)
		}
	}
	arguments = append(arguments, "--port="+ts.Getenv(port))
	program, err := filepath.Abs(filepath.Join("testdata", "pyrad", "mschapv2.py"))
	ts.Check(err)
	// Debian's own Python: another one would not have pyrad.
	cmd := bounded(ts, "/usr/bin/python3", append([]string{"-B", program, args[1], args[2]}, arguments...)...)
	out, err := cmd.Output()
	if err != nil {
		ts.Fatalf("mschapv2 (Debian package python3-pyrad): %v\n%s%s", err, out, lastWords(err))
	}
	first, _, _ := strings.Cut(string(out), "\n")
	got, known := map[string]string{
		"Access-Accept": "accept", "Access-Challenge": "challenge", "Access-Reject": "reject", "silence": "silence",
	}[first]
	if !known || got != args[0] {
		ts.Fatalf("mschapv2: %s, want %s\n%s\n%s", got, args[0], out, lastLines(ts, 6))
	}
	_, err = ts.Stdout().Write(out)
	ts.Check(err)
}

// lastWords is what a program that failed said about it.
func lastWords(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}
