package boltstore

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// fold is states being copied from memory to their bucket, and what is over when all are.
type fold struct {
	entries []*entry // still to be folded, in the order of the file
	upTo    uint64   // generations that are not needed afterwards
	// unsorted is closed when the entries are in order; before, nobody but who sorts them may look. nil: they are.
	unsorted chan struct{}
	slice    slice
}

// slice is a part of a fold, written to the file beside the writer: groups of claims go on, which append to the
// journal and only read the file. What else is to be written to the file waits until the slice is over.
type slice struct {
	done chan error // gets what became of it; nil: none is being written

	// Of whoever writes it, until then.
	entries []*entry // their keys alone
	states  []string // what the bucket is to have of them; "": what it has
	last    bool     // of its fold
	text    []byte   // keys and states as they are put; reused
}

// newFold is a fold of these entries. Neighbours in the file are folded together, so that they share pages. Nobody
// waits until so many are in order, unless folds are behind.
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

// writing gets what became of the slice that is being written; nil: none is.
func (f *fold) writing() <-chan error {
	if f == nil {
		return nil
	}
	return f.slice.done
}

// cut makes a slice of the next n entries, as they are now.
func (f *fold) cut(n int) *slice {
	p := &f.slice
	n = min(n, len(f.entries))
	p.done, p.entries, p.last = make(chan error, 1), f.entries[:n], n == len(f.entries)
	p.states = p.states[:0]
	for _, e := range p.entries {
		state := ""
		if e.dirty { // else another entry may have its place, and the bucket a newer state
			state = e.state
		}
		p.states = append(p.states, state)
	}
	return p
}

// folding is whether a fold is under way that may succeed.
func (s *Store) folding() bool {
	if s.journal.fold == nil || s.hindered() != nil || s.failing {
		return false
	}
	f := s.db.Load()
	return f != nil && !f.stuck.Load()
}

// hindered is why nothing can be folded now; nil: it can, or may be tried. A fold that is over drops its generations, and
// with them what they have of accounts that the file has no word about.
func (s *Store) hindered() error {
	if s.journal.broken != nil {
		return s.journal.broken
	}
	for _, t := range s.index.troubles() {
		return t.err
	}
	return nil
}

// foldIfLong begins a fold when enough is waiting for it. What was appended is in the index by then. The next
// generation begins at once: claims that came after the first slice would have to wait for it.
func (s *Store) foldIfLong() {
	if j := &s.journal; j.fold != nil || j.current == nil || !s.long(1) {
		return
	}
	s.startFold()
	if err := s.begin(); err != nil {
		s.recover(err)
	}
}

// long is whether so many times the bounds of a journal are reached.
func (s *Store) long(times int) bool {
	b := &s.bounds
	return s.journal.octets() > int64(times)*b.foldOctets || s.index.dirtyCount() > times*b.foldAccounts
}

// startFold retires the current generation.
func (s *Store) startFold() {
	s.closeJournal()
	s.journal.fold = newFold(s.index.take(), s.journal.last)
}

// foldMore begins the next slice, of n states, unless one is being written, or it is not known yet which is next.
func (s *Store) foldMore(n int) {
	if f := s.journal.fold; s.folding() && f.unsorted == nil && f.slice.done == nil {
		s.beginSlice(n)
	}
}

// keepUp is for a fold that is behind: each group waits for the slice that was cut after the one before, which is twice
// as large as that was.
func (s *Store) keepUp(claims int) {
	if s.folding() && s.long(hurry) {
		s.join()
	}
	if s.folding() && s.long(hurry) {
		s.journal.fold.sort()
		s.foldMore(max(s.bounds.foldSlice, 2*claims))
	}
}

// join waits for the slice that is being written, if there is one: from then on the writer may write to the file.
func (s *Store) join() {
	if done := s.journal.fold.writing(); done != nil {
		s.sliceOver(<-done)
	}
}

// stuckTime is how long a slice is waited for whose file is stuck.
const stuckTime = time.Second

// joinSoon is join for a file that may be stuck: a slice that waits for a lock is never over then, and one that needs
// none any more is over at some time. It reports whether no slice is being written.
func (s *Store) joinSoon() bool {
	if f := s.db.Load(); f == nil || !f.stuck.Load() {
		s.join()
		return true
	}
	done := s.journal.fold.writing()
	if done == nil {
		return true
	}
	select {
	case err := <-done:
		s.sliceOver(err)
		return true
	case <-time.After(stuckTime):
		return false
	}
}

// beginSlice begins to write the next n states to their bucket, and after the last one that their generations are not
// needed any more.
func (s *Store) beginSlice(n int) {
	p, l, db := s.journal.fold.cut(n), s.journal.ledger, s.db.Load()
	if p.last {
		l.first = max(l.first, s.journal.fold.upTo+1)
	}
	done := p.done // which endSlice takes away
	go func() {
		if hold := s.bounds.hold; hold != nil {
			hold()
		}
		done <- db.with(true, func(tx *bbolt.Tx) (bool, error) {
			if err := p.put(tx.Bucket(statesBucket)); err != nil {
				return false, err
			}
			if p.last {
				if err := dropBuckets(tx); err != nil {
					return false, err
				}
			}
			return true, l.write(tx)
		})
	}()
}

// sliceOver takes over what became of a slice. What cannot be folded stays in the journal and in memory: logins go on.
// It is tried again after a while, or when Ping asks for it, and told once.
func (s *Store) sliceOver(err error) {
	if err = s.endSlice(err); err == nil {
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
	if s.bounds.again > 0 {
		s.retry = time.After(s.bounds.again)
	}
	// After a panic of bbolt's over a page, the file is what it was before. After anything else nobody knows what
	// bbolt makes of it; memory and the journal are as they were.
	if bad := (*panicked)(nil); !errors.As(err, &bad) || s.db.Load().stuck.Load() {
		s.reopen()
	}
}

// endSlice has the index know what the buckets have; after the last slice it removes the generations that are not
// needed any more. With an error nothing is known: the slice is still to be folded.
func (s *Store) endSlice(err error) error {
	j, f := &s.journal, s.journal.fold
	p := &f.slice
	p.done = nil
	if err == nil {
		s.index.folded(p.entries, p.states)
		f.entries = f.entries[len(p.entries):]
		clear(p.entries) // of no use to anybody, and the fold may last
	}
	clear(p.states)
	if err != nil || !p.last {
		return err
	}
	j.first = max(j.first, f.upTo+1)
	j.fold, j.retired = nil, 0
	s.sweep()
	return nil
}

// put writes the states to their bucket.
func (p *slice) put(states *bbolt.Bucket) error {
	room := 0
	for i, e := range p.entries {
		room += len(e.key) + len(p.states[i])
	}
	p.text = slices.Grow(p.text[:0], room) // bbolt keeps values until the transaction is over, and copies keys
	for i, e := range p.entries {
		if p.states[i] == "" {
			continue
		}
		at := len(p.text)
		p.text = append(append(p.text, e.key...), p.states[i]...)
		key, state := p.text[at:at+len(e.key)], p.text[at+len(e.key):]
		if err := states.Put(key, state); err != nil {
			return err
		}
	}
	return nil
}
