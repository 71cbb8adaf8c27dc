package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"

	"otpgate/otp/boltstore/wal"
)

// journalPrefix begins the names of buckets in which older versions kept their journal.
var journalPrefix = []byte("journal-")

// newer is the bucket that keeps older versions out: they take it for a part of their journal, and the one value in
// it for a record of a newer version.
var newer = append(slices.Clone(journalPrefix), "is beside the file"...)

func keepOlderOut(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(newer)
	if err != nil {
		return err
	}
	return b.Put([]byte{0}, appendString(appendString(nil, "nobody"), []byte{format + 1, 0}))
}

// replayed is what the journal tells of accounts, each of which is in one of the two.
type replayed struct {
	dirty map[string]image // newer than what was folded
	// unreadable are those of which the file cannot tell what was folded: which of the two is newer, nobody knows. They
	// get nothing, and what the journal has of them stays there.
	unreadable map[string]unreadable
	whole      *record // of use only to see that a state is one
}

// unreadable is the newest state that the journal has of an account, and why it cannot be compared with the file's.
type unreadable struct {
	state string
	err   error
}

func newReplayed() replayed {
	return replayed{dirty: make(map[string]image), unreadable: make(map[string]unreadable), whole: new(record)}
}

// replay reads what the last process did not fold: of each account the newest state in the journal, if it is
// newer than the one in the bucket. It changes nothing.
func (s *Store) replay(db *bbolt.DB) (found replayed, j journal, err error) {
	found = newReplayed()
	err = db.View(func(tx *bbolt.Tx) error {
		j.first = 1
		if value := tx.Bucket(metaBucket).Get(journalKey); value != nil {
			var err error
			if j.ledger, err = decodeLedger(value); err != nil {
				return err
			}
		}
		j.sequence = max(j.sequence, uint64(tx.ID())) // by which older versions number
		if err := replayBuckets(tx, found); err != nil {
			return err
		}
		return s.replayGenerations(tx, &j, found)
	})
	return found, j, err
}

// replayGenerations reads the files of the journal.
func (s *Store) replayGenerations(tx *bbolt.Tx, j *journal, found replayed) error {
	for n := j.first; n <= j.last; n++ {
		path, last := s.generation(n), uint64(0)
		octets, err := wal.Read(path, j.id, n, func(sequence uint64, entry []byte) error {
			last, j.sequence = sequence, max(j.sequence, sequence)
			j.doubt = append(j.doubt[:0], entry...)
			return found.entry(tx, entry)
		})
		j.retired += octets
		switch {
		case errors.Is(err, os.ErrNotExist):
			err = fmt.Errorf("%w: %s is missing, which belongs to it", ErrNoJournal, path)
		case errors.Is(err, wal.ErrDamaged):
			err = fmt.Errorf("%w: %w", ErrNoJournal, err)
		case err == nil && n == j.entryIn && last < j.entry:
			err = fmt.Errorf("%w: the end of %s is missing", ErrNoJournal, path)
		}
		if err != nil && !s.givenUp(path, err) {
			return err
		}
	}
	return s.nothingLater(j)
}

// nothingLater makes sure that the file is not older than its journal, as one is that came from a backup alone. A
// generation is named before anything is in it.
func (s *Store) nothingLater(j *journal) error {
	numbers, err := s.generations()
	named := j.last
	for _, n := range numbers {
		if n <= named {
			continue
		}
		path := s.generation(n)
		if s.entries(n, j.id) == 0 { // one of another store has none
			continue
		}
		if old := fmt.Errorf("%w: it is older than %s, which belongs to it", ErrNoJournal, path); !s.givenUp(path, old) {
			return old
		}
		j.last = max(j.last, n) // given up with what is before it
	}
	return err
}

// givenUp reports whether the operator has said that the journal is lost, by a file of this name: codes that
// were used in the last minutes before may then be used again, until they are too old. It counts once.
func (s *Store) givenUp(path string, err error) bool {
	if _, missing := os.Lstat(s.options.Path + lostSuffix); missing != nil || !errors.Is(err, ErrNoJournal) && !errors.Is(err, syscall.EIO) {
		return false
	}
	s.lost = true
	s.logger.Warn("journal given up", "path", path, "error", err)
	return true
}

const lostSuffix = ".journal.lost"

// forgetLoss removes the operator's mark, once the store does without what it gives up.
func (s *Store) forgetLoss() error {
	if err := wal.Remove(s.options.Path + lostSuffix); err != nil {
		return fmt.Errorf("remove what says that the journal is lost: %w", err)
	}
	s.lost = false
	return nil
}

// ofOlder is whether a bucket is the journal of an older version.
func ofOlder(name []byte) bool {
	return bytes.HasPrefix(name, journalPrefix) && !bytes.Equal(name, newer)
}

// replayBuckets reads the journal of an older version.
func replayBuckets(tx *bbolt.Tx, found replayed) error {
	return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if !ofOlder(name) {
			return nil
		}
		return b.ForEach(func(_, entry []byte) error { return found.entry(tx, entry) })
	})
}

// dropBuckets drops the journal of an older version.
func dropBuckets(tx *bbolt.Tx) error {
	var names [][]byte
	err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if ofOlder(name) {
			names = append(names, slices.Clone(name))
		}
		return nil
	})
	for _, name := range names {
		err = errors.Join(err, tx.DeleteBucket(name))
	}
	return err
}

// entry reads one entry of the journal. A state is looked at only if it is newer than what was folded, because what makes a
// bad page of the file is the trouble of those who are on it.
func (p replayed) entry(tx *bbolt.Tx, entry []byte) error {
	d := &decoder{b: string(entry)}
	for len(d.b) > 0 {
		key, state := d.string(), d.string()
		if d.err != nil {
			return d.err
		}
		if _, err := stateNumber(state); err != nil {
			return err
		}
		bad, known := p.unreadable[key]
		if !known {
			bad.err = guarded(func() error { return p.state(tx, key, state) })
		}
		if bad.err != nil {
			bad.state = strings.Clone(state) // not a part of the whole entry
			p.unreadable[strings.Clone(key)] = bad
			delete(p.dirty, key)
		}
	}
	return nil
}

// state takes in the state of an account if it is newer than what was folded.
func (p replayed) state(tx *bbolt.Tx, key, state string) error {
	number, err := stateNumber(state)
	if err != nil {
		return err
	}
	if folded := tx.Bucket(statesBucket).Get([]byte(key)); folded != nil {
		if kept, err := stateNumber(string(folded)); err != nil || kept >= number {
			return err
		}
	}
	m, again := p.dirty[key]
	if !again {
		m = image{key: strings.Clone(key), devices: string(tx.Bucket(devicesBucket).Get([]byte(key)))}
	}
	m.state = strings.Clone(state) // as above
	if err := p.whole.decode(m.devices, m.state); err != nil {
		return err
	}
	p.dirty[m.key] = m
	return nil
}

// stateNumber is the number of the change that made the state.
func stateNumber(state string) (uint64, error) {
	d := &decoder{b: state}
	d.format()
	number := d.uint()
	return number, d.err
}
