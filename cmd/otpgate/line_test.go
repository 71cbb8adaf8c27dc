package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/cmd/internal/loglines"
	"otpgate/configs"
)

// TestTheLogTakesLinesWithoutARecord: radius asks its log for that, and would do without.
func TestTheLogTakesLinesWithoutARecord(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l := loglines.New(&out)
		var level slog.LevelVar
		h, ok := newLogger(l, configs.Log{Format: format, Level: "info"}, &level).With("component", "radius").Handler().(interface {
			Line(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
		})
		if !ok {
			t.Fatalf("%s: each line takes a record", format)
		}
		if err := h.Line(t.Context(), time.Now(), slog.LevelInfo, "x", nil); err != nil {
			t.Error(err)
		}
		for !l.End() {
			t.Log("not written yet") // a second is not long everywhere
		}
		if !strings.Contains(out.String(), "radius") {
			t.Errorf("%s: %s", format, &out)
		}
	}
}

// TestNobodyReadsTheLog: a container's log driver that stands still, or a terminal after Ctrl-S, keeps nobody out, and
// no node from ending.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	const people, gateways = 2000, 8
	r := newRig(t)
	read, printed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer printed.Close()
	var entries strings.Builder
	for i := range people {
		fmt.Fprintf(&entries, "dn: uid=%s,dc=lab\nobjectClass: inetOrgPerson\nuid: %[1]s\n\n", personName(i))
	}
	r.write("people.ldif", entries.String())
	nodes := map[string]*member{}
	for _, name := range []string{"n1", "n2"} {
		m := r.member(name)
		m.prints = printed
		r.write(name+".yaml", fmt.Sprintf(`data_dir: data
radius:
  listen: [%q]
  clients: [{name: vpn, networks: [127.0.0.1/32], secret: testing-secret}]
directories: [{name: lab, ldif_file: people.ldif, base_dn: "dc=lab"}]
metrics: {listen: %q}
`, m.radius, m.metrics))
		nodes[name] = m
	}
	one, two := nodes["n1"], nodes["n2"]
	one.start()
	one.becomes("ok")
	one.importPeople(people)
	crowd := newCrowd(0, people)
	var all sync.WaitGroup
	for range gateways {
		c := one.gateway("127.0.0.1", "testing-secret")
		all.Go(func() {
			for range people / gateways {
				person, code := crowd.fresh(t)
				octets, got := c.Login(personName(person), code).Octets(), "silence"
				for tries := 0; got == "silence" && tries < 8; tries++ { // as a gateway does
					got = verdict(c, octets, budget)
				}
				if got != "accept" {
					t.Errorf("login number %d: %s", person, got)
					return
				}
			}
		})
	}
	all.Wait()
	if state, _ := one.health(""); state != "ok" {
		t.Error(state)
	}

	two.start() // whose data_dir belongs to another, which it can tell nobody
	ends := func(m *member, status int) {
		t.Helper()
		if got := m.cmd.ProcessState.ExitCode(); got != status {
			t.Errorf("%s ends with %d, want %d", m.name, got, status)
		}
	}
	if eventually(func() bool {
		select {
		case <-two.exited:
			return true
		default:
			return false
		}
	}) {
		ends(two, 1)
	} else {
		t.Error("it waits for somebody to read why it ends")
	}
	one.stop()
	ends(one, 0)
	_ = printed.Close()
	text, err := io.ReadAll(read)
	if err != nil {
		t.Error(err)
	}
	if logins := strings.Count(string(text), "access decision"); logins == 0 || logins >= people {
		t.Errorf("%d lines of %d logins were in the pipe: it did not stand still", logins, people)
	}
}
