package loglines

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

// Lines wait so long, and so many octets, for others to be written with.
const (
	lineDelay  = 10 * time.Millisecond
	lineOctets = 64 << 10
)

// Lines holds lines for a moment: at most 10 ms and 64 KiB.
type Lines struct {
	out   io.Writer
	mu    sync.Mutex
	held  []byte
	stamp stamp
	timer *time.Timer
	ended bool // nothing is held any more
}

// New returns lines that are written to out.
func New(out io.Writer) *Lines {
	l := &Lines{out: out}
	l.timer = time.AfterFunc(time.Hour, l.flush)
	l.timer.Stop()
	return l
}

// Write takes whole lines.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.held)
	l.held = append(l.held, p...)
	l.grown(before)
	return len(p), nil
}

// grown is called with the mutex held, when more lines are held than before.
func (l *Lines) grown(before int) {
	if before == 0 && !l.ended {
		l.timer.Reset(lineDelay)
	}
	if l.ended || len(l.held) >= lineOctets {
		l.write()
	}
}

// flush writes what is held.
func (l *Lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
}

// End writes what is held; from now on each line is written at once.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.timer.Stop()
	l.write()
}

// write is called with the mutex held. What cannot be written is gone, as it would be without waiting.
func (l *Lines) write() {
	if len(l.held) == 0 {
		return
	}
	_, _ = l.out.Write(l.held)
	l.held = l.held[:0]
	if cap(l.held) > 2*lineOctets {
		l.held = nil
	}
}

// Text returns a handler that writes to l as [slog.TextHandler] does, from a level on, and has warnings and
// errors written at once.
func (l *Lines) Text(level slog.Leveler) slog.Handler {
	return handler{Handler: slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}), lines: l}
}

// JSON is Text with lines of [slog.JSONHandler].
func (l *Lines) JSON(level slog.Leveler) slog.Handler {
	return handler{Handler: slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}), lines: l, json: true}
}
