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
	if f := s.db.Swap(nil); f != nil {
		if err := f.close(); err != nil {
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
	f := s.db.Load()
	if f == nil {
		if err := s.openFile(false); err != nil {
			return 0, false, err
		}
		f = s.db.Load()
	}
	var tx *bbolt.Tx
	if err := f.whole(); err != nil {
		return 0, false, fmt.Errorf("write %s: %w", s.options.Path, err)
	}
	err = guarded(func() (err error) {
		if tx, err = f.Begin(true); err != nil {
			return err
		}
		claims, wrote, err = s.carryOut(tx, group)
		return err
	})
	if err == nil {
		return claims, wrote, nil
	}
	// A panic has left the transaction open. One in Begin, or in Rollback, leaves locks that nobody can
	// take any more.
	var broken *panicked
	if errors.As(err, &broken) {
		f.stuck = tx == nil || errors.As(guarded(tx.Rollback), &broken)
	}
	return 0, false, fmt.Errorf("write %s: %w", s.options.Path, err)
}

// carryOut carries out the group and commits.
func (s *Store) carryOut(tx *bbolt.Tx, group []*request) (claims int, wrote bool, err error) {
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
		s.logger.Error("store cannot be written", append([]any{"path", s.options.Path, "error", cause}, traced(cause)...)...)
	}
	if f := s.db.Swap(nil); f != nil {
		_ = f.close()
	}
	if err := s.openFile(false); err != nil {
		s.logger.Debug("store cannot be opened again yet", "error", err)
	}
}
