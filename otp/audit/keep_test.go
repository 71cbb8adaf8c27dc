package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp/audit"
)

func accounting(n int) audit.Event {
	e := event(n)
	e.Kind, e.Action, e.Client, e.NAS, e.Session = audit.Accounting, "stop", "vpn", "nas1", "5A3F"
	e.Traffic = &audit.Traffic{Address: "10.8.0.2", Seconds: 3600, In: 1 << 33, Out: 7, Cause: "User-Request"}
	return e
}

func TestWhatWasKeptIsOnDisk(t *testing.T) {
	for _, required := range []bool{false, true} {
		dir := t.TempDir()
		l := open(t, audit.Options{Dir: dir, Required: required})
		if err := l.Keep(context.Background(), accounting(1), accounting(2)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, audit.Name)) // without waiting
		if lines := strings.Split(string(data), "\n"); err != nil || len(lines) != 3 {
			t.Fatalf("required %t: %v\n%s", required, err, data)
		} else if err := json.Unmarshal([]byte(lines[0]), new(audit.Event)); err != nil {
			t.Error(err)
		}
		if err := l.Keep(context.Background()); err != nil {
			t.Errorf("nothing to keep: %v", err)
		}
	}
}

func TestAccountingIsFound(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir()})
	record(t, l, event(1))
	want := accounting(2)
	if err := l.Keep(context.Background(), want, event(3)); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]audit.Filter{"kind": {Kind: audit.Accounting}, "session": {Session: "5a3f"}} {
		got := events(t, l, f)
		if len(got) != 1 {
			t.Fatalf("%s: %+v", name, got)
		}
		want.Time = got[0].Time
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What a gateway says may be long and hostile; what it says is cut, and not in the caller's hands.
func TestAccountingIsBounded(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir()})
	e, long := accounting(1), strings.Repeat("ü\n", 2000)
	e.NAS, e.Session, e.Traffic.Address, e.Traffic.Cause = long, long, long, long
	if err := l.Keep(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	got := events(t, l, audit.Filter{})[0]
	for name, text := range map[string]string{"nas": got.NAS, "session": got.Session, "address": got.Traffic.Address, "cause": got.Traffic.Cause} {
		if len(text) == 0 || len(text) > 520 {
			t.Errorf("%s: %d octets", name, len(text))
		}
	}
	if e.Traffic.Cause != long {
		t.Error("the caller's event was changed")
	}
}

// On a full disk nothing is said to be kept, although logins pass: the gateway sends it again, and
// then it is.
func TestNothingIsKeptOnAFullDisk(t *testing.T) {
	if !inChild(t) {
		return
	}
	var log strings.Builder
	registry := prometheus.NewRegistry()
	l := open(t, audit.Options{Dir: t.TempDir(), Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx := context.Background()
	if err := l.Keep(ctx, accounting(1)); err != nil {
		t.Fatal(err)
	}
	free := fillDisk(t, 0)
	for range 2 {
		if err := l.Keep(ctx, accounting(2)); !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, syscall.EFBIG) {
			t.Errorf("on a full disk: %v", err)
		}
		record(t, l, event(3)) // never fails
	}
	until(t, func() bool { return counter(t, registry, "otpgate_audit_dropped_total") == 4 })
	free()
	if err := l.Keep(ctx, accounting(2)); err != nil {
		t.Errorf("when there is room again: %v", err)
	}
	until(t, func() bool { return l.Healthy() == nil })
	if got := ids(t, l, audit.Filter{Kind: audit.Accounting}); strings.Join(got, " ") != "00000001 00000002" {
		t.Errorf("on record: %v", got)
	}
	var lost int64
	for _, e := range events(t, l, audit.Filter{Kind: audit.System}) {
		lost += e.Count
	}
	if lost != 4 {
		t.Errorf("the trail says that %d are lost", lost)
	}
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "accounting is not acknowledged") {
		t.Errorf("%s", &log)
	}
}

func TestNothingIsKeptAfterTheEnd(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir()})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 { // it may be on disk before the context is looked at
		if err := l.Keep(ended, accounting(1)); err != nil && (!errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, context.Canceled)) {
			t.Errorf("after the caller's time: %v", err)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	begun := make(chan error, 1)
	go func() { begun <- l.Keep(context.Background(), accounting(2)) }()
	select {
	case err := <-begun:
		if !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("after the trail's: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}
