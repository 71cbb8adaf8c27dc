package boltstore

import (
	"context"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// maxReaders bounds how many reads of the file are under way. A read that the disk does not answer
// holds a thread until it does, and Go ends a process that has 10,000 of them.
const maxReaders = 64

// read reads a record that is not in memory, and leaves the reading behind when ctx ends: a disk that
// hangs cannot be told to stop.
func (s *Store) read(ctx context.Context, key []byte) (*record, error) {
	select {
	case s.readers <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type outcome struct {
		record *record
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-s.readers }()
		r, err := s.readFile(key)
		if err != nil {
			s.notice(key, err)
		}
		done <- outcome{r, err}
	}()
	select {
	case o := <-done:
		return o.record, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Store) readFile(key []byte) (r *record, err error) {
	f := s.db.Load()
	if f == nil {
		return nil, otp.ErrUnavailable
	}
	if err := f.whole(); err != nil {
		return nil, err
	}
	err = guarded(func() error {
		return f.View(func(tx *bbolt.Tx) (err error) {
			r, err = load(tx, key)
			return err
		})
	})
	return r, err
}
