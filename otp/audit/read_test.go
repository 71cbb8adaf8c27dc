package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"otpgate/otp/audit"
)

// unreadable puts a folder where a rotated file would be: whoever reads it gets an error, even root.
func unreadable(t *testing.T, dir, stamp string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "audit-"+stamp+"-0000.jsonl", "kept"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatCannotHoldItAreNotRead(t *testing.T) {
	dir := t.TempDir()
	unreadable(t, dir, "20270101T000000.000000")
	l := open(t, audit.Options{Dir: dir, MaxBytes: 4096, Required: true})
	for n := range 100 {
		record(t, l, event(n))
	}
	none := func(audit.Event) error { return nil }
	if err := l.Read(context.Background(), audit.Filter{}, false, nil, none); err == nil {
		t.Error("what this test relies on does not hold: all files were read, and nothing was wrong")
	}
	for _, f := range []audit.Filter{
		{Last: 1}, {Last: 100}, {Since: start}, {Since: start, Last: 1000}, {Since: start.Add(50 * time.Millisecond), Name: "alice"},
	} {
		if err := l.Read(context.Background(), f, false, nil, none); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if got := ids(t, l, audit.Filter{Last: 100}); len(got) != 100 || got[0] != "00000000" || got[99] != "00000063" {
		t.Errorf("%v", got)
	}
}

// A clock that goes back must not hide what was recorded before: the stamp of a file is that of its
// newest event then, also after a restart.
func TestAClockThatGoesBackHidesNothing(t *testing.T) {
	dir, now := t.TempDir(), start
	options := audit.Options{Dir: dir, MaxBytes: 2000, Required: true, Now: func() time.Time { return now }}
	restart := func() *audit.Log {
		l, err := audit.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close(context.Background()) })
		return l
	}
	l := restart()
	record(t, l, event(1))
	now = start.AddDate(-57, 0, 0) // a clock without a battery
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	l = restart()
	for n := range 30 {
		record(t, l, event(2+n))
	}
	now = start.Add(time.Hour)
	for n := range 30 {
		record(t, l, event(50+n))
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl")); len(files) < 2 {
		t.Fatalf("nothing was rotated: %v", files)
	}
	if got := ids(t, l, audit.Filter{Since: start}); len(got) != 31 || got[0] != "00000001" {
		t.Errorf("%d events: %v", len(got), got)
	}
	if got := ids(t, l, audit.Filter{Since: start, Last: 31}); len(got) != 31 || got[0] != "00000001" {
		t.Errorf("the last ones: %v", got)
	}
}

