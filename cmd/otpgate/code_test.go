package main

import (
	"fmt"
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
	code := oathtool(ts, args[1], period, time.Now().Add(steps*period))
	ts.Setenv("CODE", code)
	b := benchOf(ts)
	b.secrets = append(b.secrets, code)
}

// oathtool computes a code.
func oathtool(ts *testscript.TestScript, seed string, each time.Duration, at time.Time) string {
	out, err := bounded(ts, "oathtool", "--totp=sha1", fmt.Sprintf("--time-step-size=%.0fs", each.Seconds()), "--digits=6",
		"--now", at.UTC().Format("2006-01-02 15:04:05 UTC"), "--base32", seed).Output()
	if err != nil {
		ts.Fatalf("oathtool (Debian package oathtool): %v", err)
	}
	return strings.TrimSpace(string(out))
}

// cmdWeekday names a day that it is not for two days to either side, in UTC, as the configuration
// has it: $OTHER_DAY.
func cmdWeekday(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 0, "weekday")
	ts.Setenv("OTHER_DAY", time.Now().UTC().AddDate(0, 0, 3).Format("Mon"))
}
