package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdHTTP asks the enrollment server and writes the body to response.json.
//
//	http [soon] METHOD STATUS PATH [JSON]
//
// With soon it asks again while the server says that something it needs is away (503).
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "http [soon] METHOD STATUS PATH [JSON]")
	soon := args[0] == "soon"
	if soon {
		args = args[1:]
	}
	var status int
	var answer []byte
	eventually(func() bool {
		var err error
		status, answer, err = ask(args[0], "http://127.0.0.1:"+ts.Getenv("ENROLL")+args[2], strings.Join(args[3:], ""))
		ts.Check(err)
		return !soon || status != http.StatusServiceUnavailable
	})
	ts.Check(os.WriteFile(ts.MkAbs("response.json"), answer, 0o600))
	if want, err := strconv.Atoi(args[1]); err != nil || status != want {
		ts.Fatalf("%s %s: status %d, want %s\n%s", args[0], args[2], status, args[1], answer)
	}
}

// cmdReady waits until /readyz of the node at $METRICS (or of the named variable) has a status.
func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "ready STATUS [VARIABLE]")
	variable := "METRICS"
	if len(args) > 1 {
		variable = args[1]
	}
	var last string
	ok := eventually(func() bool {
		status, body, err := ask("GET", "http://127.0.0.1:"+ts.Getenv(variable)+"/readyz", "")
		last = fmt.Sprintf("status %d, %v\n%s", status, err, body)
		return err == nil && strconv.Itoa(status) == args[0]
	})
	if !ok {
		ts.Fatalf("the node does not come to be %s: %s", args[0], last)
	}
}

// cmdMetric waits until /metrics of the node matches a pattern, whose ^ and $ are those of a line.
//
//	metric PATTERN [TIME]    for so long, when what it waits for is slow
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "metric PATTERN [TIME]")
	long := patience
	if len(args) > 1 {
		var err error
		long, err = time.ParseDuration(args[1])
		ts.Check(err)
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var last []byte
	if !comesWithin(long, func() bool {
		_, last, _ = ask("GET", "http://127.0.0.1:"+ts.Getenv("METRICS")+"/metrics", "")
		return re.Match(last)
	}) {
		ts.Fatalf("/metrics does not come to match %q:\n%s", args[0], last)
	}
}

func ask(method, url, body string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, answer, err
}

// cmdReadySays waits until the words of /readyz match a pattern.
func cmdReadySays(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "ready-says PATTERN")
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	var last []byte
	if !eventually(func() bool {
		_, last, _ = ask("GET", "http://127.0.0.1:"+ts.Getenv("METRICS")+"/readyz", "")
		return re.Match(last)
	}) {
		ts.Fatalf("/readyz does not come to say %q:\n%s", args[0], last)
	}
}
