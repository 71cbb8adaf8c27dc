package boltstore

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp"
)

// Options configure a store.
type Options struct {
	Path       string // of the file; its directory must exist
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // for the duration of commits; decides nothing. nil: not measured
	Remembered int                   // accounts kept in memory besides those that wait to be folded, about 400 octets each; 0: 131,072
}

// Store is an [otp.Store] in one file. [Open] makes it.
type Store struct {
	options Options
	bounds  bounds
	logger  *slog.Logger
	metrics *metrics

	queue   chan *request
	closing chan struct{} // closed by Close: nothing more is taken
	stopped chan struct{} // closed when the writer has ended
	once    sync.Once

	db      atomic.Pointer[file] // nil while the file cannot be opened again
	index   *index
	readers chan struct{}           // one for each read of the file that is under way
	trouble atomic.Pointer[trouble] // what could not be read

	// Of the writer alone.
	journal journal // but for a slice of its fold, while that is written
	commit  commit
	entry   []byte // on its way to the journal; reused
	failing bool   // the last commit failed
	lost    bool   // some of the journal was given up
	// unfoldable: the last fold failed, and that was told.
	unfoldable bool
	retry      <-chan time.Time // when it is tried again; nil: at no time
	badPage    bool             // a page could not be read, and that was told
	spoiled    int              // how often opening the file ended in a panic
	closeErr   error            // read after stopped is closed
}

var _ otp.Store = (*Store)(nil)

// errClosed is what every method returns after Close.
var errClosed = fmt.Errorf("boltstore: closed: %w", otp.ErrUnavailable)

// Open opens the store, and creates the file with mode 0600 when there is none. It returns an
// error that wraps [otp.ErrLocked] after a second when another process has it open.
func Open(o Options) (*Store, error) {
	b := usual
	if o.Remembered > 0 {
		b.remembered = o.Remembered
	}
	return open(o, b)
}

// open is Open with bounds of the caller's.
func open(o Options, b bounds) (*Store, error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		options: o,
		bounds:  b,
		logger:  logger.With("component", "boltstore"),
		metrics: newMetrics(o.Registerer),
		queue:   make(chan *request, 4096),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		index:   newIndex(b.remembered),
		readers: make(chan struct{}, maxReaders),
	}
	s.commit = commit{store: s, touched: make(map[string]*touched)}
	if err := s.openFile(true); err != nil {
		return nil, err
	}
	go s.write()
	return s, nil
}

// Bind implements [otp.Store].
func (s *Store) Bind(ctx context.Context, fingerprint string) error {
	var foreign bool
	err := s.do(ctx, &request{file: true, run: func(c *commit) {
		meta := c.tx.Bucket(metaBucket)
		bound := meta.Get(keysetKey)
		if bound == nil {
			c.put(meta, keysetKey, []byte(fingerprint))
			return
		}
		foreign = string(bound) != fingerprint
	}})
	if err == nil && foreign {
		err = fmt.Errorf("boltstore: %s: %w", s.options.Path, otp.ErrForeignKeyset)
	}
	return err
}

// Claim implements [otp.Store].
func (s *Store) Claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	receipts := make([]otp.Receipt, len(claims))
	if len(claims) == 0 {
		return receipts
	}
	claims = slices.Clone(claims) // the writer may look at them after the caller has left
	err := s.do(ctx, &request{claims: len(claims), run: func(c *commit) {
		c.expect(claims)
		for i := range claims {
			receipts[i] = c.claim(&claims[i])
		}
	}})
	if err == nil {
		return receipts
	}
	failed := make([]otp.Receipt, len(claims)) // the writer may still be filling in the others
	for i := range failed {
		failed[i].Err = err
	}
	return failed
}

// Ping implements [otp.Store]: it writes to the file, sees that there is a journal to write to, tells what could not
// be folded, which is tried again then, and reads again what could not be read. It has no clock of its own.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	var broken error
	err := s.do(ctx, &request{file: true, probe: true, run: func(c *commit) {
		broken = s.hindered()
		c.put(c.tx.Bucket(metaBucket), pingKey, []byte{byte(c.tx.ID())})
	}})
	if err == nil && broken != nil {
		err = fmt.Errorf("boltstore: fold the journal of %s: %w", s.options.Path, unavailable(broken))
	}
	if err == nil {
		err = s.readAgain(ctx)
	}
	return time.Time{}, err
}

// Close answers what is waiting, folds the journal, and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	return s.closeErr
}
