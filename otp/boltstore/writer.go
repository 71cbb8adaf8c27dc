package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// groupClaims bounds how many claims share a transaction, so that the first of them is not kept
// waiting by the last.
const groupClaims = 4096

// request is one call waiting for the writer. What run sets in its closure may be read by the
// caller once done is closed and err is nil. It may run twice, when a group is carried out one by one: what it sets
// the first time must not be of any consequence.
type request struct {
	ctx    context.Context
	run    func(*commit)
	file   bool // run writes to the file, not only to states of accounts
	probe  bool // it is to be found out what works
	claims int
	gone   bool // its caller had left when its turn came
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

// write is the writer goroutine. Nobody else changes the index, nor the file, but whoever writes a slice for it.
func (s *Store) write() {
	defer close(s.stopped)
	for {
		s.foldMore(s.bounds.foldSlice)
		select {
		case r := <-s.queue:
			s.group(r)
		case err := <-s.journal.fold.writing():
			s.sliceOver(err)
		case <-s.journal.fold.sorting():
			s.journal.fold.unsorted = nil
		case <-s.retry:
			s.retry, s.journal.broken = nil, nil // perhaps: the next slice tells
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// group commits r with everything else that is waiting: those that write to the file after the others, which do not have
// to wait for it.
func (s *Store) group(r *request) {
	runtime.Gosched() // those whom the last commit woke come along
	var group, filing []*request
	claims := 0
	for more := true; more; {
		if claims += r.claims; r.file {
			filing = append(filing, r)
		} else {
			group = append(group, r)
		}
		if more = claims < groupClaims; more {
			select {
			case r = <-s.queue:
			default:
				more = false
			}
		}
	}
	s.decide(group, claims)
	s.decide(filing, 0)
}

// decide answers a group, and sees to what that leaves to be folded.
func (s *Store) decide(group []*request, claims int) {
	if len(group) > 0 && s.answer(group) {
		s.foldIfLong()
		s.keepUp(claims)
	}
}

// lastSlice is how many records are folded at once when nothing else is to be done: more would leave the file with many
// free pages, which are listed with every commit.
const lastSlice = 8192

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
	if !s.joinSoon() { // the file stays locked as long as the process is there
		s.closeErr = fmt.Errorf("boltstore: close %s: %w", s.options.Path, errStuck)
		return
	}
	for s.db.Load() != nil && !s.failing && s.hindered() == nil && s.journal.unfolded() {
		if s.journal.fold == nil {
			s.startFold()
		}
		if !s.folding() { // it can be locked by nobody any more
			break
		}
		s.journal.fold.sort()
		s.foldMore(max(s.bounds.foldSlice, lastSlice))
		s.join()
	}
	s.closeJournal()
	var unfolded error
	if s.journal.unfolded() {
		unfolded = fmt.Errorf("%w: keep what is beside it, which is read when it is opened again", errUnfolded)
	}
	if f := s.db.Swap(nil); f != nil {
		if err := errors.Join(f.close(), unfolded); err != nil {
			s.closeErr = fmt.Errorf("boltstore: close %s: %w", s.options.Path, err)
		}
	}
}

// answer carries out the group at once, and answers it. It reports whether it was carried out.
func (s *Store) answer(group []*request) bool {
	var started time.Time
	if s.options.Now != nil {
		started = s.options.Now()
	}
	claims, wrote, err := s.transact(group)
	page := s.overAPage(group, err)
	if page && len(group) > 1 { // whose trouble is it?
		carriedOut := false
		for i := range group {
			carriedOut = s.answer(group[i:i+1]) || carriedOut
		}
		return carriedOut
	}
	if err != nil {
		switch {
		case errors.Is(err, errUnfolded): // which changes nothing, and was told
		case page:
			s.tellPage(err)
		default:
			s.recover(err)
		}
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
		if r.err = err; err == nil && r.gone {
			r.err = unavailable(r.ctx.Err())
		}
		close(r.done)
	}
	return err == nil
}

// overAPage reports whether requests that write to the file have failed because bbolt met a page that is none: the trouble
// of those who want it. Nothing was changed by then, and nothing is wrong with the journal, so that there is no
// need to look at all that is on disk anew, for which every login would wait.
func (s *Store) overAPage(group []*request, err error) bool {
	if err == nil {
		return false
	}
	var bad *panicked
	f := s.db.Load()
	return errors.As(err, &bad) && f != nil && !f.stuck.Load() &&
		!slices.ContainsFunc(group, func(r *request) bool { return r.probe || !r.file })
}

// tellPage logs it once: anybody may ask for what is there, over and over.
func (s *Store) tellPage(err error) {
	if !s.badPage {
		s.badPage = true
		s.logger.Error("a page cannot be read", append([]any{"path", s.options.Path, "error", err}, traced(err)...)...)
	}
}

// transact returns how many claims were carried out, and whether anything had to be written.
func (s *Store) transact(group []*request) (claims int, wrote bool, err error) {
	if claims, wrote, err = s.carryOut(group); err != nil {
		return 0, false, fmt.Errorf("write %s: %w", s.options.Path, err)
	}
	return claims, wrote, nil
}

// carryOut carries out the group. What has changed is on disk when it returns: in the file, if anything else
// than states of accounts has, or else in the journal.
func (s *Store) carryOut(group []*request) (claims int, wrote bool, err error) {
	if f := s.db.Load(); f != nil && f.stuck.Load() {
		return 0, false, errStuck
	}
	writes := slices.ContainsFunc(group, func(r *request) bool { return r.file })
	if writes || s.journal.current == nil { // to begin a generation is a write to the file
		s.join()
	}
	probe := slices.ContainsFunc(group, func(r *request) bool { return r.probe })
	if probe && s.healed() {
		_ = s.db.Swap(nil).close()
	}
	if s.db.Load() == nil {
		if err := s.openFile(false); err != nil {
			return 0, false, err
		}
	}
	f := s.db.Load()
	if err := f.whole(); err != nil {
		return 0, false, err
	}
	if err := s.ready(probe); err != nil {
		return 0, false, err
	}
	c, number, filed := &s.commit, s.journal.next(), false
	defer c.end()
	err = f.with(writes, func(tx *bbolt.Tx) (bool, error) {
		c.tx = tx
		claims = c.run(group)
		c.encode(number)
		filed = c.err == nil && c.file()
		return filed, c.err
	})
	if err != nil {
		return 0, false, err
	}
	if probe {
		s.journal.broken = nil // perhaps: the next fold tells
	}
	if !filed {
		s.entry = c.appendEntry(s.entry[:0])
		if len(s.entry) > 0 {
			if err := s.append(number, s.entry); err != nil {
				return 0, false, err
			}
		}
	}
	s.index.publish(c.group, filed)
	return claims, filed || len(s.entry) > 0, nil
}

// healed reports whether the file can be compared again with all that the journal has of accounts with which it could not: then
// the journal is to be read again. A probe writes to the file: no slice is being written.
func (s *Store) healed() bool {
	troubles := s.index.troubles()
	if s.db.Load() == nil || len(troubles) == 0 {
		return false
	}
	return s.view(func(tx *bbolt.Tx) error {
		again := newReplayed()
		for key, t := range troubles {
			if err := again.state(tx, key, t.state); err != nil {
				return err
			}
		}
		return nil
	}) == nil
}

// ready is for a group that is about to be carried out. What was read of a file that was just opened is on disk for certain
// once something was written to it.
func (s *Store) ready(probe bool) error {
	if err := s.settle(); err != nil {
		return err
	}
	if probe || s.journal.unsure {
		if err := s.begin(); err != nil {
			return err
		}
	}
	if probe { // which is there to find out
		return nil
	}
	return s.full()
}

// run runs the calls, and returns how many claims there were.
func (c *commit) run(group []*request) (claims int) {
	for _, r := range group {
		if r.gone = r.ctx.Err() != nil; !r.gone { // whoever has left is not there to be told
			r.run(c)
			claims += r.claims
		}
	}
	return claims
}

// recover is for a commit that failed.
func (s *Store) recover(cause error) {
	if !s.failing {
		s.failing = true
		s.logger.Error("store cannot be written", append([]any{"path", s.options.Path, "error", cause}, traced(cause)...)...)
	}
	s.lookAgain()
}

// lookAgain looks at the file and the journal anew after a failure: nobody was told that what failed took
// place, but they may hold it all the same.
func (s *Store) lookAgain() {
	if !s.joinSoon() {
		return
	}
	if f := s.db.Swap(nil); f != nil {
		_ = f.close()
	}
	if err := s.openFile(false); err != nil {
		s.logger.Debug("store cannot be opened again yet", "error", err)
	}
}
