package boltstore

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// ticket is what the file holds of an [otp.Ticket].
type ticket struct {
	digest  otp.Digest
	tries   int // left
	expires int64
}

func ticketKey(kind otp.TicketKind, account string) []byte {
	return append([]byte{byte(kind)}, accountKey(account)...)
}

func (t *ticket) encode() []byte {
	b := append([]byte{format}, t.digest[:]...)
	b = binary.AppendVarint(b, int64(t.tries))
	return binary.AppendVarint(b, t.expires)
}

func decodeTicket(b []byte) (*ticket, error) {
	d := &decoder{b: string(b)}
	d.format()
	t := &ticket{digest: otp.Digest([]byte(d.fixed(32))), tries: int(d.int()), expires: d.int()}
	return t, d.err
}

// matches compares in constant time.
func (t *ticket) matches(d otp.Digest) bool {
	return subtle.ConstantTimeCompare(t.digest[:], d[:]) == 1
}

// PutTicket implements [otp.Store].
func (s *Store) PutTicket(ctx context.Context, t otp.Ticket) error {
	return s.do(ctx, &request{file: true, run: func(c *commit) {
		b, key := c.tx.Bucket(ticketsBucket), ticketKey(t.Kind, t.Account)
		if t.Tries <= 0 {
			c.delete(b, key)
			return
		}
		kept := ticket{digest: t.Digest, tries: t.Tries, expires: millis(t.Expires)}
		c.put(b, key, kept.encode())
	}})
}

// CheckTicket implements [otp.Store]. The last try may be the right one: then the ticket can be
// taken, but not be checked again.
func (s *Store) CheckTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error) {
	var ok bool
	var bad error
	err := s.do(ctx, &request{file: true, run: func(c *commit) {
		var b *bbolt.Bucket
		var key []byte
		var t *ticket
		ok = false
		if b, key, t, bad = c.ticket(kind, account, now); t == nil || t.tries <= 0 {
			return
		}
		t.tries--
		if ok = t.matches(digest); ok || t.tries > 0 {
			c.put(b, key, t.encode())
			return
		}
		c.delete(b, key)
	}})
	if err == nil {
		err = bad
	}
	return err == nil && ok, err
}

// TakeTicket implements [otp.Store].
func (s *Store) TakeTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error) {
	var ok bool
	var bad error
	err := s.do(ctx, &request{file: true, run: func(c *commit) {
		var b *bbolt.Bucket
		var key []byte
		var t *ticket
		b, key, t, bad = c.ticket(kind, account, now)
		if ok = t != nil && t.matches(digest); ok {
			c.delete(b, key)
		}
	}})
	if err == nil {
		err = bad
	}
	return err == nil && ok, err
}

// ticket returns the ticket, or nil when there is none; an expired one it deletes. One that cannot be read is the trouble
// of its account alone.
func (c *commit) ticket(kind otp.TicketKind, account string, now time.Time) (*bbolt.Bucket, []byte, *ticket, error) {
	b, key := c.tx.Bucket(ticketsBucket), ticketKey(kind, account)
	value := b.Get(key)
	if value == nil {
		return b, key, nil, nil
	}
	t, err := decodeTicket(value)
	if err != nil {
		return b, key, nil, unavailable(fmt.Errorf("a ticket of %s: %w", account, err))
	}
	if millis(now) >= t.expires {
		c.delete(b, key)
		return b, key, nil, nil
	}
	return b, key, t, nil
}
