package boltstore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"otpgate/otp"
)

func TestSecondProcessIsToldWhoHasTheStore(t *testing.T) {
	if path := os.Getenv("OTPGATE_BOLTSTORE_OPEN"); path != "" {
		_, err := Open(Options{Path: path})
		fmt.Printf("locked=%t\n%v\n", errors.Is(err, otp.ErrLocked), err)
		return
	}
	path := filepath.Join(t.TempDir(), "otp.db")
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	second := exec.Command(os.Args[0], "-test.run=^TestSecondProcessIsToldWhoHasTheStore$")
	second.Env = append(os.Environ(), "OTPGATE_BOLTSTORE_OPEN="+path)
	out, err := second.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"locked=true", path, fmt.Sprintf("pid %d", os.Getpid())} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "hint") {
		t.Errorf("what to do is for the command to say:\n%s", out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{Path: path})
	if err != nil {
		t.Fatalf("after the first one has closed it: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	for _, before := range []os.FileMode{0, 0o644, 0o666} {
		if before != 0 {
			if err := os.Chmod(path, before); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, was %v", info.Mode(), before)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a store ", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v", err)
	}
}

func TestMissingDirectoryIsAnError(t *testing.T) {
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "absent", "otp.db")}); err == nil {
		t.Fatal("no error")
	}
}
