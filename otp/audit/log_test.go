package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"otpgate/otp/audit"
)

var start = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

// ticking is a clock that moves on a little with every look.
func ticking() func() time.Time {
	var mu sync.Mutex
	at := start
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Millisecond)
		return at
	}
}

func open(t *testing.T, o audit.Options) *audit.Log {
	t.Helper()
	o.Now = ticking()
	l, err := audit.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

func event(n int) audit.Event {
	return audit.Event{Kind: audit.Login, Action: "access", ID: fmt.Sprintf("%08x", n), Name: []string{"alice", "bob"}[n%2]}
}

func ids(t *testing.T, l *audit.Log, f audit.Filter) (got []string) {
	t.Helper()
	if err := l.Read(context.Background(), f, false, nil, func(e audit.Event) error {
		got = append(got, e.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEventsAreReadBackInOrderOverRotatedFiles(t *testing.T) {
	dir := t.TempDir()
	l := open(t, audit.Options{Dir: dir, MaxBytes: 4096, Required: true})
	for n := range 200 {
		if err := l.Record(context.Background(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if len(files) < 3 {
		t.Fatalf("%d files were rotated", len(files))
	}
	for _, name := range append(files, filepath.Join(dir, audit.Name)) {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > 4096 {
			t.Errorf("%s: %v, %d octets, %v", name, info.Mode(), info.Size(), err)
		}
	}
	got := ids(t, l, audit.Filter{})
	for n := range 200 {
		if len(got) != 200 || got[n] != fmt.Sprintf("%08x", n) {
			t.Fatalf("%d events, at %d: %v", len(got), n, got)
		}
	}
	if got := ids(t, l, audit.Filter{Name: "ALICE", Last: 3}); strings.Join(got, " ") != "000000c2 000000c4 000000c6" {
		t.Errorf("the last three of alice: %v", got)
	}
	if got := ids(t, l, audit.Filter{Decision: "accept"}); len(got) != 0 {
		t.Errorf("a filter that fits nothing: %v", got)
	}
	if got := ids(t, l, audit.Filter{Since: start.Add(100 * time.Millisecond), Until: start.Add(104 * time.Millisecond)}); len(got) == 0 || len(got) > 4 {
		t.Errorf("four milliseconds: %v", got)
	}
}

func events(t *testing.T, l *audit.Log, f audit.Filter) (got []audit.Event) {
	t.Helper()
	if err := l.Read(context.Background(), f, false, nil, func(e audit.Event) error {
		got = append(got, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func record(t *testing.T, l *audit.Log, events ...audit.Event) {
	t.Helper()
	if err := l.Record(context.Background(), events...); err != nil {
		t.Fatal(err)
	}
}

func TestKeepRemovesTheOldest(t *testing.T) {
	dir := t.TempDir()
	l := open(t, audit.Options{Dir: dir, MaxBytes: 1024, Keep: 2, Required: true})
	for n := range 100 {
		if err := l.Record(context.Background(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	got := ids(t, l, audit.Filter{})
	if len(files) != 2 || len(got) == 0 || got[len(got)-1] != "00000063" {
		t.Errorf("%d files, %v", len(files), got)
	}
}

func TestFollowSeesEveryEventOnceAcrossRotation(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir(), MaxBytes: 2048, Required: true})
	const all = 500
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := w; n < all; n += 4 {
				if err := l.Record(ctx, event(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]int{}
	done := errors.New("all seen")
	err := l.Read(ctx, audit.Filter{}, true, nil, func(e audit.Event) error {
		seen[e.ID]++
		if len(seen) == all {
			return done
		}
		return nil
	})
	writers.Wait()
	if !errors.Is(err, done) {
		t.Fatalf("%d of %d events, %v", len(seen), all, err)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", id, n)
		}
	}
}

func TestALineCutShortByACrashHurtsNoOther(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, audit.Name)
	good := `{"time":"2027-01-01T00:00:00Z","kind":"login","action":"access","id":"before"}` + "\n"
	if err := os.WriteFile(path, []byte(good+`{"time":"2027-01-01T00:0`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Dir: dir, Required: true})
	if err := l.Record(context.Background(), event(1)); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, l, audit.Filter{}); strings.Join(got, " ") != "before 00000001" {
		t.Errorf("%v", got)
	}
}

func TestHostileTextStaysOneLine(t *testing.T) {
	dir := t.TempDir()
	l := open(t, audit.Options{Dir: dir, Required: true})
	for _, name := range []string{"a\nb", "a\x00b", "\xff\xfe", "{\"kind\":\"login\"}\n", strings.Repeat("ü", 4096), "\u2028", "a\rb"} {
		if err := l.Record(context.Background(), audit.Event{Kind: audit.Login, Name: name, ID: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, audit.Name))
	if err != nil || strings.Count(string(data), "\n") != 7 || len(ids(t, l, audit.Filter{})) != 7 {
		t.Errorf("%v\n%q", err, data)
	}
}

// A full disk stops the trail loudly and not the logins, and nobody has to restart anything.
func TestAFullDiskIsLoudAndPasses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, audit.Name)
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	l := open(t, audit.Options{Dir: dir, Registerer: registry})
	if err := l.Record(context.Background(), event(1)); err != nil {
		t.Fatalf("a trail that is not required failed: %v", err)
	}
	until(t, func() bool { return l.Healthy() != nil })
	if err := l.Healthy(); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := counter(t, registry, "otpgate_audit_dropped_total"); n != 1 {
		t.Errorf("%v events dropped", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(context.Background(), event(2)); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return l.Healthy() == nil })
	if got := ids(t, l, audit.Filter{Kind: audit.Login}); strings.Join(got, " ") != "00000002" {
		t.Errorf("%v", got)
	}
	lost := events(t, l, audit.Filter{Kind: audit.System})
	if len(lost) != 1 || lost[0].Action != audit.EventsLost || lost[0].Count != 1 || !strings.Contains(lost[0].Detail, "no space left") {
		t.Errorf("the trail says of what it lost: %+v", lost)
	}
}

func TestARequiredTrailFailsWhatItCannotRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, audit.Name)
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Dir: dir, Required: true})
	if err := l.Record(context.Background(), event(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Record(context.Background(), event(2)); err != nil {
		t.Errorf("after the disk came back: %v", err)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	dir := t.TempDir()
	l := open(t, audit.Options{Dir: dir})
	for n := range 1000 {
		if err := l.Record(context.Background(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(dir, audit.Name))
	if n := strings.Count(string(data), "\n"); n != 1000 {
		t.Errorf("%d lines", n)
	}
	if err := l.Record(context.Background(), event(1)); err != nil || l.Healthy() == nil {
		t.Errorf("recording after the end: %v, healthy %v", err, l.Healthy())
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	registry := prometheus.NewRegistry()
	open(t, audit.Options{Dir: t.TempDir(), Registerer: registry})
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func until(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !is() {
		select {
		case <-deadline:
			t.Fatal("it does not come to pass")
		case <-time.After(time.Millisecond):
		}
	}
}

func counter(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func BenchmarkRecord(b *testing.B) {
	l, err := audit.Open(audit.Options{Dir: b.TempDir(), Now: ticking()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close(context.Background())
	for n := 0; b.Loop(); n++ {
		l.Record(context.Background(), event(n))
	}
}
