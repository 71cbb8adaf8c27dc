package otp

import (
	"context"
	"errors"
	"math"
	"time"
)

// ClaimLifetime is how long a claim stays idempotent for its [Token]: the gateways' last
// retransmission of a packet arrives within it.
const ClaimLifetime = 30 * time.Second

// Lifetimes of what a store keeps beside it.
const (
	// ChallengeLifetime is how long a store knows what became of a challenge after its last change.
	ChallengeLifetime = 10 * time.Minute
	// ShareLifetime is the longest [Share.Within] that counts.
	ShareLifetime = 5 * time.Minute
)

// Limits that every store keeps per account, so that nobody can make a record grow.
const (
	// MaxPlaces is how many known places an account has; the one used longest ago makes room.
	MaxPlaces = 16
	// MaxMisses is how many different wrong codes a place remembers, to count each once.
	MaxMisses = 8
	// MaxWrongPasswords is how many wrong passwords one matched step survives before it is used up.
	MaxWrongPasswords = 3
	// MaxChallenges is how many challenges of an account are known; the one that changed longest ago
	// makes room.
	MaxChallenges = 16
	// MaxSpan is the longest [Claim.Span]: from one end of the widest window to the other, or to the step of now from the
	// far end of one that lies around the largest drift.
	MaxSpan = MaxWindow + max(MaxWindow, MaxDrift)
	// MaxShares is how many steps of an account may be shared at a time; the oldest makes room.
	MaxShares = 8
	// MaxShareTimes is the largest [Share.Times]. Both stores remember the tokens of 64 claims of an account, so that each
	// use of a shared step can be asked about again, and 14 of other steps beside them; of two steps that are both shared
	// as often as may be within [ClaimLifetime] the first uses cannot.
	MaxShareTimes = 50
)

var (
	// ErrUnavailable is wrapped by every error that means "the store cannot tell".
	// Whoever gets it must not let anybody in.
	ErrUnavailable = errors.New("store unavailable")
	// ErrNotFound: no such device, account or ticket.
	ErrNotFound = errors.New("not found")
	// ErrForeignKeyset: the store's seeds are sealed with a keyset that this node does not have.
	ErrForeignKeyset = errors.New("the store belongs to another keyset")
	// ErrLocked: another process has the embedded store open.
	ErrLocked = errors.New("the store is in use by another process")
	// ErrTooManyDevices: the account already has as many devices as it may have.
	ErrTooManyDevices = errors.New("too many devices")
	// ErrExists: a device with this id is there already.
	ErrExists = errors.New("device exists already")
)

// Store keeps devices, claims, tickets and notes. [otpgate/otp/storetest] proves every MUST below.
//
// Every method MUST honour the deadline of its context, MUST be safe for concurrent use, and
// MUST return an error that wraps [ErrUnavailable] when it cannot tell. Times that decide
// something are those of the caller ([Claim.Now], [Ticket.Expires], [Note.Expires]), never the store's
// own clock.
type Store interface {
	// Bind ties the store to the keyset with this fingerprint, once and for all: the first
	// caller's is remembered. It MUST return ErrForeignKeyset for any other.
	Bind(ctx context.Context, fingerprint string) error

	// Devices returns what the store knows of an account: an empty snapshot, and no error, for
	// an account that it has never seen.
	Devices(ctx context.Context, account string) (Snapshot, error)

	// AddDevices stores new devices, each with the state of a device that was never used. It
	// raises the version of each account. It is atomic per account; limit is the most devices
	// an account may have afterwards (0: any number). Accounts over the limit get
	// ErrTooManyDevices, devices whose id is there ErrExists; errs[i] is about devices[i].
	// The second result reports that the store could not tell.
	AddDevices(ctx context.Context, devices []Device, limit int) (errs []error, err error)

	// RenameDevice sets a device's label. ErrNotFound when there is none.
	RenameDevice(ctx context.Context, account, device, label string) error

	// RemoveDevice forgets a device and raises the account's version, so that no claim for it
	// can succeed from then on, on any node. ErrNotFound when there is none.
	RemoveDevice(ctx context.Context, account, device string) error

	// Claim carries out the claims in the order given, in one round trip, and answers in their
	// order: len(receipts) == len(claims). Each claim is atomic against all others on all
	// nodes, and MUST be durable before it is answered (as durable as the store can be: the
	// embedded store has it on disk; Redis by its appendfsync). A receipt with Err != nil says
	// nothing about whether the claim took place; the same token asks again.
	// A cancelled or expired context MUST NOT leave the caller waiting. What is in claims MUST NOT be
	// looked at after that: the caller uses the slice again.
	Claim(ctx context.Context, claims []Claim) []Receipt

	// PutTicket stores a ticket, and ends the one of the same kind and account, if any.
	PutTicket(ctx context.Context, t Ticket) error

	// CheckTicket spends one of the tries of the ticket of this kind and account, and reports
	// whether digest is its digest (compared in constant time where the comparison is in Go).
	// A ticket with no tries left is gone. Expired, spent, absent: false.
	CheckTicket(ctx context.Context, kind TicketKind, account string, digest Digest, now time.Time) (bool, error)

	// TakeTicket ends the ticket of this kind and account if digest is its digest, and reports
	// whether this call ended it: of any number of concurrent callers one gets true.
	TakeTicket(ctx context.Context, kind TicketKind, account string, digest Digest, now time.Time) (bool, error)

	Notes

	// Ping reports whether the store can be read and written, and its own idea of the time
	// (zero when it has none), by which a node can tell that its clock is wrong.
	Ping(ctx context.Context) (time.Time, error)

	// Close waits for what is under way and releases everything.
	Close() error
}

