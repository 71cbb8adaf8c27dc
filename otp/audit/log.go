package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrUnavailable is wrapped by every error that means "this was not recorded".
var ErrUnavailable = errors.New("audit trail unavailable")

// Name is the name of the file that is being written.
const Name = "audit.jsonl"

const (
	defaultMaxBytes = 64 << 20
	queueLength     = 8192 // records waiting: seconds of logins
	batchLength     = 512  // events written with one call
	complainEvery   = time.Minute
)

// Options are what a Log needs. Dir and Now must be given.
type Options struct {
	Dir      string
	MaxBytes int64 // after which the file is rotated; 0: 64 MiB
	Keep     int   // rotated files that are kept; 0: all
	Required bool  // Record waits until events are on disk, and fails when they are not

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Log is the audit trail of one node. It is safe for concurrent use.
type Log struct {
	options Options
	log     *slog.Logger
	metrics *metrics
	queue   chan record
	ended   chan struct{} // closed when the writer has ended

	closing sync.RWMutex // held for reading while something is queued
	closed  bool

	broken  atomic.Pointer[error] // what the last write said
	tidings tidings
}

// record is what one call of Record hands to the writer.
type record struct {
	events []Event
	done   chan error // nil unless somebody waits
}

// Open opens the trail in dir, which must exist, and starts its writer. A line that a crash cut
// short is closed, so that the next one stands alone.
func Open(o Options) (*Log, error) {
	if o.Now == nil || o.Dir == "" {
		return nil, errors.New("audit: Dir and Now must be given")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w, err := openWriter(filepath.Join(o.Dir, Name), o)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l := &Log{
		options: o, log: o.Logger.With("component", "audit"), metrics: newMetrics(o.Registerer),
		queue: make(chan record, queueLength), ended: make(chan struct{}), tidings: newTidings(),
	}
	go l.write(w)
	return l, nil
}

// Record takes events into the trail.
//
// Unless the trail is required it never waits and never fails: what cannot be recorded is counted
// (otpgate_audit_dropped_total), logged once a minute, and makes the trail unhealthy. When it is
// required, Record returns once all of events are on disk (one fsync for all that wait), and an
// error that wraps [ErrUnavailable] when they are not or ctx ended first.
func (l *Log) Record(ctx context.Context, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	r := record{events: append([]Event(nil), events...)}
	for i := range r.events {
		if r.events[i].Time.IsZero() {
			r.events[i].Time = l.options.Now()
		}
	}
	if !l.options.Required {
		if !l.enqueue(r) {
			l.drop(len(events), errors.New("more events than the disk takes"))
		}
		return nil
	}
	r.done = make(chan error, 1)
	if !l.enqueue(r) {
		l.drop(len(events), errors.New("more events than the disk takes"))
		return fmt.Errorf("%w: too much is waiting", ErrUnavailable)
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (l *Log) enqueue(r record) bool {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if l.closed {
		return false
	}
	select {
	case l.queue <- r:
		return true
	default:
		return false
	}
}

// drop makes it known that events are lost.
func (l *Log) drop(n int, err error) {
	l.metrics.dropped.Add(float64(n))
	l.broken.Store(&err)
}

// Healthy is nil while everything gets recorded, and says what stands in the way otherwise. It
// becomes nil again with the next write that succeeds.
func (l *Log) Healthy() error {
	if err := l.broken.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, *err)
	}
	return nil
}

// Required reports whether logins depend on the trail.
func (l *Log) Required() bool { return l.options.Required }

// Close takes no more events, writes what waits, and closes the file. It returns when that is done
// or ctx ends.
func (l *Log) Close(ctx context.Context) error {
	l.closing.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.closing.Unlock()
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("audit: not everything was written: %w", ctx.Err())
	}
}

// write is the writer: it alone touches the file.
func (l *Log) write(w *writer) {
	defer close(l.ended)
	defer w.close()
	var complained time.Time
	for first := range l.queue {
		batch := l.gather(first)
		count, err := w.append(batch)
		if err != nil {
			l.metrics.errors.Inc()
			l.drop(count, err)
			if now := l.options.Now(); now.Sub(complained) >= complainEvery || now.Before(complained) {
				complained = now
				l.log.Error("audit trail cannot be written", "error", err, "hint", "free space in data_dir; logins go on unless audit.required is set")
			}
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		} else {
			l.metrics.events.Add(float64(count))
			l.broken.Store(nil)
			l.tidings.tell()
		}
		for _, r := range batch {
			if r.done != nil {
				r.done <- err
			}
		}
	}
}

// gather takes what waits behind first, up to a bound.
func (l *Log) gather(first record) []record {
	batch, n := []record{first}, len(first.events)
	for n < batchLength {
		select {
		case r, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch, n = append(batch, r), n+len(r.events)
		default:
			return batch
		}
	}
	return batch
}

// tidings wakes those who follow the trail when something was written.
type tidings struct {
	mu   sync.Mutex
	news chan struct{} // closed when there is some
}

func newTidings() tidings { return tidings{news: make(chan struct{})} }

func (t *tidings) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.news)
	t.news = make(chan struct{})
}

func (t *tidings) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.news
}

// exists reports whether there is a file.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
