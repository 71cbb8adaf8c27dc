//go:build gate

package main

import (
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var into = flag.String("into", "", "folder for the profiles")

const (
	profileDevices = 150_000
	profileSeconds = "10"
)

// TestProfile writes where a node on Redis spends its time and its memory, while known accounts log in, 64 at
// a time: see `make profile`.
func TestProfile(t *testing.T) {
	if *into == "" {
		t.Fatal("-into is missing: make profile gives it")
	}
	if err := os.MkdirAll(*into, 0o755); err != nil {
		t.Fatal(err)
	}
	g := newRig(t, profileDevices, "1m", true)
	redis, addr := g.redis()
	n := g.node("node", onRedis(addr), redis).serve().enroll()
	n.login(0, profileDevices, -time.Minute)
	done := make(chan error, 2)
	for name, what := range map[string]string{"cpu.pprof": "profile", "allocations.pprof": "allocs"} {
		go func() { done <- n.fetch(name, what+"?seconds="+profileSeconds) }()
	}
	began := time.Now()
	for _, shift := range []time.Duration{0, time.Minute} {
		n.login(0, profileDevices, shift)
	}
	t.Logf("%d logins in %s", 2*profileDevices, time.Since(began).Round(time.Millisecond))
	if err := errors.Join(<-done, <-done, n.fetch("heap.pprof", "heap")); err != nil {
		t.Fatal(err)
	}
	n.top("cpu.txt", "cpu.pprof", "cpu", "-flat")
	n.top("cpu-with-callees.txt", "cpu.pprof", "cpu", "-cum")
	n.top("heap.txt", "heap.pprof", "inuse_space", "-flat")
	n.top("allocations.txt", "allocations.pprof", "alloc_space", "-flat")
}

// fetch writes a profile of the node into the folder.
func (n *target) fetch(name, what string) error {
	answer, err := http.Get("http://" + n.metrics + "/debug/pprof/" + what)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	octets, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(what + ": " + answer.Status)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*into, name), octets, 0o644)
}

// top writes the functions that have the most of a profile, and tells the first.
func (n *target) top(text, profile, index, order string) {
	n.t.Helper()
	binary, err := otpgate()
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.CommandContext(n.t.Context(), "go", "tool", "pprof", "-top", order, "-nodecount", "60", "-sample_index", index, binary, filepath.Join(*into, profile))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("go tool pprof: %v\n%s", err, errs.String())
	}
	path := filepath.Join(*into, text)
	if err := os.WriteFile(path, out, 0o644); err != nil {
		n.t.Fatal(err)
	}
	lines := strings.SplitN(string(out), "\n", 12)
	n.t.Logf("%s:\n%s", path, strings.Join(lines[:len(lines)-1], "\n"))
}
