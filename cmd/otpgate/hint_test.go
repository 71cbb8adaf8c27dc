package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"otpgate/configs"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
	"otpgate/otp/redisstore"
)

// Each kind of error has one hint, however it is wrapped; what was said where it was met wins.
func TestErrorsHaveOneHint(t *testing.T) {
	for want, err := range map[string]error{
		"ca_file":             x509.UnknownAuthorityError{},
		"name that is in":     x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"},
		"renew":               x509.CertificateInvalidError{Reason: x509.Expired},
		"not one for":         x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"chmod 600":           keyset.ErrExposed,
		"another node":        keyset.ErrDamaged,
		"everybody enrolls":   boltstore.ErrDamaged,
		".journal.lost":       boltstore.ErrNoJournal,
		"noeviction":          fmt.Errorf("%w: %w", otp.ErrUnavailable, redisstore.ErrEvicts),
		"one node":            otp.ErrLocked,
		"free space":          syscall.ENOSPC,
		"read-only":           syscall.EROFS,
		"user that the file":  &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		"said where it arose": withHint(otp.ErrLocked, "said where it arose"),
	} {
		hint := hintFor(fmt.Errorf("while something: %w", err))
		if !strings.Contains(hint, want) || strings.Contains(hint, "\n") || strings.HasSuffix(hint, ".") {
			t.Errorf("%v: %q, want %q", err, hint, want)
		}
	}
	if hint := hintFor(errors.New("something else")); hint != "" {
		t.Errorf("%q", hint)
	}
}

// TestADataDirIsTakenWhereTheSocketCanBe: the configuration knows how long the path of the operator socket may be, as whoever
// makes it does.
func TestADataDirIsTakenWhereTheSocketCanBe(t *testing.T) {
	base, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	for length, good := range map[int]bool{103: true, 104: false} {
		dir := filepath.Join(base, strings.Repeat("x", length-len(base)-len("//"+operator.SocketName)))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(base, "otpgate.yaml")
		if err := os.WriteFile(file, []byte("data_dir: "+dir+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, problems := configs.Read(file, os.LookupEnv)
		if taken := !slices.ContainsFunc(problems.List, func(p configs.Problem) bool { return p.Key == "data_dir" }); taken != good {
			t.Errorf("%d octets: taken: %t: %v", length, taken, problems)
		}
		l, err := operator.Listen(filepath.Join(dir, operator.SocketName))
		if (err == nil) != good {
			t.Errorf("%d octets: %v", length, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
}

// TestWhatIsInTheWayOfTheSocketIsSaid: another node is suspected where there may be one.
func TestWhatIsInTheWayOfTheSocketIsSaid(t *testing.T) {
	for want, err := range map[string]error{
		"another node": operator.ErrRunning,
		"same data_":   &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EAGAIN)},
		"move away":    errors.New("there is something else in the place of the socket"),
		"free space":   syscall.ENOSPC,
	} {
		hint := hintFor(socketInTheWay(fmt.Errorf("operator: %w", err), &configs.Config{}))
		if !strings.Contains(hint, want) || strings.Contains(hint, "another node") != (want == "another node" || want == "same data_") {
			t.Errorf("%v: %q, want %q", err, hint, want)
		}
	}
}

// TestHowLongToWaitAfterALossIsOfTheConfiguration: codes that are good for longer are used again by who waits for less.
func TestHowLongToWaitAfterALossIsOfTheConfiguration(t *testing.T) {
	for want, c := range map[string]configs.OTP{
		"wait 7 minutes":    {Period: time.Minute, Window: 1, MaxDrift: 2},
		"wait 35 minutes":   {Period: 5 * time.Minute, Window: 1, MaxDrift: 2},
		"wait 11 minutes":   {Period: time.Minute, Window: 5},
		"wait 0.25 minutes": {Period: 15 * time.Second},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, embeddedName), []byte("no store"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openStore(&configs.Config{DataDir: dir, OTP: c}, slog.New(slog.DiscardHandler), nil, time.Now)
		if hint := hintFor(err); !errors.Is(err, boltstore.ErrDamaged) || !strings.Contains(hint, want) {
			t.Errorf("%v: %q, want %q", err, hint, want)
		}
	}
}

// TestWhatPeersSayInErrorsDoesNothingToATerminal, and errors that were joined keep a line each.
func TestWhatPeersSayInErrorsDoesNothingToATerminal(t *testing.T) {
	var out bytes.Buffer
	rt := &runtime{err: &out}
	rt.report(withHint(errors.Join(errors.New("stop a: \x1b[2Jgone\r"), errors.New(`stop b: no such account: CORP\alice`)), "see \x1b]0;it\x07"))
	const want = `otpgate: error: stop a: \x1b[2Jgone\r
stop b: no such account: CORP\alice
otpgate: hint: see \x1b]0;it\a
`
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
