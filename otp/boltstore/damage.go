package boltstore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrDamaged: the file is there, but it is not a store, or not a whole one.
var ErrDamaged = errors.New("the store is damaged")

// damage adds ErrDamaged to the errors with which bbolt says so.
func damage(err error) error {
	for _, sign := range []error{berrors.ErrInvalid, berrors.ErrVersionMismatch, berrors.ErrChecksum} {
		if errors.Is(err, sign) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return err
}

// openBolt makes an error of the panic with which bbolt reports some kinds of damage.
func openBolt(path string) (*bbolt.DB, error) {
	return openWith(path, &bbolt.Options{
		Timeout:        time.Second,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoStatistics:   true,
	})
}

func openWith(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	defer func() {
		if sign := recover(); sign != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, sign)
		}
	}()
	return bbolt.Open(path, 0o600, o)
}

// Bound returns the fingerprint of the keyset that the store at path belongs to, "" when there is no
// store or it is nobody's yet. Unlike [Store.Bind] it changes nothing. It returns an error that wraps
// [otpgate/otp.ErrLocked] while a process uses the store.
func Bound(path string) (fingerprint string, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	db, err := openWith(path, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return "", lockedError(path)
	case err != nil:
		return "", fmt.Errorf("boltstore: open %s: %w", path, damage(err))
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(metaBucket); meta != nil {
			fingerprint = string(meta.Get(keysetKey))
		}
		return nil
	})
	return fingerprint, errors.Join(err, db.Close())
}