func TestTheLastOnesAreThoseBeforeItBegan(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir(), Required: true})
	record(t, l, event(1))
	var got []string
	err := l.Read(context.Background(), audit.Filter{Last: 1}, false, func() { record(t, l, event(2)) }, func(e audit.Event) error {
		got = append(got, e.ID)
		return nil
	})
	if err != nil || strings.Join(got, " ") != "00000001" {
		t.Errorf("%v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	got = nil
	err = l.Read(ctx, audit.Filter{Last: 1}, true, func() { record(t, l, event(3)) }, func(e audit.Event) error {
		if got = append(got, e.ID); len(got) == 2 {
			cancel()
		}
		return nil
	})
	if err != nil || strings.Join(got, " ") != "00000002 00000003" {
		t.Errorf("followed: %v, %v", got, err)
	}
	if got := ids(t, l, audit.Filter{Name: "nobody", Last: 5}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if err := l.Read(context.Background(), audit.Filter{Last: -5}, false, nil, nil); err == nil {
		t.Error("a negative number was taken")
	}
}

// What was recorded before a follower is told to end it still gets.
func TestAFollowerGetsWhatCameBeforeItsEnd(t *testing.T) {
	for range 20 { // whether a follower that is told of news and of its end looks at the news first is chance
		l := open(t, audit.Options{Dir: t.TempDir(), Required: true})
		record(t, l, event(1))
		ctx, cancel := context.WithCancel(context.Background())
		var got []string
		err := l.Read(ctx, audit.Filter{}, true, nil, func(e audit.Event) error {
			switch got = append(got, e.ID); len(got) {
			case 1: // which is the past
				record(t, l, event(2))
			case 2:
				record(t, l, event(3))
				cancel()
			}
			return nil
		})
		cancel()
		if want := "00000001 00000002 00000003"; err != nil || strings.Join(got, " ") != want {
			t.Fatalf("followed: %v, %v, want %s", got, err, want)
		}
	}
}

// While a file is rotated every few events, the last ones are always so many, in a row.
func TestTheLastOnesWhileItIsRotated(t *testing.T) {
	l := open(t, audit.Options{Dir: t.TempDir(), MaxBytes: 1024, Keep: 20, Required: true})
	for n := range 20 {
		record(t, l, event(n))
	}
	ctx, cancel := context.WithCancel(context.Background())
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := 20; ctx.Err() == nil; n++ {
			if err := l.Record(context.Background(), event(n)); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 100 {
		got := ids(t, l, audit.Filter{Last: 15})
		if len(got) != 15 {
			t.Errorf("%d events: %v", len(got), got)
			continue
		}
		var first int
		fmt.Sscanf(got[0], "%x", &first)
		for i := range got {
			if got[i] != fmt.Sprintf("%08x", first+i) {
				t.Errorf("not in a row: %v", got)
				break
			}
		}
	}
	cancel()
	<-written
}

func TestFollowersSeeTheLastWords(t *testing.T) {
	for range 20 {
		l := open(t, audit.Options{Dir: t.TempDir()})
		seen, begun := make(chan []string), make(chan struct{})
		go func() {
			var got []string
			_ = l.Read(context.Background(), audit.Filter{}, true, func() { close(begun) }, func(e audit.Event) error {
				got = append(got, e.ID)
				return nil
			})
			seen <- got
		}()
		<-begun
		record(t, l, event(1))
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; len(got) != 1 {
			t.Fatalf("%v", got)
		}
	}
}

// Whatever a crash or a failing disk leaves behind: it costs no other event, from either end.
func TestWhatIsNoEventHurtsNone(t *testing.T) {
	line := func(id string) string {
		return `{"time":"2027-01-02T03:04:05Z","kind":"login","action":"access","id":"` + id + `"}` + "\n"
	}
	long := line(strings.Repeat("x", 300))
	for name, junk := range map[string]string{
		"zeros":                 strings.Repeat("\x00", 4096) + "\n",
		"a chunk of zeros":      strings.Repeat("\x00", 1<<20-1) + "\n",
		"many zeros":            strings.Repeat("\x00", 3<<20+17) + "\n",
		"empty lines":           strings.Repeat("\n", 5000),
		"other JSON":            "[]\n{}\n\"kind\"\n{\"kind\":7}\n",
		"lines over the border": strings.Repeat(strings.Repeat("-", 99)+"\n", 30_000),
		"a long event":          long,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, audit.Name), []byte(line("1")+junk+line("2")+`{"time":"2027`), 0o600); err != nil {
				t.Fatal(err)
			}
			l := open(t, audit.Options{Dir: dir, Required: true})
			for _, f := range []audit.Filter{{}, {Last: 10}, {Last: 3}} {
				got := slices.DeleteFunc(ids(t, l, f), func(id string) bool { return len(id) > 1 })
				if strings.Join(got, " ") != "1 2" {
					t.Errorf("%+v: %v", f, got)
				}
			}
			record(t, l, event(3))
			if got := ids(t, l, audit.Filter{Last: 2}); strings.Join(got, " ") != "2 00000003" {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestALineCutShortAnywhere(t *testing.T) {
	whole := `{"time":"2027-01-01T00:00:00Z","kind":"login","action":"access","id":"torn"}`
	before := strings.Replace(whole, "torn", "before", 1) + "\n"
	for cut := range len(whole) + 1 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, audit.Name), []byte(before+whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, audit.Options{Dir: dir, Required: true})
		if got := ids(t, l, audit.Filter{Last: 1}); strings.Join(got, " ") != "before" {
			t.Errorf("cut after %d octets: %v", cut, got)
		}
		record(t, l, event(1))
		want := "before 00000001"
		if cut == len(whole) {
			want = "before torn 00000001" // only its newline was missing
		}
		if got := ids(t, l, audit.Filter{}); strings.Join(got, " ") != want {
			t.Errorf("cut after %d octets: %v", cut, got)
		}
	}
}

func TestAReaderIsStopped(t *testing.T) {
	dir := t.TempDir()
	line := `{"time":"2027-01-01T00:00:00Z","kind":"login","action":"access","id":"1"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, audit.Name), bytes.Repeat([]byte(line), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, audit.Options{Dir: dir})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	if err := l.Read(ctx, audit.Filter{}, false, nil, func(audit.Event) error { n++; cancel(); return nil }); !errors.Is(err, context.Canceled) || n == 100_000 {
		t.Errorf("%d events, %v", n, err)
	}
}

// TestAClockThatWasAheadCostsNothing: what is rotated later has a name that sorts behind, and is not what is removed first.
func TestAClockThatWasAheadCostsNothing(t *testing.T) {
	dir, now := t.TempDir(), start.AddDate(73, 0, 0)
	l, err := audit.Open(audit.Options{Dir: dir, MaxBytes: 2000, Keep: 2, Required: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	const all = 100
	for n := range all {
		record(t, l, event(n))
		now = start.Add(time.Duration(n) * time.Second)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	got := ids(t, l, audit.Filter{})
	if len(files) != 2 || len(got) < 20 || len(got) == all {
		t.Fatalf("%d events in %v", len(got), files)
	}
	for i, id := range got {
		if want := event(all - len(got) + i).ID; id != want {
			t.Fatalf("event %d of %d is %s, want %s: %v", i, len(got), id, want, got)
		}
	}
}
