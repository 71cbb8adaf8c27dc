package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	secret   = "testing-secret"
	patience = 60 * time.Second // of a busy machine, with the race detector
)

// TestMain builds otpgate once: what is loaded is the real program, with the race detector where these tests have it.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "radload")
	if err != nil {
		panic(err)
	}
	otpgate = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "otpgate")
		args := []string{"build", "-o", path}
		if raceEnabled {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "otpgate/cmd/otpgate")...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return path, err
	})
	if err := os.Setenv("GORACE", "halt_on_error=1"); err != nil { // for the nodes
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

var otpgate func() (string, error)

// build builds a program of ours.
func build(t *testing.T, path, pkg string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// world is a folder with devices, and what runs there.
type world struct {
	t    *testing.T
	dir  string
	addr string
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// radload runs a command line in this process.
func radload(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	return radloadUntil(ctx, args...)
}

func radloadUntil(ctx context.Context, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	p := &program{out: &stdout, err: &stderr, now: time.Now, reachable: func(a netip.Addr) bool { return a.IsLoopback() }}
	status = p.execute(ctx, args)
	return status, stdout.String(), stderr.String()
}

// load loads the world's server, and returns the report and the exit status.
func (w *world) load(args ...string) (report, int) {
	w.t.Helper()
	status, out, errs := radload(w.t, append([]string{
		"run", "--server", w.addr, "--secret", secret, "--master", "bench", "--json", "--quiet", "--new-step=false",
	}, args...)...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.t.Fatalf("status %d, %v\n%s%s", status, err, out, errs)
	}
	return r, status
}

// freePort returns a port that is free for both TCP and UDP on 127.0.0.1.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// start runs a program until the test ends. Its output is in the returned buffer when it has.
func (w *world) start(name string, args ...string) <-chan struct{} {
	w.t.Helper()
	log, err := os.OpenFile(w.path(filepath.Base(name)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		_ = log.Close()
		close(ended)
	}()
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		noRace(w.t, log.Name())
		if w.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			w.t.Logf("%s:\n%s", name, text)
		}
	})
	return ended
}

// memoryMetric tells how much memory a node has, in octets: all of it, but with the race detector without its shadow of what was
// ever used, which is four times as much and grows with that.
func memoryMetric() string {
	if raceEnabled {
		return "go_memstats_sys_bytes"
	}
	return "process_resident_memory_bytes"
}

// noRace fails the test when a node's log tells of a race: the node ended there, and may have been started again.
func noRace(t *testing.T, log string) {
	t.Helper()
	text, err := os.ReadFile(log)
	if report := raceIn(string(text)); err != nil || report != "" {
		t.Errorf("%s, %v: %s", log, err, report)
	}
}

// raceIn is what a log tells of a race, from where it begins; "" when it tells of none.
func raceIn(log string) string {
	if at := strings.Index(log, "WARNING: DATA RACE"); at >= 0 {
		return log[at:min(len(log), at+4000)]
	}
	return ""
}

// TestARaceIsSeen in what a program says that has one.
func TestARaceIsSeen(t *testing.T) {
	const report = "WARNING: DATA RACE\nWrite at 0x00c000012345 by goroutine 7:\n"
	for log, want := range map[string]string{
		"level=WARN msg=x\n==================\n" + report: report, report + strings.Repeat("x", 5000): report + strings.Repeat("x", 4000-len(report)),
		"level=WARN msg=x\n": "", "": "",
	} {
		if got := raceIn(log); got != want {
			t.Errorf("%.40q: %.80q, want %.80q", log, got, want)
		}
	}
}

// await asks until the answer is yes.
func await(t *testing.T, what string, ended <-chan struct{}, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s has ended", what)
		case <-deadline:
			t.Fatalf("%s is not ready", what)
		}
	}
}

// node starts otpgate with so many devices, on its embedded store.
func node(t *testing.T, count int, login string) *world {
	t.Helper()
	binary, err := otpgate()
	if err != nil {
		t.Fatal(err)
	}
	port, metrics := freePort(t), freePort(t)
	w := &world{t: t, dir: t.TempDir(), addr: "127.0.0.1:" + port}
	status, _, errs := radload(t, "devices", "--master", "bench", "--count", fmt.Sprint(count), "--password", "pw-{name}",
		"--csv", w.path("devices.csv"), "--ldif", w.path("people.ldif"))
	if status != 0 {
		t.Fatal(errs)
	}
	w.write("otpgate.yaml", strings.NewReplacer("PORT", port, "METRICS", metrics, "LOGIN", login, "SECRET", secret).Replace(`
data_dir: data
radius:
  listen: ["127.0.0.1:PORT"]
  reject_delay: 100ms
  clients: [{name: vpn, networks: [127.0.0.1/32], secret: SECRET, login: LOGIN}]
directories: [{name: lab, ldif_file: people.ldif, base_dn: "dc=lab"}]
metrics: {listen: "127.0.0.1:METRICS"}
`))
	w.serve(binary, metrics)
	return w
}

