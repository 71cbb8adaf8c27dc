package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"otpgate/otp/boltstore/wal"
)

// journalPrefix begins the names of buckets in which older versions kept their journal.
var journalPrefix = []byte("journal-")

// replay reads what the last process did not fold: of each account the newest state in the journal, if it is
// newer than the one in the bucket. It changes nothing.
func (s *Store) replay(db *bbolt.DB) (map[string]*record, journal, error) {
	dirty, j := make(map[string]*record), journal{}
	err := db.View(func(tx *bbolt.Tx) error {
		var err error
		if value := tx.Bucket(metaBucket).Get(journalKey); value != nil {
			if j.ledger, err = decodeLedger(value); err != nil {
				return err
			}
		} else { // numbers were those of transactions
			j.first, j.sequence = 1, uint64(tx.ID())
		}
		if err := replayBuckets(tx, dirty); err != nil {
			return err
		}
		return s.replayGenerations(tx, &j.ledger, dirty)
	})
	if len(dirty) > 0 || j.first <= j.last { // fold at once, beside the first claims
		j.fold = &fold{upTo: j.last}
		for key := range dirty {
			j.fold.keys = append(j.fold.keys, key)
		}
		slices.Sort(j.fold.keys)
	}
	return dirty, j, err
}

// replayGenerations reads the files of the journal.
func (s *Store) replayGenerations(tx *bbolt.Tx, l *ledger, dirty map[string]*record) error {
	for n := l.first; n <= l.last; n++ {
		path := s.generation(n)
		err := wal.Read(path, l.id, n, func(sequence uint64, images []byte) error {
			l.sequence = max(l.sequence, sequence)
			return replayImages(tx, images, dirty)
		})
		switch {
		case errors.Is(err, os.ErrNotExist):
			err = fmt.Errorf("%w: %s is missing, which belongs to it", ErrNoJournal, path)
		case errors.Is(err, wal.ErrDamaged):
			err = fmt.Errorf("%w: %w", ErrNoJournal, err)
		}
		if err != nil && !s.givenUp(path, err) {
			return err
		}
	}
	return nil
}

// givenUp reports whether the operator has said that the journal is lost, by a file of this name: codes that
// were used in the last minutes before may then be used again, until they are too old. It counts once.
func (s *Store) givenUp(path string, err error) bool {
	if _, missing := os.Lstat(s.options.Path + lostSuffix); missing != nil {
		return false
	}
	s.lost = true
	s.logger.Warn("journal given up", "path", path, "error", err)
	return true
}

const lostSuffix = ".journal.lost"

// forgetLoss removes the operator's mark, once the store does without what it gives up.
func (s *Store) forgetLoss() {
	s.lost = false
	if err := os.Remove(s.options.Path + lostSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.logger.Warn("remove this file: it says that the journal may be missing", "path", s.options.Path+lostSuffix, "error", err)
	}
}

// replayBuckets reads the journal of an older version.
func replayBuckets(tx *bbolt.Tx, dirty map[string]*record) error {
	return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if !bytes.HasPrefix(name, journalPrefix) {
			return nil
		}
		return b.ForEach(func(_, images []byte) error { return replayImages(tx, images, dirty) })
	})
}

// dropBuckets drops the journal of an older version.
func dropBuckets(tx *bbolt.Tx) error {
	var names [][]byte
	err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if bytes.HasPrefix(name, journalPrefix) {
			names = append(names, slices.Clone(name))
		}
		return nil
	})
	for _, name := range names {
		err = errors.Join(err, tx.DeleteBucket(name))
	}
	return err
}

func replayImages(tx *bbolt.Tx, images []byte, dirty map[string]*record) error {
	d := &decoder{b: images}
	for len(d.b) > 0 {
		key, image := d.take(d.uint()), d.take(d.uint())
		if d.err != nil {
			return d.err
		}
		made, err := stateNumber(image)
		if err != nil {
			return err
		}
		if bucket := tx.Bucket(statesBucket).Get(key); bucket != nil {
			folded, err := stateNumber(bucket)
			if err != nil {
				return err
			}
			if made <= folded {
				continue
			}
		}
		list, err := decodeDevices(tx.Bucket(devicesBucket).Get(key))
		if err != nil {
			return err
		}
		if dirty[string(key)], err = decodeState(image, list); err != nil {
			return err
		}
	}
	return nil
}

// stateNumber is the number of the change that made the state.
func stateNumber(state []byte) (uint64, error) {
	d := &decoder{b: state}
	d.format()
	number := d.uint()
	return number, d.err
}
