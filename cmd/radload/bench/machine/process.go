package machine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take to be there, and to end.
const patience = 2 * time.Minute

// Process is a server or a peer that was started for a measurement.
type Process struct {
	Name  string
	cmd   *exec.Cmd
	ended chan struct{}
	log   string
}

// Start runs a program on these cores, as taskset names them, and in this folder, with its output in a file there.
func Start(name, dir, cores, program string, args ...string) (*Process, error) {
	log := filepath.Join(dir, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command("taskset", append([]string{"-c", cores, program}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, out, out, Apart()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &Process{Name: name, cmd: cmd, ended: make(chan struct{}), log: log}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Apart is for what runs beside the bench and must not outlive it. A Ctrl-C at the terminal is for the bench alone,
// which ends the others in their order.
func Apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// Await waits until the process does what it is there for.
func (p *Process) Await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s has ended:\n%s", p.Name, p.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.Name, ctx.Err(), p.lastLines())
		}
	}
	return nil
}

// lastLines is the end of what the process printed.
func (p *Process) lastLines() string {
	text, _ := os.ReadFile(p.log) // what cannot be read is not there
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// Stop ends the process, and waits until it has.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	for range int(patience / time.Second) { // once more every second: Redis forgets that while it makes its first file
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			return
		case <-time.After(time.Second):
		}
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// CPU is how much processor time the process has used, those of its threads that have ended included. The kernel's
// clock of a process counts nanoseconds, where /proc/PID/stat counts hundredths of a second.
func (p *Process) CPU() (time.Duration, error) {
	const scheduled = 2                               // CPUCLOCK_SCHED of clock_getcpuclockid(3)
	clock := ^int32(p.cmd.Process.Pid)<<3 | scheduled // of all its threads
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	return time.Duration(t.Nano()), nil
}

// Memory is how much of its memory is in the machine's, in octets.
func (p *Process) Memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(text))
}

// parseMemory reads VmRSS of /proc/PID/status.
func parseMemory(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS")
}

// FreePort returns a port of 127.0.0.1 that nobody Listens on, neither by TCP nor by UDP.
func FreePort() (int, error) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", l.Addr().String())
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return port, nil
		}
	}
	return 0, errors.New("there is no free port")
}

// Listens reports whether something takes TCP connections at a port.
func Listens(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// Confine moves all threads of the process to these cores, as taskset names them.
func (p *Process) Confine(ctx context.Context, cores string) error {
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-p", "-c", cores, strconv.Itoa(p.cmd.Process.Pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", p.Name, err, out)
	}
	return nil
}