// Token identifies one attempt: an HMAC over client, Request Authenticator, name and proof.
type Token [16]byte

// Place identifies where an attempt came from, as an HMAC: [Verifier.Place] makes it.
type Place [8]byte

// Digest is an HMAC of something that must not be stored itself (a code, an invitation).
type Digest [32]byte

// ClaimKind says what a claim reports to the store.
type ClaimKind uint8

// The kinds of claims. The zero value is not a valid kind; a store answers it with an error.
const (
	// UseStep: the proof matched Step; mark it as used.
	UseStep ClaimKind = iota + 1
	// WrongCode: the proof matched no step of any device; count it against the place.
	WrongCode
	// WrongPassword: the proof matched Step, but the directory refused the password: count it
	// against the step, which is used up by the third ([MaxWrongPasswords]).
	WrongPassword
	// Preview: what would UseStep be answered? It changes nothing, ever.
	Preview
	// RightFactor: the password was right where nothing else is asked for: its place is known from now on.
	RightFactor
)

// AnyVersion may stand as the version of a claim that is about the place alone: a Preview without a
// Device, or a RightFactor.
const AnyVersion uint64 = math.MaxUint64

// A Claim asks the store to mark one step of one device as used, to count a failure, or to end the count
// of them.
type Claim struct {
	Kind    ClaimKind
	Account string
	Version uint64 // of the Snapshot that the walk was made with, or AnyVersion
	Token   Token
	Place   Place
	Now     time.Time

	// For UseStep, WrongPassword and Preview. A Preview without a Device looks at the place and the
	// challenge only.
	Device string
	Step   int64
	// Span is how many steps before Step the earliest one lies that has the same code: 0, but for a
	// coincidence of digits, and at most MaxSpan. None of the steps from there on may have been used.
	Span  int
	Drift int // what the device's drift is to be after UseStep; a change raises the version

	// For WrongCode, UseStep and Preview.
	Miss      Miss // the code's mark: one that the place remembers as wrong stays wrong, and counts once
	Challenge Challenged

	// For UseStep and Preview.
	Lifetime time.Duration // how long ago the token may have been Claimed to be Claimed again; 0: ClaimLifetime, which is the most
	Share    Share

	// For WrongCode.
	// Backoff[n-1] is how long the place has to wait after its nth wrong code; the last entry
	// is for all that follow. A place whose last wrong code is older than Forget starts anew.
	Backoff []time.Duration
	Forget  time.Duration
}

// Earliest is the first of the steps that the claim's code may belong to.
func (c *Claim) Earliest() int64 { return c.Step - int64(c.Span) }

// TokenLifetime is Lifetime within its bounds: 0 to ClaimLifetime.
func (c *Claim) TokenLifetime() time.Duration {
	if c.Lifetime == 0 {
		return ClaimLifetime
	}
	return min(max(c.Lifetime, 0), ClaimLifetime)
}

// Challenged says which challenge an attempt answers. The zero value: none.
type Challenged struct {
	ID    [8]byte // random; zero: no challenge
	Tries int     // the wrong code that makes so many of them spends the challenge; 1 to 32,767
}

