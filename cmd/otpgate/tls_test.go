package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/radius/radsec/radsectest"
)

// TestAuthoritiesAreReadAgain: a good new file counts at once; a bad one leaves the old one in force,
// is logged once and shows in a gauge until it is good again.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	var log bytes.Buffer
	name := filepath.Join(t.TempDir(), "ca.pem")
	f := &authorityFile{file: name, logger: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := f.get(); err == nil {
		t.Fatal("authorities without a file")
	}
	registry, minute := prometheus.NewPedanticRegistry(), 0
	watchAuthority(registry, "radsec", f)
	replace := func(text []byte) {
		t.Helper()
		minute++
		at := time.Now().Add(time.Duration(minute) * time.Minute)
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	both := append(first.PEM(), second.PEM()...)
	garbled := bytes.Replace(both, []byte("MII"), []byte("AII"), 1)
	key := func() []byte { _, k, _ := first.Issue(radsectest.Server()); return k }()
	for _, c := range []struct {
		what string
		text []byte
		want *radsectest.Authority
		says string // empty: it is good
	}{
		{"the first", first.PEM(), first, ""},
		{"the second", second.PEM(), second, ""},
		{"nothing", nil, second, "holds no certificate"},
		{"text", []byte("see the other file"), second, "holds no certificate"},
		{"half of one", second.PEM()[:200], second, "certificate 1 is not complete"},
		{"one and a half", both[:len(both)-60], second, "certificate 2 is not complete"},
		{"one that is garbled", garbled, second, "certificate 1: x509"},
		{"a key", append(first.PEM(), key...), second, "PRIVATE KEY"},
		{"the first again", first.PEM(), first, ""},
	} {
		log.Reset()
		replace(c.text)
		pool, err := f.get()
		if err != nil || !pool.Equal(c.want.Pool()) {
			t.Errorf("%s: other authorities, %v", c.what, err)
		}
		if again, _ := f.get(); again != pool {
			t.Errorf("%s: another pool, though nothing changed", c.what)
		}
		if got := log.String(); strings.Count(got, "level=ERROR") != min(len(c.says), 1) || !strings.Contains(got, c.says) {
			t.Errorf("%s: want %q in\n%s", c.what, c.says, got)
		}
		if strings.Contains(log.String(), "MII") {
			t.Errorf("%s: the log shows what is in the file", c.what)
		}
		metric := "# HELP otpgate_client_authorities_stale 1 while the file with the authorities of clients cannot be used and the old ones stay in force.\n" +
			"# TYPE otpgate_client_authorities_stale gauge\n" +
			"otpgate_client_authorities_stale{listener=\"radsec\"} " + map[bool]string{true: "0", false: "1"}[c.says == ""] + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(metric)); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if pool, err := f.get(); err != nil || !pool.Equal(first.Pool()) || !f.stale() {
		t.Errorf("without the file: %v", err)
	}
	replace(second.PEM())
	if pool, err := f.get(); err != nil || !pool.Equal(second.Pool()) || f.stale() {
		t.Errorf("with it again: %v", err)
	}
}

func newAuthority(t *testing.T) *radsectest.Authority {
	t.Helper()
	a, err := radsectest.New("clients")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestARenewedKeyThatIsOpenIsWarnedOf: it is used, and the log tells once.
func TestARenewedKeyThatIsOpenIsWarnedOf(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	f := &certificateFiles{
		certificate: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	for i, c := range []struct {
		mode   os.FileMode
		warned int
	}{{0o600, 0}, {0o644, 1}, {0o640, 0}, {0o604, 1}, {0o660, 1}, {0o400, 0}} {
		if err := os.Remove(f.key); err != nil && i > 0 {
			t.Fatal(err)
		}
		ends := time.Unix(1<<33, 0).AddDate(0, 0, i)
		if err := writeCertificate(f.certificate, f.key, loopback(ends), nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(f.key, c.mode); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(f.key, at, at); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if loaded, err := f.get(); err != nil || !loaded.Leaf.NotAfter.Equal(ends) {
				t.Fatalf("mode %04o: another certificate, %v", c.mode, err)
			}
		}
		if got := log.String(); strings.Count(got, "level=WARN") != c.warned || c.warned > 0 && (!strings.Contains(got, f.key) || !strings.Contains(got, fmt.Sprintf("mode=%04o", c.mode))) {
			t.Errorf("mode %04o: want %d warnings in\n%s", c.mode, c.warned, got)
		}
		log.Reset()
	}
}

// TestACertificateIsReadAgain: a new one counts at once; one that cannot be used leaves the old one in force, is logged once
// and shows in a gauge until it is good again.
func TestACertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	f := &certificateFiles{
		certificate: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	if _, err := f.get(); err == nil {
		t.Fatal("a certificate without a file")
	}
	registry, day := prometheus.NewPedanticRegistry(), 0
	watchCertificate(registry, "enroll", f)
	ends := func(day int) time.Time { return time.Unix(1<<33, 0).AddDate(0, 0, day) }
	changed := func() {
		t.Helper()
		for _, name := range []string{f.certificate, f.key} {
			at := time.Now().Add(time.Duration(day) * time.Minute)
			if err := os.Chtimes(name, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	renew := func() {
		t.Helper()
		day++
		if err := writeCertificate(f.certificate, f.key, loopback(ends(day)), nil); err != nil {
			t.Fatal(err)
		}
		changed()
	}
	in := func(day int, stale, said bool) {
		t.Helper()
		for range 3 {
			c, err := f.get()
			if err != nil || !c.Leaf.NotAfter.Equal(ends(day)) {
				t.Fatalf("another certificate than that of day %d: %v", day, err)
			}
		}
		if got := log.String(); strings.Count(got, "level=ERROR") != map[bool]int{true: 1}[said] || strings.Contains(got, "PRIVATE") {
			t.Errorf("the log of day %d:\n%s", day, got)
		}
		log.Reset()
		metric := "# HELP otpgate_certificate_stale 1 while the files of the listener's certificate cannot be used and the old one stays in force.\n" +
			"# TYPE otpgate_certificate_stale gauge\n" +
			"otpgate_certificate_stale{listener=\"enroll\"} " + map[bool]string{true: "1", false: "0"}[stale] + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(metric), "otpgate_certificate_stale"); err != nil {
			t.Error(err)
		}
	}
	renew()
	in(1, false, false)
	renew()
	in(2, false, false)
	key, err := os.ReadFile(f.key)
	if err != nil {
		t.Fatal(err)
	}
	renew()
	if err := os.WriteFile(f.key, key, 0o600); err != nil { // of the one before
		t.Fatal(err)
	}
	changed()
	in(2, true, true)
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	in(2, true, true)
	renew()
	in(4, false, false)
}
