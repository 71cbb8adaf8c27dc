package redisstore

import (
	"context"
	"time"

	"otpgate/otp"
)

// PutTicket implements [otp.Store].
func (s *Store) PutTicket(ctx context.Context, t otp.Ticket) error {
	expires := min(max(millis(t.Expires), 0), limit48)
	_, err := s.ticket(ctx, "put ticket", t.Kind, t.Account, false, "put", t.Digest[:], min(t.Tries, 1<<30), expires)
	return err
}

// CheckTicket implements [otp.Store]. The last try may be the right one: then the ticket can be
// taken, but not be checked again.
func (s *Store) CheckTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error) {
	return s.ticket(ctx, "check ticket", kind, account, true, "check", digest[:], millis(now))
}

// TakeTicket implements [otp.Store].
func (s *Store) TakeTicket(ctx context.Context, kind otp.TicketKind, account string, digest otp.Digest, now time.Time) (bool, error) {
	return s.ticket(ctx, "take ticket", kind, account, true, "take", digest[:], millis(now))
}

func (s *Store) ticket(ctx context.Context, operation string, kind otp.TicketKind, account string, once bool, args ...any) (bool, error) {
	c := newCall(s.scripts.ticket, s.ticketKey(kind, account), args...)
	c.once = once
	return do(ctx, s, operation, func(ctx context.Context) (bool, error) { return s.run(ctx, []call{c})[0].Bool() })
}
