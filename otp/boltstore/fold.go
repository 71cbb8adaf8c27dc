package boltstore

import (
	"errors"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// fold is states being copied from memory to their bucket, and what is over when all are.
type fold struct {
	entries []*entry // still to be folded, in the order of the file
	upTo    uint64   // generations that are not needed afterwards
	// unsorted is closed when the entries are in order; before, nobody but who sorts them may look. nil: they are.
	unsorted chan struct{}
	text     []byte // what a slice writes; reused
}

// newFold is a fold of these entries. Neighbours in the file are folded together, so that they share pages. To sort
// so many keeps nobody waiting.
func newFold(entries []*entry, upTo uint64) *fold {
	f := &fold{entries: entries, upTo: upTo, unsorted: make(chan struct{})}
	sorted := f.unsorted
	go func() {
		slices.SortFunc(entries, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
		close(sorted)
	}()
	return f
}

// sorting is closed when the entries of a fold are in order; nil: there is nothing to wait for.
func (f *fold) sorting() <-chan struct{} {
	if f == nil {
		return nil
	}
	return f.unsorted
}

// sort waits until the entries are in order.
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

// startFold retires the current generation.
func (s *Store) startFold() {
	s.closeJournal()
	s.journal.fold = newFold(s.index.take(), s.journal.last)
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
	j, f := &s.journal, s.journal.fold
	n = min(n, len(f.entries))
	slice, l := f.entries[:n], j.ledger
	over := n == len(f.entries)
	if over {
		l.first = f.upTo + 1
	}
	err := s.db.Load().with(true, func(tx *bbolt.Tx) (bool, error) {
		if err := f.put(tx.Bucket(statesBucket), slice); err != nil {
			return false, err
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
	s.index.folded(slice)
	clear(slice) // of no use to anybody, and the fold may last
	j.ledger, f.entries = l, f.entries[n:]
	if over {
		j.fold, j.retired = nil, 0
		s.sweep()
	}
	return nil
}

// put writes the states of those that are still newer than the bucket.
func (f *fold) put(states *bbolt.Bucket, slice []*entry) error {
	room := 0
	for _, e := range slice {
		room += len(e.key) + len(e.state)
	}
	f.text = slices.Grow(f.text[:0], room) // bbolt keeps values until the transaction is over, and copies keys
	for _, e := range slice {
		if !e.dirty { // another entry may have its place, and the bucket a newer state
			continue
		}
		at := len(f.text)
		f.text = append(append(f.text, e.key...), e.state...)
		key, state := f.text[at:at+len(e.key)], f.text[at+len(e.key):]
		if err := states.Put(key, state); err != nil {
			return err
		}
	}
	return nil
}
