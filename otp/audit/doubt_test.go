package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp/audit"
)

// forgetting is a trail on a disk that takes everything and confirms nothing: the file is /dev/null, which
// takes any write and fails every fsync.
func forgetting(t *testing.T, o audit.Options) (l *audit.Log, mend func(), logged *bytes.Buffer) {
	t.Helper()
	o.Dir, logged = t.TempDir(), new(bytes.Buffer)
	o.Logger = slog.New(slog.NewTextHandler(logged, nil))
	path := filepath.Join(o.Dir, audit.Name)
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Fatal(err)
	}
	return open(t, o), func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}, logged
}

// lostIn is what the trail says of how many are lost.
func lostIn(t *testing.T, l *audit.Log) (n int64, details string) {
	t.Helper()
	for _, e := range events(t, l, audit.Filter{Kind: audit.System}) {
		n, details = n+e.Count, details+e.Detail
	}
	return n, details
}

// TestWhatTheDiskDoesNotConfirmIsCounted: the first that asks is told that it failed, and nobody knows any more
// what became of those before, who did not ask.
func TestWhatTheDiskDoesNotConfirmIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	l, mend, logged := forgetting(t, audit.Options{Registerer: registry})
	for n := range 10 {
		record(t, l, event(n))
	}
	until(t, func() bool { return counter(t, registry, "otpgate_audit_events_total") == 10 })
	if err := l.Keep(context.Background(), accounting(10)); !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("kept: %v", err)
	}
	until(t, func() bool { return counter(t, registry, "otpgate_audit_dropped_total") >= 11 })
	mend()
	if err := l.Keep(context.Background(), accounting(11)); err != nil {
		t.Error(err)
	}
	until(t, func() bool { n, _ := lostIn(t, l); return n > 0 })
	if n, details := lostIn(t, l); n != 11 || !strings.Contains(details, "perhaps") {
		t.Errorf("the trail says that %d are lost: %s", n, details)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := logged.String(); !strings.Contains(text, "perhaps not on disk") || !strings.Contains(text, "count=10") {
		t.Errorf("%s", text)
	}
}

// TestWhatIsNotConfirmedAtARotationIsCounted: nobody asks there but the writer itself.
func TestWhatIsNotConfirmedAtARotationIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	l, mend, logged := forgetting(t, audit.Options{MaxBytes: 1, Registerer: registry})
	record(t, l, event(0))
	until(t, func() bool { return counter(t, registry, "otpgate_audit_events_total") == 1 })
	record(t, l, event(1))
	until(t, func() bool { return counter(t, registry, "otpgate_audit_dropped_total") >= 1 })
	mend()
	until(t, func() bool { n, _ := lostIn(t, l); return n >= 2 }) // the other one when the file is left behind
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, _ := lostIn(t, l); n != 2 {
		t.Errorf("the trail says that %d are lost", n)
	}
	if strings.Contains(logged.String(), "nothing is lost") {
		t.Errorf("%s", logged)
	}
}

// TestWhatIsNotConfirmedAtTheEndIsLogged, because the trail can say nothing any more.
func TestWhatIsNotConfirmedAtTheEndIsLogged(t *testing.T) {
	l, _, logged := forgetting(t, audit.Options{})
	for n := range 3 {
		record(t, l, event(n))
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := logged.String(); !strings.Contains(text, "nothing in the audit trail says so") || !strings.Contains(text, "count=3") {
		t.Errorf("%q", text)
	}
}
