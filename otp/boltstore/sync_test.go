package boltstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"otpgate/otp"
)

// TestDiskThatLosesSyncs has every fdatasync fail with EIO for a while. What was to be synced is in the kernel's
// memory all the same, and is read from there: nothing may be told by it, not even that the code was used.
func TestDiskThatLosesSyncs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	heal := loseSyncs(t)
	for n := range 5 {
		for _, token := range []byte{2, 2, 3} {
			if r := claimOne(s, useStep("a", int64(101+n), byte(10*n)+token)); !errors.Is(r.Err, otp.ErrUnavailable) || r.Answer != otp.NoAnswer {
				t.Fatalf("while syncs fail: %+v", r)
			}
		}
		if err := s.RemoveDevice(t.Context(), "a", "device"); !errors.Is(err, otp.ErrUnavailable) {
			t.Fatalf("while syncs fail: %v", err)
		}
	}
	if _, err := s.Ping(t.Context()); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("while syncs fail: %v", err)
	}
	heal()
	if _, err := s.Ping(t.Context()); err != nil {
		t.Fatalf("the store does not recover: %v", err)
	}
	for n := range 6 {
		// Whether the first of them has used the step is open; whoever comes then is told the truth.
		first, second := claimOne(s, useStep("a", int64(100+n), byte(10*n+4))), claimOne(s, useStep("a", int64(100+n), byte(10*n+5)))
		if first.Answer != otp.Used && (first.Answer != otp.Claimed || n == 0) || second.Answer != otp.Used {
			t.Errorf("step %d: %+v, then %+v", 100+n, first, second)
		}
	}
	usedUp := func(s otp.Store) {
		t.Helper()
		for n := range 6 {
			if r := claimOne(s, useStep("a", int64(100+n), byte(10*n+6))); r.Answer != otp.Used {
				t.Errorf("step %d: %+v", 100+n, r)
			}
		}
	}
	usedUp(openAt(t, Killed(t, s)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	usedUp(openAt(t, path))
}

// loseSyncs has strace answer for the kernel: every fdatasync of this process fails, and does nothing, until heal.
func loseSyncs(t *testing.T) (heal func()) {
	t.Helper()
	if err := unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: anybody may
		t.Fatal(err)
	}
	tracer := exec.Command("strace", "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-o", os.DevNull, "-p", fmt.Sprint(os.Getpid()))
	said, err := tracer.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, " attached") {
		t.Fatalf("strace: %q, %v", line, err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	healed := false
	heal = func() {
		if healed {
			return
		}
		healed = true
		_ = tracer.Process.Signal(os.Interrupt) // which has it let go
		<-drained
		_ = tracer.Wait() // says that it was interrupted
	}
	t.Cleanup(heal)
	return heal
}
