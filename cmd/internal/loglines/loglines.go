package loglines

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Lines wait so long, and so many octets, for others to be written with.
	lineDelay  = 10 * time.Millisecond
	lineOctets = 64 << 10
	// mostHeld is how many octets wait while nobody reads what is written. Lines beyond that are dropped. What somebody
	// must see has lineOctets more: it must not be dropped with what has taken all the room.
	mostHeld = 1 << 20
	// Whoever says what somebody must see waits so long until it is written, and the end of the process so long
	// until all is.
	glance   = 5 * time.Millisecond
	patience = time.Second
)

// Lines holds lines for a moment: at most 10 ms and 64 KiB. While nobody reads what is written, it holds 1 MiB of
// them, drops the others, and keeps nobody waiting who has something to say.
//
//	lines ──► held ──(swapped by whoever writes, and there is one at most)──► out ──► to
type Lines struct {
	to    io.Writer
	timer *time.Timer
	ended atomic.Bool // no line waits for others any more

	mu      sync.Mutex // which nobody has while something is written
	stamp   stamp
	json    bool
	held    []byte
	out     []byte        // is being written; or room for what will be
	writing bool          // somebody does
	late    bool          // and it takes longer than a glance
	wrote   chan struct{} // is closed when it is written; nil: nobody waits for that

	// All in octets, since the beginning: what came, what has to be written now, and what is written, or tried.
	came, due, leaving, gone uint64

	missing uint64    // lines dropped since it was said last
	since   time.Time // the first of them
	dropped uint64    // of all time
}

// New returns lines that are written to a file, or whatever else takes them.
func New(to io.Writer) *Lines {
	l := &Lines{to: to}
	l.timer = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ask()
	})
	l.timer.Stop()
	return l
}

// Write takes a whole line.
func (l *Lines) Write(p []byte) (int, error) { return l.take(p, false) }

// urgent takes lines that somebody must see.
type urgent struct{ *Lines }

// Write takes a whole line.
func (u urgent) Write(p []byte) (int, error) { return u.take(p, true) }

func (l *Lines) take(p []byte, must bool) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room(must) {
		before := len(l.held)
		l.held = append(l.held, p...)
		l.grown(before)
	}
	return len(p), nil
}

// room is called with the mutex held. It is false for a line that has to be dropped, which is counted. Somebody must see
// the last ones of all.
func (l *Lines) room(must bool) bool {
	most := mostHeld
	if must || l.ended.Load() {
		most += lineOctets
	}
	if len(l.held) < most {
		return true
	}
	if l.missing == 0 {
		l.since = time.Now()
	}
	l.missing++
	l.dropped++
	return false
}

// grown is called with the mutex held, when more lines are held than before.
func (l *Lines) grown(before int) {
	l.came += uint64(len(l.held) - before)
	switch {
	case l.ended.Load() || len(l.held) >= lineOctets:
		l.ask()
	case before == 0:
		l.timer.Reset(lineDelay)
	}
}

// ask is called with the mutex held, and has what is held written, by a goroutine that does nothing else: no
// login is to stand still with a reader.
func (l *Lines) ask() {
	l.due = l.came
	if !l.writing && l.gone < l.due {
		l.writing = true
		go l.write()
	}
}

// write is run by one goroutine at most. What cannot be written is gone, as it would be without waiting.
func (l *Lines) write() {
	for out := l.next(); len(out) > 0; out = l.next() {
		_, _ = l.to.Write(out)
	}
}

// next says that what it returned is written, and returns what has to be written now: nothing ends the goroutine.
func (l *Lines) next() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone, l.late = l.leaving, false
	if l.wrote != nil {
		close(l.wrote)
		l.wrote = nil
	}
	if cap(l.out) > 2*lineOctets {
		l.out = nil
	}
	if l.gone >= l.due {
		l.writing = false
		return nil
	}
	l.out, l.held = l.held, l.out[:0]
	l.leaving = l.came
	if l.missing > 0 { // between these lines and those to come, as there was no room until now
		l.out = append(l.out, l.gap()...)
		l.missing = 0
	}
	return l.out
}

// gap is the line about those that were dropped.
func (l *Lines) gap() []byte {
	var b bytes.Buffer
	var h slog.Handler = slog.NewTextHandler(&b, nil)
	if l.json {
		h = slog.NewJSONHandler(&b, nil)
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of this log were dropped: what reads it stood still", 0)
	r.AddAttrs(slog.Uint64("lines", l.missing), slog.Time("since", l.since))
	_ = h.Handle(context.Background(), r)
	return b.Bytes()
}

// flush has what is held written, and reports whether that was done within a time. Who has no more than a glance
// waits for nothing that takes longer already.
func (l *Lines) flush(within time.Duration) (all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ask()
	until, over := l.due, time.After(within)
	for l.gone < until && (within > glance || !l.late) {
		if l.wrote == nil {
			l.wrote = make(chan struct{})
		}
		if wrote := l.wrote; !l.written(wrote, over) {
			l.late = l.gone < until
			break
		}
	}
	return l.gone >= until
}

// written waits without the mutex, and is false when the time was over.
func (l *Lines) written(wrote <-chan struct{}, over <-chan time.Time) bool {
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-wrote:
		return true
	case <-over:
		return false
	}
}

// said is called after each line.
func (l *Lines) said(level slog.Level) {
	if level >= seen || l.ended.Load() {
		l.flush(glance)
	}
}

// End writes what is held; from now on each line is written at once. It gives what reads them a second, and
// reports whether all is written.
func (l *Lines) End() (all bool) {
	l.ended.Store(true)
	l.timer.Stop()
	return l.flush(patience)
}

// Dropped returns how many lines were dropped, as nobody read those before.
func (l *Lines) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Text returns a handler that writes to l as [slog.TextHandler] does, from a level on, and has warnings and
// errors written at once.
func (l *Lines) Text(level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	return handler{Handler: slog.NewTextHandler(l, o), urgent: slog.NewTextHandler(urgent{l}, o), lines: l}
}

// JSON is Text with lines of [slog.JSONHandler]; so is the line about those that were dropped.
func (l *Lines) JSON(level slog.Leveler) slog.Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.json = true
	o := &slog.HandlerOptions{Level: level}
	return handler{Handler: slog.NewJSONHandler(l, o), urgent: slog.NewJSONHandler(urgent{l}, o), lines: l, json: true}
}
