package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"otpgate/otp"
)

// Options configure a store.
type Options struct {
	Path       string // of the file; its directory must exist
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // for the duration of commits; decides nothing. nil: not measured
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

	db    atomic.Pointer[bbolt.DB] // nil while the file cannot be opened again
	index *index

	// Of the writer alone.
	journal  journal
	failing  bool  // the last commit failed
	closeErr error // read after stopped is closed
}

var _ otp.Store = (*Store)(nil)

// errClosed is what every method returns after Close.
var errClosed = fmt.Errorf("boltstore: closed: %w", otp.ErrUnavailable)

// Open opens the store, and creates the file with mode 0600 when there is none. It returns an
// error that wraps [otp.ErrLocked] after a second when another process has it open.
func Open(o Options) (*Store, error) {
	return open(o, usual)
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
	}
	if err := s.openFile(); err != nil {
		return nil, err
	}
	go s.write()
	return s, nil
}

// openFile opens the file, and brings the index and the journal in line with it.
func (s *Store) openFile() error {
	path := s.options.Path
	db, err := openBolt(path)
	if errors.Is(err, berrors.ErrTimeout) {
		return lockedError(path)
	}
	if err != nil {
		return fmt.Errorf("boltstore: open %s: %w", path, damage(err))
	}
	if err := s.adopt(db); err != nil {
		_ = db.Close()
		return fmt.Errorf("boltstore: open %s: %w", path, err)
	}
	s.db.Store(db)
	return nil
}

func (s *Store) adopt(db *bbolt.DB) error {
	if info, err := os.Stat(s.options.Path); err != nil {
		return err
	} else if info.Mode().Perm()&0o077 != 0 {
		s.logger.Warn("store was accessible to others, closing it to them", "path", s.options.Path, "mode", info.Mode().Perm().String())
		if err := os.Chmod(s.options.Path, 0o600); err != nil {
			return err
		}
	}
	if err := createBuckets(db); err != nil {
		return err
	}
	dirty, j, err := replay(db)
	if err != nil {
		return fmt.Errorf("replay the journal: %w", err)
	}
	s.index.reset(dirty)
	s.journal = j
	return nil
}

// createBuckets writes nothing to a file that has them all.
func createBuckets(db *bbolt.DB) error {
	missing := false
	if err := db.View(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			missing = missing || tx.Bucket(name) == nil
		}
		return nil
	}); err != nil || !missing {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Bind implements [otp.Store].
func (s *Store) Bind(ctx context.Context, fingerprint string) error {
	var foreign bool
	err := s.do(ctx, &request{run: func(c *commit) {
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

// Ping implements [otp.Store]: it writes to the disk, and has no clock of its own.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	return time.Time{}, s.do(ctx, &request{run: func(c *commit) {
		c.put(c.tx.Bucket(metaBucket), pingKey, []byte{byte(c.tx.ID())})
	}})
}

// Close answers what is waiting, folds the journal, and closes the file.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.stopped
	return s.closeErr
}
