package redisstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"otpgate/otp"
)

// PutNotes implements [otp.Store]: one pipeline, with one script call for each kind and key.
func (s *Store) PutNotes(ctx context.Context, notes []otp.Note) error {
	var calls []call
	of := make(map[string]int, len(notes)) // index into calls
	for i := range notes {
		n := &notes[i]
		if err := n.Check(); err != nil {
			return fmt.Errorf("redisstore: %w", err)
		}
		key := s.noteKey(n.Kind, n.Key)
		at, ok := of[key]
		if !ok {
			at = len(calls)
			of[key], calls = at, append(calls, newCall(s.scripts.note, key))
		}
		expires := min(max(millis(n.Expires), 0), limit48)
		calls[at].args = append(calls[at].args, n.Field, n.Value != nil, expires, slices.Clone(n.Value))
	}
	_, err := do(ctx, s, "put notes", func(ctx context.Context) (struct{}, error) {
		if len(calls) == 0 {
			return struct{}{}, nil
		}
		for _, cmd := range s.run(ctx, calls) {
			stored, err := cmd.Bool() // a connection that was refused leaves neither a reply nor an error
			if err == nil && !stored {
				err = errors.New("unexpected reply")
			}
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// Notes implements [otp.Store].
func (s *Store) Notes(ctx context.Context, kind, key string, now time.Time) ([]otp.Note, error) {
	at := s.noteKey(kind, key)
	return do(ctx, s, "notes", func(ctx context.Context) ([]otp.Note, error) {
		fields, err := s.client.HGetAll(ctx, at).Result()
		if err != nil {
			return nil, err
		}
		var notes []otp.Note
		for field, text := range fields {
			if len(text) < 6 {
				return nil, errDamaged
			}
			expires := int64(binary.BigEndian.Uint64(append([]byte{0, 0}, text[:6]...)))
			if millis(now) < expires {
				notes = append(notes, otp.Note{Kind: kind, Key: key, Field: field, Value: []byte(text[6:]), Expires: fromMillis(expires)})
			}
		}
		slices.SortFunc(notes, func(a, b otp.Note) int { return strings.Compare(a.Field, b.Field) })
		return notes, nil
	})
}
