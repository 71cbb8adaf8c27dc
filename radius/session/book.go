package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"otpgate/otp"
)

// Limits of what is kept.
const (
	// Lifetime is how long a session is kept that gives no sign of life.
	Lifetime = 30 * 24 * time.Hour
	// StaleAfter is how long a session may give no sign of life until it is called stale: gateways
	// that send Interim-Updates do so every few minutes up to every few hours.
	StaleAfter = 24 * time.Hour

	endKept   = maxBehind + time.Hour // no packet is taken for older
	lateAfter = time.Minute           // after an end, packets without a timestamp are late ones
)

// Options are what a Book needs. Notes and Now must be given.
type Options struct {
	Notes  otp.Notes
	Now    func() time.Time
	Logger *slog.Logger // nil: nothing is logged
}

// A Book keeps the open sessions of all accounts, together with the other nodes on the same store.
// It is safe for concurrent use.
type Book struct {
	notes otp.Notes
	now   func() time.Time
	log   *slog.Logger
}

// New makes a Book.
func New(o Options) (*Book, error) {
	if o.Notes == nil || o.Now == nil {
		return nil, errors.New("session: Notes and Now must be given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Book{notes: o.Notes, now: o.Now, log: o.Logger.With("component", "session")}, nil
}

// A Session is one that is open, as far as its gateway has told.
type Session struct {
	Client  string // the configured name of the RADIUS client, at most 64 octets of it
	NAS     string // what the gateway calls itself
	ID      string // Acct-Session-Id
	Station string // Calling-Station-Id
	Address string // that the person was given
	Started time.Time
	Updated time.Time // the last sign of life
	In, Out uint64    // octets from and to the person
	Stale   bool      // no sign of life for [StaleAfter]: the Stop may have been lost
}

// Record takes what an authentic Accounting-Request of a client says into the book. account is the
// immutable id; without one, or without an Acct-Session-Id, there is nothing to keep. The same
// packet may be recorded any number of times. Errors wrap [otp.ErrUnavailable].
func (b *Book) Record(ctx context.Context, client, account string, r Record) error {
	now := b.now()
	switch r.Status {
	case AccountingOn, AccountingOff:
		return b.Restarted(ctx, client, r.NAS, r.At(now))
	case Start, InterimUpdate, Stop:
	default:
		return nil
	}
	if account == "" || r.Session == "" {
		return nil
	}
	client, r = identity([]byte(client), maxClient), r.bounded()
	p, err := b.page(ctx, account, now)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	field := fieldOf(client, r.NAS, r.Session)
	var notes []otp.Note
	if r.Status == Stop {
		notes = p.stop(field, r, now)
	} else if next, ok := p.alive(field, client, r, now); ok {
		notes = []otp.Note{{Kind: kindSession, Key: p.key, Field: field, Value: encode(next), Expires: now.Add(Lifetime)}}
	}
	if len(notes) == 0 {
		return nil
	}
	if err := b.notes.PutNotes(ctx, notes); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// page is what the store has about the sessions of an account.
type page struct {
	key  string
	open map[string]opened
	ends map[string]ended
}

func (b *Book) page(ctx context.Context, account string, now time.Time) (*page, error) {
	p := &page{key: identity([]byte(account), otp.MaxNoteName)}
	var err error
	if p.open, err = fields[opened](ctx, b, kindSession, p.key, now); err != nil {
		return nil, err
	}
	p.ends, err = fields[ended](ctx, b, kindEnd, p.key, now)
	return p, err
}

// alive is a session after a Start or an Interim-Update; false when nothing is to be changed, since the
// packet is older than what is known.
func (p *page) alive(field, client string, r Record, now time.Time) (opened, bool) {
	at, exact := r.at(now)
	next := opened{
		Client: client, NAS: r.NAS, ID: r.Session, Station: r.Station, Address: r.Address,
		Started: at, Updated: at, Rough: !exact || r.Status == InterimUpdate, In: r.In, Out: r.Out,
	}
	if r.Status == InterimUpdate {
		next.Started = at.Add(-r.Lasted)
	}
	if next.over(p.ends[field]) {
		return opened{}, false
	}
	old, ok := p.open[field]
	switch {
	case !ok || old.over(p.ends[field]): // what is there has not been removed yet
	case r.Status == Start && at.After(old.Updated): // the identifier is used again
	case r.Status == Start:
		if !at.Before(old.Started) {
			return opened{}, false
		}
		old.Started, old.Rough = at, next.Rough
		next = old
	case at.Before(old.Updated):
		return opened{}, false
	case r.Lasted == 0 || !next.Started.After(old.Updated.Add(lateAfter)): // else it is used again
		next.Started, next.Rough = old.Started, old.Rough
		next.Station, next.Address = either(r.Station, old.Station), either(r.Address, old.Address)
	}
	return next, true
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// stop ends a session, whether or not it is known yet. One that began later under the same
// identifier goes on.
func (p *page) stop(field string, r Record, now time.Time) (notes []otp.Note) {
	at, _ := r.at(now)
	end := p.ends[field]
	if at.After(end.At) {
		end.At = at
		notes = append(notes, otp.Note{Kind: kindEnd, Key: p.key, Field: field, Value: encode(end), Expires: now.Add(endKept)})
	}
	if old, ok := p.open[field]; ok && old.over(end) {
		notes = append(notes, otp.Note{Kind: kindSession, Key: p.key, Field: field})
	}
	return notes
}

// Restarted takes note that a gateway of a client said at a moment that it has started, or is about to
// stop: sessions of it which began before are over. Errors wrap [otp.ErrUnavailable].
func (b *Book) Restarted(ctx context.Context, client, nas string, at time.Time) error {
	now := b.now()
	key, field := restartKey(identity([]byte(client), maxClient), identity([]byte(nas), maxNAS))
	known, err := fields[ended](ctx, b, kindRestart, key, now)
	if err == nil && at.After(known[field].At) {
		err = b.notes.PutNotes(ctx, []otp.Note{{
			Kind: kindRestart, Key: key, Field: field, Value: encode(ended{At: at}), Expires: now.Add(Lifetime + endKept),
		}})
	}
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return nil
}

// Open returns the open sessions of an account, the newest first. Errors wrap [otp.ErrUnavailable].
func (b *Book) Open(ctx context.Context, account string) ([]Session, error) {
	now := b.now()
	p, err := b.page(ctx, account, now)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	restarts := map[string]map[string]ended{}
	var list []Session
	for field, s := range p.open {
		key, nas := restartKey(s.Client, s.NAS)
		if _, ok := restarts[key]; !ok {
			if restarts[key], err = fields[ended](ctx, b, kindRestart, key, now); err != nil {
				return nil, fmt.Errorf("session: %w", err)
			}
		}
		if s.over(p.ends[field]) || s.cutOff(restarts[key][nas]) {
			continue
		}
		list = append(list, Session{
			Client: s.Client, NAS: s.NAS, ID: s.ID, Station: s.Station, Address: s.Address,
			Started: s.Started, Updated: s.Updated, In: s.In, Out: s.Out, Stale: now.Sub(s.Updated) > StaleAfter,
		})
	}
	slices.SortFunc(list, func(a, b Session) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// fieldOf is the field of a session.
func fieldOf(client, nas, id string) string {
	sum := digest(client, nas, id)
	return fmt.Sprintf("%x", sum[:16])
}

// restartKey is where the restarts of a gateway are noted. A client may have any number of gateways, and
// a key has room for few: so each client has 256 keys.
func restartKey(client, nas string) (key, field string) {
	sum := digest(client, nas)
	return fmt.Sprintf("%s/%x", client, sum[:1]), fmt.Sprintf("%x", sum[:16])
}

// digest is a hash of parts that no other parts have.
func digest(parts ...string) [sha256.Size]byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}
