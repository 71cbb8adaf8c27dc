package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrUnavailable is wrapped by every error that means "this was not recorded", or not in time.
var ErrUnavailable = errors.New("audit trail unavailable")

// Name is the name of the file that is being written.
const Name = "audit.jsonl"

const (
	defaultMaxBytes = 64 << 20
	queueLength     = 8192 // records waiting: seconds of logins; beyond it there is room to correct a batch
	batchLength     = 512  // events written with one call
	retryEvery      = time.Second
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
	spare   sync.Pool     // of *[]Event
	ended   chan struct{} // closed when the writer has ended

	closing sync.RWMutex // held for reading while something is queued
	closed  bool

	end     atomic.Pointer[end]
	lost    lost
	tidings tidings
}

// record is what one call of Record hands to the writer.
type record struct {
	events []Event
	from   *[]Event // whose memory that is; nil: nobody uses it again
	waiter *waiter  // nil: nobody waits
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
	l := &Log{
		options: o, log: o.Logger.With("component", "audit"),
		queue: make(chan record, queueLength+batchLength), ended: make(chan struct{}),
	}
	w, err := openWriter(filepath.Join(o.Dir, Name), o, &l.end)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.metrics = newMetrics(o.Registerer)
	l.metrics.size.Set(float64(w.older + w.size))
	go l.write(w)
	return l, nil
}

// Record takes events into the trail.
//
// Unless the trail is required it never waits and never fails: what cannot be recorded is counted
// (otpgate_audit_dropped_total), logged once a minute, makes the trail unhealthy, and is counted in
// the trail itself by an event [EventsLost] as soon as that can be written. When the trail is
// required, Record returns once all of events are on disk (one fsync for all that wait), and an
// error that wraps [ErrUnavailable] when they are not or ctx ended first, as Keep does.
func (l *Log) Record(ctx context.Context, events ...Event) error {
	if l.options.Required {
		return l.Keep(ctx, events...)
	}
	if len(events) > 0 {
		_ = l.enqueue(l.record(events), false) // counted
	}
	return nil
}

// Keep takes events into the trail as Record does on a required one, whether or not this one is:
// it returns nil once all of events are on disk. RFC 2866 section 4.1 forbids to acknowledge
// accounting before that.
//
// An error wraps [ErrUnavailable]. After one that ctx caused the events still get on record, when they
// can. That is right for what has happened all the same; whoever gives up what they tell has to say so
// with [Correct]; and whoever asks for it again can find them there twice.
func (l *Log) Keep(ctx context.Context, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	r := l.record(events)
	r.waiter = &waiter{done: make(chan error, 1)}
	if err := l.enqueue(r, false); err != nil {
		return err
	}
	select {
	case err := <-r.waiter.done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-r.waiter.done: // at the same moment
		return err
	default:
		return &lateError{l, r.waiter, ctx.Err()}
	}
}

// record makes of events what the writer takes.
func (l *Log) record(events []Event) record {
	from, _ := l.spare.Get().(*[]Event)
	if from == nil {
		from = new([]Event)
	}
	r := record{events: append((*from)[:0], events...), from: from}
	for i := range r.events {
		if r.events[i].Time.IsZero() {
			r.events[i].Time = l.options.Now()
		}
	}
	return r
}

// over keeps the memory of records that are written for others.
func (l *Log) over(batch []record) {
	for _, r := range batch {
		if r.from != nil && cap(r.events) <= batchLength {
			clear(r.events)
			*r.from = r.events
			l.spare.Put(r.from)
		}
	}
	clear(batch)
}

// enqueue hands r to the writer, or counts its events as lost. What has to follow on what is being written
// finds room when nothing else does.
func (l *Log) enqueue(r record, must bool) error {
	l.closing.RLock()
	defer l.closing.RUnlock()
	if !l.closed && (must || len(l.queue) < queueLength) {
		select {
		case l.queue <- r:
			return nil
		default:
		}
	}
	l.drop(len(r.events), errors.New("more events than the disk takes"))
	return fmt.Errorf("%w: too much is waiting", ErrUnavailable)
}

