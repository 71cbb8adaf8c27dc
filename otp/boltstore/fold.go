package boltstore

import (
	"errors"
	"slices"

	"go.etcd.io/bbolt"
)

// fold is states being copied from memory to their bucket, and what is over when all are.
type fold struct {
	keys []string // accounts still to be folded, in the order of the file
	upTo uint64   // generations that are not needed afterwards
	// unsorted is closed when the keys are in order; before, nobody but who sorts them may look. nil: they are.
	unsorted chan struct{}
}

// sorting is closed when the keys of a fold are in order; nil: there is nothing to wait for.
func (f *fold) sorting() <-chan struct{} {
	if f == nil {
		return nil
	}
	return f.unsorted
}

// sort waits until the keys are in order.
func (f *fold) sort() {
	if f.unsorted != nil {
		<-f.unsorted
		f.unsorted = nil
	}
}

// folding is whether there is a slice to fold that may succeed.
func (s *Store) folding() bool {
	f := s.journal.fold
	return f != nil && f.unsorted == nil && s.journal.broken == nil && !s.failing
}

// foldIfLong begins a fold when enough is waiting for it. What was appended is in the index by then.
func (s *Store) foldIfLong() {
	j, b := &s.journal, &s.bounds
	if j.fold == nil && j.current != nil && (j.octets() > b.foldOctets || s.index.dirtyCount() > b.foldAccounts) {
		s.startFold()
	}
}

// startFold retires the current generation. Neighbours in the file are folded together, so that they share
// pages. To sort so many keeps nobody waiting.
func (s *Store) startFold() {
	s.closeJournal()
	f := &fold{keys: s.index.dirtyKeys(), upTo: s.journal.last, unsorted: make(chan struct{})}
	s.journal.fold = f
	keys, sorted := f.keys, f.unsorted
	go func() {
		slices.Sort(keys)
		close(sorted)
	}()
}

// foldMore folds n states more. What cannot be folded stays in the journal and in memory: logins go on. It is
// tried again when Ping asks for it, and told once.
func (s *Store) foldMore(n int) {
	err := s.foldSlice(n)
	if err == nil {
		if s.unfoldable && s.journal.fold == nil {
			s.unfoldable = false
			s.logger.Info("journal can be folded again", "path", s.options.Path)
		}
		return
	}
	if !s.unfoldable {
		s.unfoldable = true
		s.logger.Error("journal cannot be folded", append([]any{"path", s.options.Path, "error", err}, traced(err)...)...)
	}
	s.journal.broken = err
	// After a panic of bbolt's over a page, the file is what it was before. After anything else nobody knows what
	// bbolt makes of it; memory and the journal are as they were.
	if bad := (*panicked)(nil); !errors.As(err, &bad) || s.db.Load().stuck {
		s.reopen()
	}
}

// foldSlice writes the next n states to their bucket, and after the last one says that their generations are
// not needed any more, and removes them.
func (s *Store) foldSlice(n int) error {
	j := &s.journal
	n = min(n, len(j.fold.keys))
	slice, l := j.fold.keys[:n], j.ledger
	over := n == len(j.fold.keys)
	if over {
		l.first = j.fold.upTo + 1
	}
	err := s.db.Load().with(true, func(tx *bbolt.Tx) (bool, error) {
		states := tx.Bucket(statesBucket)
		for _, key := range slice {
			if m, dirty := s.index.dirtyImage(key); dirty { // else it was written with its devices since
				if err := states.Put([]byte(key), []byte(m.state)); err != nil {
					return false, err
				}
			}
		}
		if over {
			if err := dropBuckets(tx); err != nil {
				return false, err
			}
		}
		return true, l.write(tx)
	})
	if err != nil {
		return err
	}
	s.index.folded(slice, over)
	j.ledger, j.fold.keys = l, j.fold.keys[n:]
	if over {
		j.fold, j.retired = nil, 0
		s.sweep()
	}
	return nil
}
