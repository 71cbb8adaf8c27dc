package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"otpgate/configs"
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
