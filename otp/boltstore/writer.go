package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// groupClaims bounds how many claims share a transaction, so that the first of them is not kept
// waiting by the last.
const groupClaims = 4096

var (
	metaBucket    = []byte("meta")
	devicesBucket = []byte("devices")
	statesBucket  = []byte("states")
	ticketsBucket = []byte("tickets")
	buckets       = [][]byte{metaBucket, devicesBucket, statesBucket, ticketsBucket}

	keysetKey = []byte("keyset")
	pingKey   = []byte("ping")
)

// request is one call waiting for the writer. What run sets in its closure may be read by the
// caller once done is closed and err is nil.
type request struct {
	ctx    context.Context
	run    func(*commit)
	claims int
	err    error
	done   chan struct{}
}

// do queues the request and waits for the commit that holds it, or for the end of ctx.
func (s *Store) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	select {
	case <-s.closing: // a select takes any ready case: this one goes first
		return errClosed
	default:
	}
	r.ctx, r.done = ctx, make(chan struct{})
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-s.closing:
		return errClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-s.stopped:
		select {
		case <-r.done:
			return r.err
		default:
			return errClosed
		}
	}
}

func unavailable(err error) error {
	if errors.Is(err, otp.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("boltstore: %w: %w", otp.ErrUnavailable, err)
}

// write is the writer goroutine: the only one that changes the file and the index.
func (s *Store) write() {
	defer close(s.stopped)
	for {
		if s.journal.folding() && !s.failing { // a full disk must not keep the writer spinning
			select {
			case r := <-s.queue:
				s.group(r)
			case <-s.closing:
				s.finish()
				return
			default:
				s.commit(nil)
			}
			continue
		}
		select {
		case r := <-s.queue:
			s.group(r)
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// group commits r with everything else that is waiting.
func (s *Store) group(r *request) {
	runtime.Gosched() // those whom the last commit woke come along
	group, claims := []*request{r}, r.claims
	for claims < groupClaims {
		select {
		case r := <-s.queue:
			group, claims = append(group, r), claims+r.claims
			continue
		default:
		}
		break
	}
	s.commit(group)
}

// finish answers what is waiting, folds everything, and closes the file.
func (s *Store) finish() {
	for {
		select {
		case r := <-s.queue:
			s.group(r)
			continue
		default:
		}
		break
	}
	for s.db.Load() != nil && !s.failing && s.journal.size() > 0 {
		s.journal.startFold(s.index)
		s.commit(nil)
	}
	if db := s.db.Swap(nil); db != nil {
		if err := db.Close(); err != nil {
			s.closeErr = fmt.Errorf("boltstore: close %s: %w", s.options.Path, err)
		}
	}
}

// commit carries out the group in one transaction, and answers it.
func (s *Store) commit(group []*request) {
	var started time.Time
	if s.options.Now != nil {
		started = s.options.Now()
	}
	claims, wrote, err := s.transact(group)
	if err != nil {
		s.recover(err)
		err = unavailable(err)
	} else if wrote && s.failing {
		s.failing = false
		s.logger.Info("store can be written again", "path", s.options.Path)
	}
	if wrote && err == nil {
		s.metrics.committed(claims)
		if s.options.Now != nil {
			s.metrics.duration.Observe(s.options.Now().Sub(started).Seconds())
		}
	}
	for _, r := range group {
		r.err = err
		close(r.done)
	}
}

// transact returns how many claims were carried out, and whether anything had to be written.
func (s *Store) transact(group []*request) (claims int, wrote bool, err error) {
	db := s.db.Load()
	if db == nil {
		if err := s.openFile(); err != nil {
			return 0, false, err
		}
		db = s.db.Load()
	}
	tx, err := db.Begin(true)
	if err != nil {
		return 0, false, err
	}
	c := &commit{store: s, tx: tx, touched: make(map[string]*touched)}
	for _, r := range group {
		if r.ctx.Err() == nil { // whoever has left is not there to be told
			r.run(c)
			claims += r.claims
		}
	}
	folded := c.finish()
	if c.err != nil || !c.wrote {
		_ = tx.Rollback()
	} else {
		c.err = tx.Commit()
	}
	if c.err != nil {
		return 0, false, c.err
	}
	c.publish(folded)
	return claims, c.wrote, nil
}

// recover looks at the file anew after a failed transaction: nobody was told that it took place,
// but the file may hold it all the same.
func (s *Store) recover(cause error) {
	if !s.failing {
		s.failing = true
		s.logger.Error("store cannot be written", "path", s.options.Path, "error", cause)
	}
	if db := s.db.Swap(nil); db != nil {
		_ = db.Close()
	}
	if err := s.openFile(); err != nil {
		s.logger.Debug("store cannot be opened again yet", "error", err)
	}
}

// commit is one transaction under way.
type commit struct {
	store   *Store
	tx      *bbolt.Tx
	touched map[string]*touched // by account key
	wrote   bool
	err     error // the first failure; the transaction is given up
}

// touched is an account that this transaction looked at.
type touched struct {
	record  *record // a clone
	changed bool    // states differ: to the journal
	devices bool    // devices differ: to the buckets
	err     error   // record is nil: it cannot be read
}

func (c *commit) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *commit) put(b *bbolt.Bucket, key, value []byte) {
	c.wrote = true
	if err := b.Put(key, value); err != nil {
		c.fail(err)
	}
}

func (c *commit) delete(b *bbolt.Bucket, key []byte) {
	c.wrote = true
	if err := b.Delete(key); err != nil {
		c.fail(err)
	}
}

// account returns the account's record, to be changed by this transaction only. A damaged one
// (err is set) is nobody's trouble but its account's.
func (c *commit) account(account string) *touched {
	key := accountKey(account)
	if t := c.touched[string(key)]; t != nil {
		return t
	}
	t := &touched{}
	r := c.store.index.get(string(key))
	if r == nil {
		if r, t.err = load(c.tx, key); t.err != nil {
			t.err = unavailable(t.err)
			return t
		}
	}
	t.record = r.clone()
	c.touched[string(key)] = t
	return t
}

// load reads a record that is not in the index, which has every one that was not folded.
func load(tx *bbolt.Tx, key []byte) (*record, error) {
	list, err := decodeDevices(tx.Bucket(devicesBucket).Get(key))
	if err != nil {
		return nil, err
	}
	return decodeState(tx.Bucket(statesBucket).Get(key), list)
}

func (c *commit) claim(claim *otp.Claim) otp.Receipt {
	t := c.account(claim.Account)
	if t.err != nil {
		return otp.Receipt{Err: t.err}
	}
	receipt, changed := t.record.apply(claim)
	t.changed = t.changed || changed
	return receipt
}