// drop makes it known that events are lost.
func (l *Log) drop(n int, err error) {
	l.metrics.dropped.Add(float64(n))
	l.lost.add(int64(n), l.options.Now(), err)
}

// Healthy is nil while everything gets recorded, and says what stands in the way otherwise. It
// becomes nil again with the next write that succeeds; one is tried every second.
func (l *Log) Healthy() error {
	if n, _, err := l.lost.all(); n > 0 {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
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
	var complained, grumbled, doubted moment
	var batch []record
	for open := true; open; {
		var retry <-chan time.Time
		if n, _, _ := l.lost.all(); n > 0 {
			retry = time.After(retryEvery)
		}
		batch = batch[:0]
		select {
		case first, ok := <-l.queue:
			if open = ok; ok {
				batch = begin(l.gather(append(batch, first)))
			}
		case <-retry:
		}
		err := l.put(w, batch)
		if err != nil {
			l.metrics.errors.Inc()
			if complained.due(l.options.Now()) {
				l.log.Error("audit trail cannot be written", "error", err, "hint", l.hint())
			}
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if w.untidy != nil {
			l.metrics.errors.Inc()
			if grumbled.due(l.options.Now()) {
				l.log.Error("audit trail cannot be rotated", "error", w.untidy, "hint", "nothing is lost, but the trail grows: see to the folder data_dir")
			}
			w.untidy = nil
		}
		l.doubt(w, &doubted)
		for _, r := range batch {
			if r.waiter != nil {
				r.waiter.done <- err
			}
		}
		l.over(batch)
	}
	w.close()
	l.doubt(w, &doubted)
	if n, _, err := l.lost.all(); n > 0 {
		l.log.Error("events are lost, and nothing in the audit trail says so", "count", n, "error", err)
	}
}

// doubt counts events as lost that were written and of which the disk did not say, when it was asked, that it
// has them. Perhaps it does; but nobody can tell.
func (l *Log) doubt(w *writer, doubted *moment) {
	if w.doubtful == 0 {
		return
	}
	l.metrics.errors.Inc()
	l.drop(int(w.doubtful), fmt.Errorf("perhaps not all of them, the disk did not confirm what it was given: %w", w.doubt))
	if doubted.due(l.options.Now()) {
		l.log.Error("events were written, and are perhaps not on disk", "count", w.doubtful, "error", w.doubt,
			"hint", "see to the disk of data_dir; events_lost in the trail says where they stood")
	}
	w.doubtful = 0
}

// put writes a batch, after the number of those that were lost before it.
func (l *Log) put(w *writer, batch []record) error {
	count := 0
	for _, r := range batch {
		count += len(r.events)
	}
	n, since, cause := l.lost.all()
	all := batch
	if n > 0 {
		all = append([]record{{events: []Event{{
			Time: l.options.Now(), Kind: System, Action: EventsLost, Count: n,
			Detail: fmt.Sprintf("since %s: %v", since.UTC().Format(time.RFC3339), cause),
		}}}}, batch...)
		count++
	}
	if len(all) == 0 {
		return nil
	}
	if err := w.append(all); err != nil {
		if len(batch) > 0 {
			if n > 0 {
				count--
			}
			l.drop(count, err)
		}
		return err
	}
	l.metrics.events.Add(float64(count))
	l.metrics.size.Set(float64(w.older + w.size))
	l.lost.told(n)
	l.tidings.tell()
	return nil
}

// hint says what to do about a trail that cannot be written.
func (l *Log) hint() string {
	if l.options.Required {
		return "free space in data_dir; until then no login passes, because audit.required is set, and accounting is not acknowledged"
	}
	return "free space in data_dir; until then logins pass without being on record, and accounting is not acknowledged"
}

// gather takes what waits behind the first of batch, up to a bound.
func (l *Log) gather(batch []record) []record {
	n := len(batch[0].events)
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
	news chan struct{} // closed when there is some; nil: nobody waits for it
}

func (t *tidings) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.news != nil {
		close(t.news)
		t.news = nil
	}
}

func (t *tidings) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.news == nil {
		t.news = make(chan struct{})
	}
	return t.news
}
