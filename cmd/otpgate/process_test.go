package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for something that should happen soon. The race detector on
// a busy machine is slow; a test that passes does not wait.
const patience = 30 * time.Second

// process is a node that a script started: the real program, in a process of its own.
type process struct {
	cmd    *exec.Cmd
	log    string // file with all that it printed
	exited chan struct{}
	err    error
}

// cmdNode starts, signals and stops nodes. What a node prints is in the file NAME.log.
func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "node start|stop|interrupt|kill|hup|wait NAME [otpgate arguments...]")
	b, verb, name := benchOf(ts), args[0], args[1]
	if verb == "start" {
		b.start(ts, name, args[2:])
		return
	}
	p := b.nodes[name]
	if p == nil {
		ts.Fatalf("node %s was never started", name)
	}
	switch verb {
	case "hup":
		ts.Check(p.cmd.Process.Signal(syscall.SIGHUP))
	case "stop":
		ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
		began := time.Now()
		p.wait(ts, name)
		if len(args) == 4 && args[2] == "within" {
			most, err := time.ParseDuration(args[3])
			ts.Check(err)
			if took := time.Since(began); took > most {
				ts.Fatalf("node %s took %s to stop, want %s at most", name, took, most)
			}
		}
		if p.err != nil {
			ts.Fatalf("node %s did not stop cleanly: %v\n%s", name, p.err, ts.ReadFile(p.log))
		}
	case "interrupt":
		ts.Check(p.cmd.Process.Signal(syscall.SIGINT))
		p.wait(ts, name)
	case "kill":
		ts.Check(p.cmd.Process.Kill())
		p.wait(ts, name)
	case "wait":
		p.wait(ts, name)
	default:
		ts.Fatalf("node: unknown verb %q", verb)
	}
}

func (b *bench) start(ts *testscript.TestScript, name string, args []string) {
	out, err := os.OpenFile(ts.MkAbs(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer out.Close()
	cmd := otpgateCommand(ts, args)
	cmd.Stdout, cmd.Stderr = out, out
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, log: name + ".log", exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	b.nodes[name] = p
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-p.exited
	})
}

// otpgateCommand is the program under test in a process of its own, which ends with the test.
func otpgateCommand(ts *testscript.TestScript, args []string) *exec.Cmd {
	program := "otpgate"
	if ts.Getenv("AHEAD") != "" {
		program = "otpgate-ahead"
	}
	if ts.Getenv("JUMPS") != "" {
		program = "otpgate-jumps"
	}
	path, err := exec.LookPath(filepath.Join(strings.SplitN(ts.Getenv("PATH"), string(os.PathListSeparator), 2)[0], program))
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{
		"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR"),
		"GORACE=halt_on_error=1", "GOGC=" + ts.Getenv("GOGC"), "LDAP_PASSWORD=" + ts.Getenv("LDAP_PASSWORD"), "AHEAD=" + ts.Getenv("AHEAD"),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// bounded is a program that has to end by itself, and is ended when it does not: a test that hangs tells
// nothing.
func bounded(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	ts.Defer(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // for whoever has its output open still
	return cmd
}

// cmdStuck runs otpgate in the background, with a standard input that neither ends nor brings
// anything, and a standard output that nobody reads.
func cmdStuck(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "stuck otpgate arguments...")
	cmd := otpgateCommand(ts, args)
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_, _ = in.Close(), out.Close()
	})
}

// cmdTrail writes an audit trail of so many events, before the node starts.
func cmdTrail(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "trail FILE NUMBER")
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	line := `{"time":"2026-01-02T03:04:05Z","kind":"system","action":"started","detail":"` + strings.Repeat("x", 150) + `"}` + "\n"
	ts.Check(os.WriteFile(path, []byte(strings.Repeat(line, number)), 0o600))
}

func (p *process) wait(ts *testscript.TestScript, name string) {
	select {
	case <-p.exited:
	case <-time.After(patience):
		ts.Fatalf("node %s does not end", name)
	}
}

// cmdPorts finds ports that are free for both TCP and UDP on 127.0.0.1 and sets one variable each.
func cmdPorts(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "ports VARIABLE...")
	for _, name := range args {
		ts.Setenv(name, fmt.Sprint(freePort(ts)))
	}
}

// taken remembers ports handed out, because scripts run side by side.
var taken sync.Map

// freePort is findPort for a script.
func freePort(ts *testscript.TestScript) int {
	port, err := findPort()
	ts.Check(err)
	return port
}

// findPort finds a port that is free for both TCP and UDP on 127.0.0.1, below those that the system gives to
// whoever asks for none (32768 and above): while a node is down, nobody else comes to have its port.
func findPort() (int, error) {
	for range 1000 {
		port := 12_000 + rand.IntN(20_000)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", addr)
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = u.Close()
		if _, seen := taken.LoadOrStore(port, true); !seen {
			return port, nil
		}
	}
	return 0, errors.New("no free port")
}

// cmdCapture sets a variable to what a pattern's group finds in a file, stdout or stderr.
func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "capture VARIABLE file|stdout|stderr pattern-with-group")
	re, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	text := ts.ReadFile(args[1])
	m := re.FindStringSubmatch(text)
	if len(m) < 2 {
		ts.Fatalf("%s does not match %q:\n%s", args[1], args[2], text)
	}
	ts.Setenv(args[0], m[1])
}

// cmdAwait waits until a file matches a pattern: for what a node logs or records in its own time.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "await file pattern")
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var last []byte
	ok := eventually(func() bool {
		last, _ = os.ReadFile(ts.MkAbs(args[0]))
		return re.Match(last)
	})
	if !ok {
		ts.Fatalf("%s does not come to match %q:\n%s", args[0], args[1], bytes.TrimSpace(last))
	}
}

// eventually asks until the answer is yes or patience ends.
func eventually(is func() bool) bool { return comesWithin(patience, is) }

// comesWithin asks until the answer is yes or the time is over.
func comesWithin(long time.Duration, is func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if is() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// cmdExits runs a program and checks its exit status; stdout and stderr are for what follows.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "exits STATUS program [arguments...]")
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s exits with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// once runs otpgate to its end, and returns what it prints.
func once(ts *testscript.TestScript, args []string) ([]byte, error) {
	node := otpgateCommand(ts, args)
	cmd := bounded(ts, node.Path, args...)
	cmd.Dir, cmd.Env = node.Dir, node.Env
	return cmd.Output()
}

// cmdSoon runs otpgate again and again until what it prints matches a pattern.
//
//	soon PATTERN otpgate arguments...
func cmdSoon(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 3, "soon PATTERN otpgate arguments...")
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var last []byte
	if !eventually(func() bool {
		last, err = once(ts, args[2:])
		return err == nil && re.Match(last)
	}) {
		ts.Fatalf("otpgate %s does not come to say %q: %v\n%s", strings.Join(args[2:], " "), args[0], err, last)
	}
}