// Given reports whether there is a challenge.
func (c Challenged) Given() bool { return c.ID != [8]byte{} }

// Left is how many tries are left after so many wrong codes.
func (c Challenged) Left(wrong int) int { return max(c.Tries-wrong, 0) }

// Share lets one step be used more than once from the [Place] that used it first, for automation that
// opens several sessions with one code. The zero value: it is used once.
type Share struct {
	Times  int           // how often, the first time included; less than 2: nothing is shared; at most MaxShareTimes
	Within time.Duration // of the first time; above 0, at most ShareLifetime
}

// Given reports whether anything may be shared.
func (s Share) Given() bool { return s.Times >= 2 && s.Within > 0 }

// Miss is the mark of a wrong code: a truncated HMAC, of no use to anybody without the keyset.
type Miss [4]byte

// Answer is what became of a claim. The zero value is no answer, and lets nobody in.
type Answer uint8

// The answers. Rules are in the order in which a store MUST apply them:
//
//	Stale      Version is not the account's, nor AnyVersion where that may stand: nothing was changed
//	           (all kinds). An account that was never seen has version 0. But a token that
//	           was answered Claimed within the claim's Lifetime gets Claimed again first (and
//	           Receipt.Again), provided that the device is still there.
//	Throttled  the place is backing off until Receipt.Until: nothing was changed (all kinds). A
//	           wait that begins more than ClaimLifetime after Now was made by a wrong clock: over
//	Spent      UseStep, WrongCode: so many wrong codes were counted against the claim's challenge
//	           as it has Tries, or a step was claimed with it: nothing was changed
//	Welcomed   RightFactor: the place is known (and used now), and has no count of wrong codes; the
//	           count that all others share is back to none too if it applied to the place and the
//	           account has no device. With devices it stays: whoever has a password must not end
//	           with it what keeps them from guessing codes. Challenge, Miss and Token do not matter
//	Claimed    UseStep: the step is now used; the place is known (and used now); the count of
//	           wrong codes that applied to the place is back to none; LastUsed and Drift are kept;
//	           the claim's challenge is spent; the step may be shared if the claim has a Share
//	Counted    UseStep: the place remembers Miss as wrong: nothing was changed. What is tried again
//	           for nothing must have no chance, although the window has moved on.
//	Claimed    UseStep: the step was claimed before, by a claim with a Share from the same place, no
//	           longer than this claim's Share.Within ago, and fewer than Share.Times times (and
//	           Receipt.Shared). LastUsed is kept, and the challenge is spent; nothing else is changed
//	Used       UseStep, WrongPassword: a step at or above Step-Span was claimed before by
//	           another token, or a step from there to Step was used up by wrong passwords
//	Counted    WrongCode, WrongPassword: counted, or counted before. The same token counts once
//	           for WrongPassword; the same Miss counts once for WrongCode. Against a challenge a
//	           WrongCode counts whether or not its place remembers Miss, but the token that
//	           was counted last does not count again.
//	Free       Preview: UseStep would be answered Claimed, or, when it names no Device, the place need
//	           not wait. Every other answer to a Preview is the one that UseStep would get; it is
//	           never Claimed.
const (
	NoAnswer Answer = iota
	Claimed
	Used
	Throttled
	Stale
	Counted
	Spent
	Free
	Welcomed
)

// A Receipt answers one claim.
type Receipt struct {
	Answer   Answer
	Failures int       // wrong codes that now count against the place (or wrong passwords against the step)
	Until    time.Time // Throttled, Counted: when the place may try again; zero: now
	Err      error     // the store could not tell; wraps ErrUnavailable

	TriesLeft int  // Counted, Used: wrong codes that the claim's challenge still survives; 0 without one
	Again     bool // Claimed, Free: because this token was Claimed before
	Shared    bool // Claimed, Free: because the step is shared
}

// TicketKind says what a ticket is for.
type TicketKind uint8

// The kinds of tickets.
const (
	EnrollmentTicket TicketKind = iota + 1
	InvitationTicket
	LinkTicket // to the list of an account's devices
)

// TicketKinds returns all of them.
func TicketKinds() []TicketKind { return []TicketKind{EnrollmentTicket, InvitationTicket, LinkTicket} }

// A Ticket lets somebody who knows its secret do one thing for an account, once.
// The secret itself is never stored.
type Ticket struct {
	Kind    TicketKind
	Account string
	Digest  Digest
	Tries   int // how many times it may be checked
	Expires time.Time
}
