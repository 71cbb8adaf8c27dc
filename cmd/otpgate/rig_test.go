package main

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// rig is a folder with nodes, for tests that measure when something comes about. Scripts tell that it does.
type rig struct {
	t   *testing.T
	dir string
}

func newRig(t *testing.T) *rig { return &rig{t: t, dir: t.TempDir()} }

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// write writes a private file; it is there whole, or as it was before.
func (r *rig) write(name, text string) {
	r.t.Helper()
	path := r.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
}

// member is a node of a rig: the real program, in a process of its own.
type member struct {
	r                                   *rig
	name, program                       string
	env                                 []string
	radius, accounting, enroll, metrics string // where it listens
	cmd                                 *exec.Cmd
	exited                              chan struct{}
	log                                 *output
	prints                              *os.File // to what it prints; nil: log
}

// output is what a process prints. It goes through a pipe, which no limit of the process's files is for.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// member makes a node, with ports, that is not started yet.
func (r *rig) member(name string) *member {
	r.t.Helper()
	m := &member{r: r, name: name, program: "otpgate", log: &output{}}
	for _, at := range []*string{&m.radius, &m.accounting, &m.enroll, &m.metrics} {
		*at = r.address()
	}
	return m
}

// address is one on 127.0.0.1 that nobody has: see findPort.
func (r *rig) address() string {
	r.t.Helper()
	port, err := findPort()
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func (m *member) config() string { return m.r.path(m.name + ".yaml") }

func (m *member) command(ctx context.Context, args ...string) *exec.Cmd {
	m.r.t.Helper()
	path, err := exec.LookPath(m.program)
	if err != nil {
		m.r.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, append(args, "--config", m.config())...)
	cmd.Dir, cmd.WaitDelay = m.r.dir, time.Second
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.r.dir, "TMPDIR=" + os.TempDir(), "GORACE=halt_on_error=1"}, m.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts the node, which ends with the test.
func (m *member) start() {
	m.r.t.Helper()
	cmd := m.command(context.Background(), "serve")
	cmd.Stdout, cmd.Stderr = m.log, m.log
	if m.prints != nil {
		cmd.Stdout, cmd.Stderr = m.prints, m.prints
	}
	if err := cmd.Start(); err != nil {
		m.r.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	m.cmd, m.exited = cmd, exited
	m.r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if m.r.t.Failed() && m.cmd == cmd {
			m.r.t.Logf("%s: %s", m.name, tail(m.log.String(), 4000))
		}
	})
}

func tail(text string, most int) string { return text[max(len(text)-most, 0):] }

// stop ends the node as an operator does, and kill as a power failure does.
func (m *member) stop() { m.end(syscall.SIGTERM) }
func (m *member) kill() { m.end(syscall.SIGKILL) }

func (m *member) end(signal syscall.Signal) {
	m.r.t.Helper()
	_ = m.cmd.Process.Signal(signal)
	select {
	case <-m.exited:
	case <-time.After(2 * patience):
		m.r.t.Fatalf("%s does not end", m.name)
	}
}

// run runs a command of an operator to its end.
func (m *member) run(args ...string) string {
	m.r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	out, err := m.command(ctx, args...).CombinedOutput()
	if err != nil {
		m.r.t.Fatalf("otpgate %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// importPeople gives people a device each.
func (m *member) importPeople(number int) {
	m.r.t.Helper()
	var tokens strings.Builder
	tokens.WriteString("name,seed_base32,algorithm,digits,period,label\n")
	for i := range number {
		fmt.Fprintf(&tokens, "%s,%s,SHA1,6,60,phone\n", personName(i), base32.StdEncoding.EncodeToString(personSeed(i)))
	}
	m.r.write("tokens.csv", tokens.String())
	if out := m.run("device", "import", "--csv", "tokens.csv"); !strings.Contains(out, fmt.Sprint(number, " added")) {
		m.r.t.Fatal(out)
	}
}

// health is what /readyz says: its state, and what it says about one check.
func (m *member) health(check string) (state, words string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+m.metrics+"/readyz", nil)
	if err != nil {
		return err.Error(), ""
	}
	req.Header.Set("Accept", "application/json")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err.Error(), ""
	}
	defer res.Body.Close()
	var h struct {
		State  string
		Checks []struct{ Name, State, Words string }
	}
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		return err.Error(), ""
	}
	for _, c := range h.Checks {
		if c.Name == check {
			words = c.Words
		}
	}
	return h.State, words
}