// serve starts the node that otpgate.yaml describes, and imports devices.csv.
func (w *world) serve(binary, metrics string) {
	w.t.Helper()
	ended := w.start(binary, "serve", "--config", "otpgate.yaml")
	await(w.t, "otpgate", ended, func() bool {
		answer, err := http.Get("http://127.0.0.1:" + metrics + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	enroll := exec.CommandContext(w.t.Context(), binary, "device", "import", "--csv", "devices.csv", "--config", "otpgate.yaml")
	enroll.Dir = w.dir
	if out, err := enroll.CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

func unheld(r report) (names []string) {
	for _, e := range r.Expectations {
		if !e.Held {
			names = append(names, e.Name)
		}
	}
	return names
}

// TestNode loads a node in every way, and finds nothing wrong with it.
func TestNode(t *testing.T) {
	t.Parallel()
	w := node(t, 2000, "code")
	for _, c := range []struct {
		name   string
		args   []string
		right  func(r report) bool
		status int
		unheld string
	}{
		{
			name: "closed loop", args: []string{"--outstanding", "32", "--logins", "300"},
			right: func(r report) bool { return r.Logins.Accepted == 300 && r.Latency["accepted"].Count == 300 },
		},
		{
			name: "replays at once", args: []string{"--first", "300", "--rate", "100", "--duration", "2s", "--replay", "at-once"},
			right: func(r report) bool { return r.Logins.Accepted == 200 && r.Replays.Refused == 200 },
		},
		{
			name: "replays afterwards", args: []string{"--first", "500", "--rate", "100", "--duration", "1s", "--replay", "afterwards"},
			right: func(r report) bool { return r.Logins.Accepted == 100 && r.Replays.Refused == 100 },
		},
		{
			name: "floods", args: []string{
				"--first", "600", "--rate", "50", "--duration", "2s", "--flood", "garbage:500", "--flood", "stranger:500@127.0.0.99",
				"--flood", "forged:500", "--flood", "unknown:100",
			},
			right: func(r report) bool { return r.Logins.Accepted == 100 && len(r.Floods) == 4 },
		},
		{
			name: "guesses", args: []string{"--first", "1000", "--count", "1100", "--flood", "guess:200", "--duration", "1s"},
			right: func(r report) bool { return r.Floods[0].Answered > 0 && r.Floods[0].Accepted == 0 },
		},
		{
			name: "wrong codes", args: []string{"--first", "700", "--outstanding", "8", "--logins", "50", "--wrong", "1"},
			right: func(r report) bool { return r.Logins.Refused == 50 },
		},
		{
			name: "used codes", args: []string{"--first", "1980", "--outstanding", "2", "--logins", "60", "--reuse", "refused"},
			right: func(r report) bool { return r.Logins.Accepted+r.Logins.Refused == 60 && r.Logins.Refused >= 20 },
		},
		{
			name: "used codes that are thought to pass", args: []string{"--first", "1960", "--count", "1970", "--outstanding", "1", "--logins", "30", "--reuse", "accepted"},
			right: func(r report) bool {
				return r.Logins.WronglyRefused > 0 && r.Mistakes[0].What == "refused wrongly" && r.Mistakes[0].Server == r.Servers[0]
			}, status: 1, unheld: "nobody_out_wrongly",
		},
		{
			name: "too slow", args: []string{"--first", "800", "--outstanding", "1", "--logins", "20", "--max-p50", "1us", "--max-p99", "1us", "--max-silence", "1us", "--min-rate", "1e6"},
			right: func(r report) bool { return r.Logins.Accepted == 20 }, status: 1, unheld: "p50,p99,silence,rate",
		},
		{
			name: "a flood alone", args: []string{"--flood", "forged:1000", "--duration", "500ms"},
			right: func(r report) bool { return r.Logins == nil && r.Floods[0].Sent > 300 && r.Floods[0].Answered == 0 },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--count") {
				args = append(args, "--count", "2000")
			}
			r, status := w.load(append(args, "--timeout", "20s")...)
			if status != c.status || strings.Join(unheld(r), ",") != c.unheld || !c.right(r) {
				t.Errorf("status %d, not held %q\n%+v\n%+v\n%+v", status, unheld(r), r.Logins, r.Packets, r.Expectations)
			}
		})
	}
}

// TestChallenge gives the password first, and then the code.
func TestChallenge(t *testing.T) {
	t.Parallel()
	w := node(t, 100, "password-then-code")
	r, status := w.load("--count", "100", "--login", "password-then-code", "--password", "pw-{name}", "--outstanding", "8", "--logins", "100", "--timeout", "20s")
	if status != 0 || r.Logins.Accepted != 100 || r.Packets.Answered != 200 {
		t.Errorf("status %d, %+v %+v", status, r.Logins, unheld(r))
	}
}

// TestPasswordAndCode gives both in one.
func TestPasswordAndCode(t *testing.T) {
	t.Parallel()
	w := node(t, 50, "password+code")
	r, status := w.load("--count", "50", "--login", "password+code", "--password", "pw-{name}", "--outstanding", "8", "--logins", "50", "--timeout", "20s")
	if status != 0 || r.Logins.Accepted != 50 {
		t.Errorf("status %d, %+v %+v", status, r.Logins, unheld(r))
	}
}

// TestAnotherSecret gets no answer from a node, and says so.
func TestAnotherSecret(t *testing.T) {
	t.Parallel()
	w := node(t, 10, "code")
	status, out, errs := radload(t, "run", "--server", w.addr, "--secret", "another-secret", "--master", "bench", "--count", "10",
		"--outstanding", "5", "--logins", "10", "--timeout", "100ms", "--tries", "2")
	if status != 1 || !strings.Contains(out, "few_lost") || !strings.Contains(out, "10 lost") || strings.Contains(out+errs, "another-secret") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}

// TestInterrupted reports what there was.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	w := node(t, 10, "code")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	status, out, errs := radloadUntil(ctx, "run", "--server", w.addr, "--secret", secret, "--master", "bench", "--count", "10", "--reuse", "refused",
		"--rate", "10", "--duration", "1h", "--timeout", "20s")
	if status != statusInterrupted || !strings.Contains(out, "accepted") || !strings.Contains(errs, "outstanding") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}
