package boltstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp/boltstore/wal"
)

// bounds of what is kept in memory, and of the journal. Tests have small ones.
type bounds struct {
	remembered   int    // folded records in the index; see Options
	foldAccounts int    // a fold begins when more records than this are waiting for it,
	foldOctets   int64  // or when the journal is longer than this
	foldSlice    int    // records folded in one transaction, as a rule
	hold         func() // before a slice is written; nil: nothing
	// again is how long after a fold that failed there is another try; 0: only when Ping asks for it.
	again time.Duration
}

var usual = bounds{remembered: 131_072, foldAccounts: 100_000, foldOctets: 16 << 20, foldSlice: 1024, again: 30 * time.Second}

// How many times the bounds of the journal may be exceeded.
const (
	hurry    = 2 // then claims wait for slices of the fold that is under way
	patience = 4 // then nothing more is taken, of a journal that cannot be folded
)

// errUnfolded: what waits to be folded is too much for memory.
var errUnfolded = errors.New("the journal cannot be folded")

// journal is what the writer knows of the journal: the generations that are being folded, each in a file
// beside the store, and the one that is appended to.
type journal struct {
	ledger
	current *wal.File // the generation last; nil: the next append makes one
	retired int64     // octets in the generations before
	doubt   []byte    // the last entry, if it was read: nobody knows whether it is on disk
	unsure  bool      // nor whether all of the file is, as it was when it was opened
	fold    *fold     // nil: none is under way
	broken  error     // why the last fold failed; nil: it did not, or is to be tried again
}

// ledger is what the store's file says of the journal.
type ledger struct {
	id       wal.ID
	first    uint64 // generation that is not folded; beyond last: there is none
	last     uint64
	sequence uint64 // the highest number of what is in the buckets
	// An entry that is on disk, perhaps not the last, and its generation: what ends before it has lost its end.
	entry, entryIn uint64
}

// maxGenerations bounds how many are waiting to be folded. Their octets are bounded too, so that more of them are
// no ledger.
const maxGenerations = 1 << 16

func (l *ledger) encode() []byte {
	b := append([]byte{format}, l.id[:]...)
	for _, n := range []uint64{l.first, l.last, l.sequence, l.entry, l.entryIn} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeLedger(b []byte) (ledger, error) {
	d := &decoder{b: string(b)}
	d.format()
	l := ledger{id: wal.ID([]byte(d.fixed(16))), first: d.uint(), last: d.uint(), sequence: d.uint(), entry: d.uint(), entryIn: d.uint()}
	if d.err == nil && l.last >= l.first && l.last-l.first > maxGenerations {
		d.err = errDamaged
	}
	return l, d.err
}

func (l *ledger) write(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(journalKey, l.encode()) }

// generation is where a generation of the journal is.
func (s *Store) generation(n uint64) string {
	return fmt.Sprintf("%s%s%d", s.options.Path, generationSuffix, n)
}

const generationSuffix = ".journal."

// unfolded is whether there is more than what the buckets have.
func (j *journal) unfolded() bool { return j.first <= j.last || j.fold != nil }

// octets is how long the journal is.
func (j *journal) octets() int64 {
	if j.current == nil {
		return j.retired
	}
	return j.retired + j.current.Size()
}

// next is the number of the next change.
func (j *journal) next() uint64 {
	j.sequence++
	return j.sequence
}

// full refuses more of what cannot be folded than memory has room for.
func (s *Store) full() error {
	if broken := s.hindered(); broken != nil && s.long(patience) {
		return fmt.Errorf("%w: %w", errUnfolded, broken)
	}
	return nil
}

// append writes an entry to the journal: the states that the change with this number has made. They are on disk when
// it returns.
func (s *Store) append(number uint64, entry []byte) error {
	j := &s.journal
	if err := s.begin(); err != nil {
		return err
	}
	if err := j.current.Append(number, entry); err != nil {
		return err
	}
	j.entry, j.entryIn = number, j.last
	return nil
}

// settle writes the last entry that was read once more, before anything is answered by what it says: the process
// that wrote it may have ended, or its fsync failed, before it was on disk, and what is read may be in memory only.
func (s *Store) settle() error {
	j := &s.journal
	if j.doubt == nil {
		return nil
	}
	if err := s.append(j.next(), j.doubt); err != nil {
		return err
	}
	j.doubt = nil
	return nil
}

// begin begins a generation, unless there is one to append to. Its file is there before the store's own names it:
// one that is named and missing is a loss. What another store has left in this place, which may come back, is not
// written over, unless generations of ours are behind it.
func (s *Store) begin() error {
	if s.journal.current != nil {
		return nil
	}
	l := s.journal.ledger
	if l.id == (wal.ID{}) {
		_, _ = rand.Read(l.id[:]) // never fails
	}
	for l.first > l.last && s.ofAnother(l.last+1, l.id) {
		l.last++
		l.first = l.last + 1
	}
	l.last++
	current, err := wal.Create(s.generation(l.last), l.id, l.last)
	if err != nil {
		return fmt.Errorf("begin a journal: %w", err)
	}
	err = s.db.Load().with(true, func(tx *bbolt.Tx) (bool, error) { return true, errors.Join(keepOlderOut(tx), l.write(tx)) })
	if err != nil { // the file stays, because it may be named
		return errors.Join(err, current.Close())
	}
	s.journal.ledger, s.journal.current, s.journal.unsure = l, current, false
	return nil
}

// closeJournal has the next append begin a generation.
func (s *Store) closeJournal() {
	j := &s.journal
	if j.current == nil {
		return
	}
	j.retired += j.current.Size()
	if err := j.current.Close(); err != nil { // every entry is on disk
		s.logger.Debug("journal not closed", "error", err)
	}
	j.current = nil
}

// ofAnother reports whether a generation is another store's, and has something.
func (s *Store) ofAnother(n uint64, id wal.ID) bool {
	whose, known := wal.Of(s.generation(n))
	return known && whose != id && s.entries(n, whose) > 0
}

// entries is how many a generation has, if it is whose.
func (s *Store) entries(n uint64, whose wal.ID) (number int) {
	_, _ = wal.Read(s.generation(n), whose, n, func(uint64, []byte) error { number++; return nil })
	return number
}

// sweep removes the generations that are folded. One that stays does no harm, and goes the next time. Those of a file that
// was put in the place of ours, or was there before it, are not ours to remove.
func (s *Store) sweep() {
	if !s.db.Load().at(s.options.Path) {
		return
	}
	numbers, err := s.generations()
	for _, n := range numbers {
		if n < s.journal.first && !s.ofAnother(n, s.journal.id) {
			err = errors.Join(err, os.Remove(s.generation(n)))
		}
	}
	if err != nil {
		s.logger.Debug("folded journal not removed", "error", err)
	}
}

// generations are those that have a file.
func (s *Store) generations() (numbers []uint64, err error) {
	directory, name := filepath.Split(s.options.Path)
	entries, err := os.ReadDir(filepath.Clean(directory))
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), name+generationSuffix)
		if n, bad := strconv.ParseUint(number, 10, 64); ours && bad == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}
