package redistest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Server is a redis-server that belongs to a test.
type Server struct {
	Addr string // 127.0.0.1 and a port that stays the same over Stop and Start
	Dir  string // where it keeps its files

	t    testing.TB
	args []string
	tls  bool

	command []string // all arguments, for what is not a usual server

	mu      sync.Mutex
	process *os.Process
	exited  chan struct{} // closed when process has ended
}

// Start runs a redis-server with these arguments after the default ones. With --tls-cert-file
// among them the port is one for TLS. It ends with the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is missing: install Debian's package redis-server")
	}
	s := &Server{t: t, Dir: t.TempDir(), args: args, tls: slices.Contains(args, "--tls-cert-file")}
	t.Cleanup(s.Kill)
	var err error
	for range 5 { // somebody else may take the port before the server does
		s.Addr = FreeAddr(t)
		if err = s.start(); err == nil {
			return s
		}
		s.Kill()
	}
	t.Fatal(err)
	return nil
}

// FreeAddr returns an address of 127.0.0.1 that nobody listens on at the moment.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start runs the server again after Stop or Kill, on the same port, with what is on its disk.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) start() error {
	_, port, _ := net.SplitHostPort(s.Addr)
	args := []string{"--bind", "127.0.0.1", "--port", port, "--dir", s.Dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"}
	if s.tls {
		args = append(args, "--port", "0", "--tls-port", port)
	}
	args = append(args, s.args...)
	if s.command != nil {
		args = s.command
	}
	output := new(bytes.Buffer)
	cmd := exec.Command("redis-server", args...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s.mu.Lock()
	s.process, s.exited = cmd.Process, exited
	s.mu.Unlock()
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-exited:
			return fmt.Errorf("redis-server has ended:\n%s", output)
		case <-deadline:
			return errors.New("redis-server does not answer after 30 s")
		case <-poll.C:
			if s.answers() {
				return nil
			}
		}
	}
}

// answers reports whether the server has loaded its data and takes commands.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if s.tls {
		return true
	}
	defer time.AfterFunc(5*time.Second, func() { _ = conn.Close() }).Stop()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && !strings.HasPrefix(line, "-LOADING")
}

// Stop ends the server as an operator would.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a power failure would. It may be called when the server is not running.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Freeze makes the server hang: connections stay open and nothing is answered.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) end(sig syscall.Signal) {
	if exited := s.signal(sig); exited != nil {
		if sig == syscall.SIGTERM {
			s.signal(syscall.SIGCONT) // one that hangs cannot end
		}
		<-exited
	}
}

// signal returns what is closed when the server has ended; nil when it was never started.
func (s *Server) signal(sig syscall.Signal) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(sig) // an error says that it has ended
	}
	return s.exited
}

// IsMaster asks the server for its role.
func (s *Server) IsMaster(ctx context.Context) bool {
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = client.Close() }()
	role, err := client.Do(ctx, "role").Slice()
	return err == nil && len(role) > 0 && role[0] == "master"
}

// Names reports whether the server is a sentinel that tells that this is the master. It learns of a promotion up
// to a second later.
func (s *Server) Names(ctx context.Context, master *Server) bool {
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer func() { _ = client.Close() }()
	told, err := client.Do(ctx, "sentinel", "get-master-addr-by-name", MasterName).StringSlice()
	return err == nil && len(told) == 2 && net.JoinHostPort(told[0], told[1]) == master.Addr
}
