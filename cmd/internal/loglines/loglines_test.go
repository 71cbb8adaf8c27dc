package loglines

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written is a log file, and counts calls.
type written struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	return w.text.Write(p)
}

func (w *written) now() (lines, writes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.text.String(), "\n"), w.writes
}

func TestLinesWaitForOthersButNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out written
		l := New(&out)
		log := slog.New(l.Text(slog.LevelInfo)).With("component", "test")
		expect := func(what string, lines, writes int) {
			t.Helper()
			if n, w := out.now(); n != lines || w != writes {
				t.Errorf("%s: %d lines in %d writes, want %d in %d", what, n, w, lines, writes)
			}
		}
		log.Info("one")
		log.Info("two")
		expect("at once", 0, 0)
		<-time.After(lineDelay + time.Millisecond)
		expect("a moment later", 2, 1)
		log.Info("three")
		log.Error("four")
		expect("with an error", 4, 2)
		log.WithGroup("group").Warn("five")
		expect("a warning", 5, 3)
		for range 2000 {
			log.Info(strings.Repeat("x", 100))
		}
		if n, _ := out.now(); n < 1000 {
			t.Errorf("%d lines of 2000 are written, and the rest takes memory", n-5)
		}
		l.End()
		if n, _ := out.now(); n != 2005 {
			t.Errorf("%d lines after the end", n)
		}
		_, before := out.now()
		log.Info("late")
		expect("after the end", 2006, before+1)
	})
}

func TestNoLineIsLostOrTorn(t *testing.T) {
	var out written
	l := New(&out)
	log := slog.New(l.JSON(slog.LevelInfo))
	var all sync.WaitGroup
	for who := range 8 {
		all.Go(func() {
			for i := range 500 {
				log.Info("line", "text", fmt.Sprintf("<%d %d>", who, i))
			}
		})
	}
	all.Wait()
	l.End()
	lines := strings.Split(strings.TrimSuffix(out.text.String(), "\n"), "\n")
	if len(lines) != 4000 {
		t.Fatalf("%d lines of 4000", len(lines))
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
			t.Fatalf("a torn line: %s", line)
		}
	}
}
