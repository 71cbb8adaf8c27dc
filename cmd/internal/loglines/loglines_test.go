package loglines

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
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
		synctest.Wait() // for whoever writes, which is not done by who logs
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
	l.flush(time.Hour)
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

// standing is a log file whose reader stands still until goes is closed.
type standing struct {
	written
	goes chan struct{}
}

func (s *standing) Write(p []byte) (int, error) {
	<-s.goes
	return s.written.Write(p)
}

// size is how many octets of lines there are in memory, or could be without asking for more.
func (l *Lines) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cap(l.held) + cap(l.out)
}

// TestNobodyWaitsForAReader is in a bubble, whose clock moves only when all stand still: 10,000 lines that somebody
// must see take as long as one, which is a glance.
func TestNobodyWaitsForAReader(t *testing.T) {
	const number = 10_000
	synctest.Test(t, func(t *testing.T) {
		out := &standing{goes: make(chan struct{})}
		l := New(out)
		log := slog.New(l.Text(slog.LevelInfo))
		quick, long := log.Handler().(liner), strings.Repeat("x", 200)
		begun := time.Now()
		took := func(what string, want time.Duration) {
			t.Helper()
			if took := time.Since(begun); took != want {
				t.Errorf("%s after %s, want %s", what, took, want)
			}
			begun = time.Now()
		}
		log.Error("the first")
		took("the first line", glance)
		since := begun.Format("2006-01-02T15:04:05.000Z07:00")
		for i := range number {
			log.Error(long, "n", i)
			_ = quick.Line(t.Context(), time.Now(), slog.LevelInfo, long, []slog.Attr{slog.Int("n", i)})
		}
		took("all others", 0)
		if size := l.size(); size > 2*mostHeld {
			t.Errorf("%d octets of memory", size)
		}
		if l.End() {
			t.Error("all is written, and nobody has read it")
		}
		took("the end", patience)
		log.Error("late")
		took("a line after the end", 0)
		dropped := l.Dropped()
		if dropped == 0 || dropped >= 2*number {
			t.Errorf("%d lines of %d are dropped", dropped, 2*number)
		}

		close(out.goes)
		if !l.End() {
			t.Error("the reader goes on, and not all is written")
		}
		log.Info("the last")
		text := out.text.String()
		want := fmt.Sprintf(` level=WARN msg="lines of this log were dropped: what reads it stood still" lines=%d since=%s`+"\n", dropped, since)
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q: %s", want, text[max(len(text)-500, 0):])
		}
		if lines, _ := out.now(); uint64(lines) != 2*number+4-dropped { // the first, late and the last, and the one about the others
			t.Errorf("%d lines, of which %d were dropped", lines, dropped)
		}
		if l.Dropped() != dropped || l.size() > 6*lineOctets {
			t.Errorf("%d dropped, want %d; %d octets of memory", l.Dropped(), dropped, l.size())
		}
	})
}

// TestPipeThatNobodyReads: what comes through it in the end is in order, and says where something is missing.
func TestPipeThatNobodyReads(t *testing.T) {
	const number = 10_000
	for _, json := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		l := New(w)
		root, missing := l.Text(slog.LevelInfo), regexp.MustCompile(`level=WARN .* lines=(\d+) since=\d`)
		n := regexp.MustCompile(` n=(\d+)`)
		if json {
			root, missing = l.JSON(slog.LevelInfo), regexp.MustCompile(`"level":"WARN".*,"lines":(\d+),"since":"\d`)
			n = regexp.MustCompile(`,"n":(\d+)`)
		}
		log := slog.New(root).With("padding", strings.Repeat("x", 300))
		for i := range number {
			log.Info("line", "n", i)
		}
		if size := l.size(); size > 3*mostHeld {
			t.Errorf("%d octets of memory", size)
		}
		if l.flush(glance) {
			t.Error("all went into a pipe that nobody reads")
		}

		read := make(chan string)
		go func() {
			text, _ := io.ReadAll(r)
			read <- string(text)
		}()
		l.flush(time.Hour)
		log.Info("after", "n", number)
		l.flush(time.Hour)
		_ = w.Close()
		next, dropped := 0, uint64(0)
		for line := range strings.Lines(<-read) {
			if m := missing.FindStringSubmatch(line); m != nil {
				lines, _ := strconv.Atoi(m[1])
				next, dropped = next+lines, dropped+uint64(lines)
				continue
			}
			if m := n.FindStringSubmatch(line); m == nil || m[1] != strconv.Itoa(next) || !strings.HasSuffix(line, "\n") {
				t.Fatalf("want line %d: %s", next, line)
			}
			next++
		}
		if next != number+1 || dropped == 0 || dropped != l.Dropped() {
			t.Errorf("%d lines of %d; %d are said to be dropped, and %d were", next, number+1, dropped, l.Dropped())
		}
		_ = r.Close()
	}
}

// TestWhatMustBeSeenHasRoom: what took all the room was not that.
func TestWhatMustBeSeenHasRoom(t *testing.T) {
	for _, json := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			to := &standing{goes: make(chan struct{})}
			l := New(to)
			h := l.Text(slog.LevelInfo)
			if json {
				h = l.JSON(slog.LevelInfo)
			}
			log := slog.New(h)
			log.Error("zeroth") // and is being written from here on
			for l.Dropped() == 0 {
				log.Info("access decision", "name", strings.Repeat("n", 100))
			}
			log.Error("first")
			log.With("a", 1).Error("second")
			log.WithGroup("group").Warn("third", "k", 1)
			_ = h.(liner).Line(t.Context(), time.Now(), slog.LevelError, "fourth", nil)
			log.Info("none")
			time.AfterFunc(3*patience/2, func() { close(to.goes) }) // while somebody waits for the last words
			l.End()
			fmt.Fprintln(l, "last words")
			if !l.End() {
				t.Fatal("the reader goes on, and not all is written")
			}
			text := to.text.String()
			for _, want := range []string{"first", "second", "third", "fourth", "last words", "were dropped"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q", want)
				}
			}
			if strings.Contains(text, "none") {
				t.Error("what nobody must see has room as well")
			}
		})
	}
}
