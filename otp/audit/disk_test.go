package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp/audit"
)

// inChild runs the test again in a process of its own, and is true there.
func inChild(t *testing.T) bool {
	const variable = "OTPGATE_AUDIT_CHILD"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+t.Name())
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// fillDisk forbids this process to write at or beyond the offset of any file: the kernel refuses,
// as it does on a full disk. It returns what frees the disk again.
func fillDisk(t *testing.T, offset uint64) (free func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: offset, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

func batch(from, n int) (list []audit.Event) {
	for i := range n {
		list = append(list, event(from+i))
	}
	return list
}

// The disk fills up in the middle of a line. What was told to be on record is, what was not is not,
// not even for somebody who watches; when there is room again, the trail says what it lost and is
// healthy, and nobody has had to log in for that.
func TestADiskThatFillsUp(t *testing.T) {
	if !inChild(t) {
		return
	}
	l := open(t, audit.Options{Dir: t.TempDir(), Required: true})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, begun := make(chan audit.Event, 1000), make(chan struct{})
	go func() {
		defer close(seen)
		err := l.Read(ctx, audit.Filter{}, true, func() { close(begun) }, func(e audit.Event) error { seen <- e; return nil })
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	record(t, l, batch(0, 50)...)
	free := fillDisk(t, 8<<10) // in the middle of the second batch
	for range 3 {
		if err := l.Record(ctx, batch(50, 50)...); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("a batch that does not fit: %v", err)
		}
	}
	if err := l.Healthy(); !errors.Is(err, audit.ErrUnavailable) || !errors.Is(err, syscall.EFBIG) {
		t.Errorf("healthy: %v", err)
	}
	free()
	until(t, func() bool { return l.Healthy() == nil })
	record(t, l, event(100))
	var got []string
	for e := range seen {
		if e.Action == audit.EventsLost {
			got = append(got, fmt.Sprintf("%d lost", e.Count))
			continue
		}
		if got = append(got, e.ID); e.ID == "00000064" {
			cancel()
		}
	}
	want := make([]string, 0, 52)
	for n := range 50 {
		want = append(want, fmt.Sprintf("%08x", n))
	}
	want = append(want, "150 lost", "00000064")
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("watched: %v", got)
	}
	if all := ids(t, l, audit.Filter{Kind: audit.Login}); len(all) != 51 {
		t.Errorf("on record: %v", all)
	}
}

// What the trail cannot say itself any more, because the node ends, the log says.
func TestWhatIsLostForGoodIsLogged(t *testing.T) {
	if !inChild(t) {
		return
	}
	for _, required := range []bool{false, true} {
		var log bytes.Buffer
		l := open(t, audit.Options{Dir: t.TempDir(), Required: required, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		free := fillDisk(t, 0)
		if err := l.Record(context.Background(), batch(0, 7)...); required != (err != nil) {
			t.Errorf("required %t: %v", required, err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
		free()
		hint := map[bool]string{false: "logins pass without being on record", true: "no login passes"}[required]
		if text := log.String(); !strings.Contains(text, hint) || !strings.Contains(text, "nothing in the audit trail says so") || !strings.Contains(text, "count=7") {
			t.Errorf("required %t: %s", required, text)
		}
	}
}

// A queue that runs over is in the trail too.
func TestMoreThanTheDiskTakes(t *testing.T) {
	dir := t.TempDir()
	l := open(t, audit.Options{Dir: dir})
	const each = 20_000
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for n := range each {
				_ = l.Record(context.Background(), event(n))
			}
		})
	}
	writers.Wait()
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var logins, lost int64
	for _, e := range events(t, l, audit.Filter{}) {
		if e.Action == audit.EventsLost {
			lost += e.Count
		} else {
			logins++
		}
	}
	if logins+lost != 4*each {
		t.Errorf("%d on record and %d lost of %d", logins, lost, 4*each)
	}
}

func TestAFileThatCannotBeRemovedCostsNoEvent(t *testing.T) {
	dir := t.TempDir()
	unreadable(t, dir, "20270101T000000.000000") // is no file, and not empty: it cannot be removed
	registry := prometheus.NewRegistry()
	var log bytes.Buffer
	l := open(t, audit.Options{Dir: dir, MaxBytes: 1024, Keep: 1, Required: true, Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for n := range 30 {
		record(t, l, event(n))
	}
	if n := counter(t, registry, "otpgate_audit_dropped_total"); n != 0 || l.Healthy() != nil {
		t.Errorf("%v events dropped, %v", n, l.Healthy())
	}
	if got := ids(t, l, audit.Filter{Last: 3}); strings.Join(got, " ") != "0000001b 0000001c 0000001d" {
		t.Errorf("%v", got)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if strings.Count(log.String(), "cannot be rotated") != 1 || counter(t, registry, "otpgate_audit_errors_total") == 0 {
		t.Errorf("%s", log.String())
	}
}

// Whoever moves the file away, as logrotate does, gets what was in it; the trail goes on.
func TestAFileThatIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, audit.Name)
	l := open(t, audit.Options{Dir: dir, Required: true})
	record(t, l, event(1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	record(t, l, event(2))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	record(t, l, event(3))
	if got := ids(t, l, audit.Filter{}); strings.Join(got, " ") != "00000003" {
		t.Errorf("%v", got)
	}
}

func TestTheTrailsSizeIsKnown(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		registry := prometheus.NewRegistry()
		l := open(t, audit.Options{Dir: dir, MaxBytes: 2048, Keep: 3, Required: true, Registerer: registry})
		for n := range 50 {
			record(t, l, event(n))
		}
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		var want int64
		files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			want += info.Size()
		}
		if got := counter(t, registry, "otpgate_audit_size_bytes"); got != float64(want) || want == 0 {
			t.Errorf("%v octets, want %d", got, want)
		}
	}
}

// A process that is killed while it writes: what it had been told was on record still is, once, and
// whoever comes next goes on behind it.
func TestKilledWhileWriting(t *testing.T) {
	const variable = "OTPGATE_AUDIT_KILLED"
	if dir := os.Getenv(variable); dir != "" {
		l := open(t, audit.Options{Dir: dir, MaxBytes: 16 << 10, Required: true})
		var mu sync.Mutex
		for w := range 4 {
			go func() {
				for n := 0; ; n++ {
					e := event(w<<24 | n)
					e.Detail = strings.Repeat("long ", 80)
					if err := l.Record(context.Background(), e); err != nil {
						panic(err)
					}
					mu.Lock()
					_, _ = os.NewFile(1, "stdout").WriteString("told " + e.ID + "\n")
					mu.Unlock()
				}
			}()
		}
		select {} // until killed
	}
	for round := range 8 {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		child.Env = append(os.Environ(), variable+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		for in := bufio.NewScanner(out); in.Scan(); {
			if id, ok := strings.CutPrefix(in.Text(), "told "); ok && len(id) == 8 {
				if told[id] = 0; len(told) == 50+61*round {
					_ = child.Process.Kill()
				}
			}
		}
		_ = child.Wait()
		if len(told) < 50 {
			t.Fatalf("%d events before it was killed", len(told))
		}
		l := open(t, audit.Options{Dir: dir, MaxBytes: 16 << 10, Required: true})
		record(t, l, event(1<<30))
		all := ids(t, l, audit.Filter{})
		for _, id := range all {
			if _, ok := told[id]; ok {
				told[id]++
			}
		}
		for id, n := range told {
			if n != 1 {
				t.Errorf("%s is on record %d times", id, n)
			}
		}
		if all[len(all)-1] != event(1<<30).ID {
			t.Errorf("the newest is %s", all[len(all)-1])
		}
	}
}
