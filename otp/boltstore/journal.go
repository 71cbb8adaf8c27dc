package boltstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"otpgate/otp/boltstore/wal"
)

// bounds of what is kept in memory, and of the journal. Tests have small ones.
type bounds struct {
	remembered   int   // folded records in the index, about 600 octets each
	foldAccounts int   // a fold begins when more records than this are waiting for it,
	foldOctets   int64 // or when the journal is longer than this
	foldSlice    int   // records folded in one transaction, at least
}

var usual = bounds{remembered: 65_536, foldAccounts: 50_000, foldOctets: 16 << 20, foldSlice: 512}

// patience is how many times the bounds may be reached by a journal that cannot be folded: then nothing more
// is taken.
const patience = 4

// errUnfolded: what waits to be folded is too much for memory.
var errUnfolded = errors.New("the journal cannot be folded, and is full")

// journal is what the writer knows of the journal: the generations that are being folded, each in a file
// beside the store, and the one that is appended to.
type journal struct {
	ledger
	current *wal.File // the generation last; nil: the next append makes one
	fold    *fold     // nil: none is under way
	broken  error     // why the last fold failed; nil: it did not
}

// ledger is what the store's file says of the journal.
type ledger struct {
	id       wal.ID
	first    uint64 // generation that is not folded; beyond last: there is none
	last     uint64
	sequence uint64 // the highest number of what is in the buckets
}

// fold is states being copied from memory to their bucket, and what is over when all are.
type fold struct {
	keys []string // accounts still to be folded, in the order of the file
	upTo uint64   // generations that are not needed afterwards
}

func (l *ledger) encode() []byte {
	b := append([]byte{format}, l.id[:]...)
	b = binary.AppendUvarint(b, l.first)
	b = binary.AppendUvarint(b, l.last)
	return binary.AppendUvarint(b, l.sequence)
}

func decodeLedger(b []byte) (ledger, error) {
	d := &decoder{b: b}
	d.format()
	l := ledger{id: wal.ID(d.fixed(16)), first: d.uint(), last: d.uint(), sequence: d.uint()}
	return l, d.err
}

// generation is where a generation of the journal is.
func (s *Store) generation(n uint64) string { return fmt.Sprintf("%s.journal.%d", s.options.Path, n) }

// unfolded is whether there is more than what the buckets have.
func (j *journal) unfolded() bool { return j.first <= j.last || j.fold != nil }

// waiting is whether there is a slice to fold that may succeed.
func (j *journal) waiting() bool { return j.fold != nil && j.broken == nil }

// next is the number of the next change.
func (j *journal) next() uint64 {
	j.sequence++
	return j.sequence
}

// append writes the states that the change with this number has made to the journal. They are on disk when it
// returns.
func (s *Store) append(number uint64, images []byte) error {
	j := &s.journal
	if err := s.roomInJournal(); err != nil {
		return err
	}
	if j.current == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	return j.current.Append(number, images)
}

// foldIfLong begins a fold when enough is waiting for it. What was appended is in the index by then.
func (s *Store) foldIfLong() {
	j, b := &s.journal, &s.bounds
	if j.fold == nil && j.current != nil && (j.current.Size() > b.foldOctets || s.index.dirtyCount() > b.foldAccounts) {
		s.startFold()
	}
}

// roomInJournal refuses when folding has failed for so long that memory would not hold more.
func (s *Store) roomInJournal() error {
	j, b := &s.journal, &s.bounds
	if j.broken != nil && (s.index.dirtyCount() > patience*b.foldAccounts || j.current != nil && j.current.Size() > patience*b.foldOctets) {
		return fmt.Errorf("%w: %w", errUnfolded, j.broken)
	}
	return nil
}

// begin begins the next generation. The file of the journal is there before the store's own names it: one
// that is named and missing is a loss.
func (s *Store) begin() error {
	l := s.journal.ledger
	if l.id == (wal.ID{}) {
		_, _ = rand.Read(l.id[:]) // never fails
	}
	l.last++
	current, err := wal.Create(s.generation(l.last), l.id, l.last)
	if err != nil {
		return fmt.Errorf("begin a journal: %w", err)
	}
	if err := s.db.Load().with(true, func(tx *bbolt.Tx) (bool, error) { return true, l.write(tx) }); err != nil {
		return errors.Join(err, current.Close())
	}
	s.journal.ledger, s.journal.current = l, current
	return nil
}

func (l *ledger) write(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(journalKey, l.encode()) }

// startFold retires the current generation. Neighbours in the file are folded together, so that they share
// pages.
func (s *Store) startFold() {
	j := &s.journal
	s.closeJournal()
	j.fold = &fold{keys: s.index.dirtyKeys(), upTo: j.last}
	slices.Sort(j.fold.keys)
}

// closeJournal has the next append begin a generation.
func (s *Store) closeJournal() {
	if s.journal.current == nil {
		return
	}
	if err := s.journal.current.Close(); err != nil { // every entry is on disk
		s.logger.Debug("journal not closed", "error", err)
	}
	s.journal.current = nil
}

// foldMore folds n states more. What cannot be folded stays in the journal and in memory: logins go on.
func (s *Store) foldMore(n int) {
	err := s.foldSlice(n)
	if err == nil {
		return
	}
	s.logger.Error("journal cannot be folded", append([]any{"path", s.options.Path, "error", err}, traced(err)...)...)
	// After a panic of bbolt's over a page, the file is what it was before.
	if bad := (*panicked)(nil); !errors.As(err, &bad) || s.db.Load().stuck {
		s.lookAgain()
	}
	s.journal.broken = err
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
			if r := s.index.dirtyRecord(key); r != nil { // else it was written with its devices since
				if err := states.Put([]byte(key), r.appendState(nil)); err != nil {
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
	s.index.folded(slice)
	gone := j.ledger
	j.ledger, j.fold.keys = l, j.fold.keys[n:]
	if over {
		j.fold = nil
		s.removeGenerations(gone.first, l.first)
		s.forgetLoss()
	}
	return nil
}

// removeGenerations removes files that are not needed any more. One that stays does no harm.
func (s *Store) removeGenerations(from, to uint64) {
	for n := from; n < to; n++ {
		if err := os.Remove(s.generation(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.logger.Debug("folded journal not removed", "error", err)
		}
	}
}
