package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	berrors "go.etcd.io/bbolt/errors"
)

// ErrDamaged: the file is there, but it is not a store, or not a whole one. What it held is to be
// restored from a backup.
var ErrDamaged = errors.New("the store is damaged")

// ErrNoJournal: a generation of the journal that the file names is missing or not whole. It is an [ErrDamaged].
// An empty file of the store's name and ".journal.lost" opens the store without it, once: all that logins have changed since
// it was folded is forgotten then, so all codes that were used have to be too old by that time.
var ErrNoJournal = fmt.Errorf("%w: what was used last is not known", ErrDamaged)

// damage adds ErrDamaged to the errors with which bbolt says so.
func damage(err error) error {
	for _, sign := range []error{berrors.ErrInvalid, berrors.ErrVersionMismatch, berrors.ErrChecksum} {
		if errors.Is(err, sign) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// errStuck: a panic has left the locks of the file taken. It is opened again when nothing is being written any more.
var errStuck = fmt.Errorf("%w: nobody can lock it any more", ErrDamaged)

// panicked is a panic that guarded has caught.
type panicked struct {
	sign  any
	stack []byte
}

func (p *panicked) Error() string {
	if _, fault := p.sign.(interface{ Addr() uintptr }); fault { // whose own words are about a nil pointer
		return fmt.Sprintf("%v: a page cannot be read, or is beyond the end of the file", ErrDamaged)
	}
	return fmt.Sprintf("%v: %v", ErrDamaged, p.sign)
}

// Unwrap makes it an ErrDamaged.
func (p *panicked) Unwrap() error { return ErrDamaged }

// guarded runs what looks into the file. bbolt panics when it finds a page that cannot be one, and the
// kernel answers with a fault when a page cannot be read or is not in the file any more; both become
// errors here, because one bad page must not end the node. It works for the calling goroutine only.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if sign := recover(); sign != nil {
			err = &panicked{sign: sign, stack: debug.Stack()}
		}
	}()
	return f()
}

// traced are log fields for an error: where the panic was, if it was one, and what is to be done.
func traced(err error) []any {
	var fields []any
	if errors.Is(err, ErrDamaged) {
		fields = append(fields, "hint", "stop the node and restore the file and its journal from one backup, on another disk if this one fails")
	}
	var p *panicked
	if errors.As(err, &p) {
		fields = append(fields, "stack", string(p.stack))
	}
	return fields
}

// trouble is a record that could not be read because the file is damaged.
type trouble struct{ key []byte }

// notice remembers the first damaged record for Ping. The others are of no use to Ping, nor to the log:
// anybody who tries to log in could fill it.
func (s *Store) notice(key []byte, err error) {
	if errors.Is(err, ErrDamaged) && s.trouble.CompareAndSwap(nil, &trouble{key}) {
		s.logger.Error("a record cannot be read", append([]any{"path", s.options.Path, "error", err}, traced(err)...)...)
	}
}

// readAgain returns an error while what notice remembers cannot be read.
func (s *Store) readAgain(ctx context.Context) error {
	t := s.trouble.Load()
	if t == nil {
		return nil
	}
	if _, err := s.read(ctx, t.key); err != nil {
		return fmt.Errorf("boltstore: %s: %w", s.options.Path, unavailable(err))
	}
	if s.trouble.CompareAndSwap(t, nil) {
		s.logger.Info("the record can be read again", "path", s.options.Path)
	}
	return nil
}