// becomes waits until the node calls itself so, and returns how long that took.
func (m *member) becomes(state string) time.Duration {
	m.r.t.Helper()
	last := ""
	took, ok := after(patience, func() bool {
		last, _ = m.health("")
		return last == state
	})
	if !ok {
		m.r.t.Fatalf("%s does not come to be %s: %s\n%s", m.name, state, last, tail(m.log.String(), 2000))
	}
	return took
}

// after returns how long it takes until something is so.
func after(most time.Duration, is func() bool) (time.Duration, bool) {
	begun := time.Now()
	ok := comesWithin(most, is)
	return time.Since(begun), ok
}

// scrape is /metrics.
func (m *member) scrape() string {
	m.r.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + m.metrics + "/metrics")
	if err != nil {
		m.r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		m.r.t.Fatal(err)
	}
	return string(text)
}

// metric is the value of a series; the test ends when there is none.
func (m *member) metric(series string) float64 {
	m.r.t.Helper()
	text := m.scrape()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if found == nil {
		m.r.t.Fatalf("/metrics has no %s", series)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		m.r.t.Fatal(err)
	}
	return value
}

// post asks for a mail with a code, each time from another address, and returns the status.
func (m *member) post(from int, email string) int {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(from>>8), byte(from))}}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext}}
	res, err := client.Post("http://"+m.enroll+"/v1/enrollments", "application/json", strings.NewReader(`{"email":"`+email+`"}`))
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// gateway is a client of the node, at an address of 127.0.0.0/8.
func (m *member) gateway(from, secret string) *radiustest.Client {
	m.r.t.Helper()
	return radiustest.DialFrom(m.r.t, from, m.radius, secret)
}

// verdict is what became of a packet: "accept", "reject", "silence" or what is wrong with the answer.
func verdict(c *radiustest.Client, octets []byte, within time.Duration) string {
	reply, err := c.Try(octets, within)
	switch {
	case err == nil && reply.Is(probe.AccessAccept):
		return "accept"
	case err == nil && reply.Is(probe.AccessReject):
		return "reject"
	case err == nil:
		return fmt.Sprintf("code %d", reply.Code)
	case strings.Contains(err.Error(), radiustest.ErrSilence.Error()):
		return "silence"
	}
	return err.Error()
}

// crowd are people whose codes are used once each.
type crowd struct {
	mu       sync.Mutex
	from, to int // the people
	next     int
	last     map[int]int64 // step that was used last
}

func newCrowd(from, to int) *crowd {
	return &crowd{from: from, to: to, next: from, last: map[int]int64{}}
}

// fresh returns somebody with a code that nobody has used, of the present step or the next one.
func (c *crowd) fresh(tb testing.TB) (person int, code string) {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 2 * (c.to - c.from) {
		person = c.next
		if c.next++; c.next == c.to {
			c.next = c.from
		}
		step := max(time.Now().Unix()/60, c.last[person]+1)
		if step > time.Now().Unix()/60+1 {
			continue
		}
		c.last[person] = step
		return person, codeOf(person, step)
	}
	tb.Error("everybody's codes are used up")
	return c.from, "000000"
}

// codeOf is the code of a step.
func codeOf(person int, step int64) string {
	return otp.CodeAt(otp.SHA1, personSeed(person), 6, time.Minute, time.Unix(step*60, 0))
}
