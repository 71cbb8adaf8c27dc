package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

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

// TestAFileThatIsRemovedWhileItIsOpen is used no more: what is written to it would be gone.
func TestAFileThatIsRemovedWhileItIsOpen(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	backup := copied(t, s)
	if err := os.Remove(s.options.Path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if r := claimOne(s, useStep("a", 101, 2)); !errors.Is(r.Err, otp.ErrUnavailable) {
			t.Fatalf("%+v", r)
		}
		if err := s.RemoveDevice(t.Context(), "a", "device"); !errors.Is(err, otp.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(backup, s.options.Path); err != nil { // its journal is still there
		t.Fatal(err)
	}
	for n, want := range []otp.Answer{otp.Used, otp.Claimed} {
		if r := claimOne(s, useStep("a", int64(100+2*n), byte(3+n))); r.Answer != want {
			t.Errorf("step %d: %+v", 100+2*n, r)
		}
	}
}

// TestAFileThatIsReplacedBeforeAStop keeps the journal that belongs to what is there now.
func TestAFileThatIsReplacedBeforeAStop(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := os.Rename(copied(t, s), s.options.Path); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if r := claimOne(openAt(t, s.options.Path), useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
}

// TestAFileThatIsMovedBeforeAStop loses nothing that was claimed before or since, once it is put back.
func TestAFileThatIsMovedBeforeAStop(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	path, away := s.options.Path, filepath.Join(t.TempDir(), "away.db")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	if r := claimOne(s, useStep("a", 101, 2)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	_ = s.Close()
	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	for n, want := range []otp.Answer{otp.Used, otp.Used, otp.Claimed} {
		if r := claimOne(s, useStep("a", int64(100+n), byte(3+n))); r.Answer != want {
			t.Errorf("step %d: %+v", 100+n, r)
		}
	}
}

// TestAnAnswerIsPrecededByAWrite: what a file says that was just opened may be in the kernel's memory alone.
func TestAnAnswerIsPrecededByAWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := s.Close(); err != nil { // it is folded: there is no entry to be written once more
		t.Fatal(err)
	}
	s = openAt(t, path)
	number := func() (n int) {
		t.Helper()
		if err := s.view(func(tx *bbolt.Tx) error { n = tx.ID(); return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := number()
	if r := claimOne(s, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Fatalf("%+v", r)
	}
	after := number()
	if after <= before {
		t.Errorf("the answer came after transaction %d, which was there before", after)
	}
	if r := claimOne(s, useStep("a", 100, 2)); r.Answer != otp.Used || number() != after {
		t.Errorf("%+v; transaction %d, want %d: once is enough", r, number(), after)
	}
}

// TestATicketThatCannotBeReadIsItsAccountsTroubleAlone.
func TestATicketThatCannotBeReadIsItsAccountsTroubleAlone(t *testing.T) {
	var logged bytes.Buffer
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "otp.db"), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, account := range []string{"a", "b"} {
		if err := s.PutTicket(t.Context(), otp.Ticket{Account: account, Digest: otp.Digest{1}, Tries: 3, Expires: noon.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.do(t.Context(), &request{file: true, run: func(c *commit) {
		c.put(c.tx.Bucket(ticketsBucket), ticketKey(0, "a"), []byte{format + 1, 1, 2})
	}}); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []func(context.Context, otp.TicketKind, string, otp.Digest, time.Time) (bool, error){s.CheckTicket, s.TakeTicket} {
		if ok, err := ask(t.Context(), 0, "a", otp.Digest{1}, noon); ok || !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%v, %v", ok, err)
		}
		if ok, err := ask(t.Context(), 0, "b", otp.Digest{1}, noon); !ok || err != nil {
			t.Errorf("somebody else's: %v, %v", ok, err)
		}
	}
	if err := s.Close(); err != nil || logged.Len() > 0 {
		t.Errorf("%v; the log: %s", err, logged.String())
	}
}
