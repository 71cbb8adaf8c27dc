package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// noteKey is the key of a note; without a field, what the keys of all notes of this kind and key begin
// with. The lengths in front keep names of any content apart.
func noteKey(kind, key, field string) []byte {
	return append(appendString(appendString(nil, kind), key), field...)
}

func encodeNote(n *otp.Note) []byte {
	return append(binary.AppendVarint([]byte{format}, millis(n.Expires)), n.Value...)
}

func decodeNote(b []byte) (value string, expires int64, err error) {
	d := &decoder{b: string(b)}
	d.format()
	expires = d.int()
	return d.b, expires, d.err
}

// PutNotes implements [otp.Store].
func (s *Store) PutNotes(ctx context.Context, notes []otp.Note) error {
	notes = slices.Clone(notes) // as in Claim
	for i := range notes {
		if err := notes[i].Check(); err != nil {
			return fmt.Errorf("boltstore: %w", err)
		}
		if notes[i].Value != nil {
			notes[i].Value = append([]byte{}, notes[i].Value...)
		}
	}
	return s.do(ctx, &request{file: true, run: func(c *commit) {
		for i := range notes {
			c.note(&notes[i])
		}
	}})
}

func (c *commit) note(n *otp.Note) {
	b, key := c.tx.Bucket(notesBucket), noteKey(n.Kind, n.Key, n.Field)
	switch {
	case n.Value == nil:
		if b.Get(key) != nil {
			c.delete(b, key)
		}
		return
	case b.Get(key) == nil:
		c.makeRoom(b, noteKey(n.Kind, n.Key, ""))
	}
	c.put(b, key, encodeNote(n))
}

// makeRoom deletes what expires first when there are as many notes as there may be. One that cannot be
// read is of no use to anybody, and goes before all others.
func (c *commit) makeRoom(b *bbolt.Bucket, prefix []byte) {
	var first []byte
	var soonest int64
	count := 0
	cursor := b.Cursor()
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		_, expires, err := decodeNote(v)
		if err != nil {
			expires = math.MinInt64
		}
		if count++; first == nil || expires < soonest {
			first, soonest = slices.Clone(k), expires
		}
	}
	if count >= otp.MaxNotes {
		c.delete(b, first)
	}
}

// Notes implements [otp.Store].
func (s *Store) Notes(ctx context.Context, kind, key string, now time.Time) ([]otp.Note, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	select {
	case <-s.closing:
		return nil, errClosed
	default:
	}
	notes, err := reading(ctx, s, func() ([]otp.Note, error) { return s.readNotes(kind, key, millis(now)) })
	if err != nil {
		return nil, unavailable(fmt.Errorf("read notes: %w", err))
	}
	return notes, nil
}

func (s *Store) readNotes(kind, key string, now int64) (notes []otp.Note, err error) {
	prefix := noteKey(kind, key, "")
	err = s.view(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(notesBucket).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
			value, expires, err := decodeNote(v)
			if err != nil {
				return err
			}
			if now < expires {
				notes = append(notes, otp.Note{
					Kind: kind, Key: key, Field: string(k[len(prefix):]), Value: []byte(value), Expires: fromMillis(expires),
				})
			}
		}
		return nil
	})
	return notes, err
}
