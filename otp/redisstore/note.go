package redisstore

import (
	"context"
	"time"

	"otpgate/otp"
)

// PutNotes implements [otp.Store].
func (s *Store) PutNotes(context.Context, []otp.Note) error { return otp.ErrUnavailable }

// Notes implements [otp.Store].
func (s *Store) Notes(context.Context, string, string, time.Time) ([]otp.Note, error) {
	return nil, otp.ErrUnavailable
}
