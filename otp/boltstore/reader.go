package boltstore

import (
	"context"
	"strings"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// maxReaders bounds how many reads of the file are under way. A read that the disk does not answer
// holds a thread until it does, and Go ends a process that has 10,000 of them.
const maxReaders = 64

// read reads the image of a record that is not in memory, and has looked whether it is one.
func (s *Store) read(ctx context.Context, key []byte) (image, error) {
	return reading(ctx, s, func() (image, error) {
		m, err := s.readFile(key)
		if err != nil {
			s.notice(key, err)
		}
		return m, err
	})
}

// reading runs what reads the file, and leaves it behind when ctx ends: a disk that hangs cannot be told
// to stop.
func reading[T any](ctx context.Context, s *Store, read func() (T, error)) (T, error) {
	var zero T
	select {
	case s.readers <- struct{}{}:
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-s.readers }()
		value, err := read()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

func (s *Store) readFile(key []byte) (m image, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		m = load(tx, key)
		_, err := m.record()
		return err
	})
	return m, err
}

// load reads an image that is not in the index, which has every one that was not folded. What no login changes is
// one piece: many are kept.
func load(tx *bbolt.Tx, key []byte) image {
	devices := tx.Bucket(devicesBucket).Get(key)
	var b strings.Builder
	b.Grow(len(key) + len(devices))
	b.Write(key)
	b.Write(devices)
	fixed := b.String()
	return image{key: fixed[:len(key)], devices: fixed[len(key):], state: string(tx.Bucket(statesBucket).Get(key))}
}

// view looks into the file, in which somebody may have damaged anything.
func (s *Store) view(look func(*bbolt.Tx) error) error {
	f := s.db.Load()
	if f == nil {
		return otp.ErrUnavailable
	}
	if err := f.whole(); err != nil {
		return err
	}
	return f.with(false, func(tx *bbolt.Tx) (bool, error) { return false, look(tx) })
}
