package otp

import (
	"context"
	"time"
)

// An Attempt is one try to prove possession of a device of an account.
type Attempt struct {
	Account string
	Proof   Proof
	Token   Token
	Place   Place
}

// A Match is the device and step whose code the proof was made from.
type Match struct {
	Device string
	Digits int
	Step   int64
	Offset int // Step minus the step of the node's clock
	Drift  int // the device's drift after a claim of Step
}

// Walked is an attempt whose proof was compared with every code of every device's window.
// Matches is empty when none fits; it holds more than one only by a coincidence of digits.
type Walked struct {
	Attempt
	Version uint64
	Devices int // how many devices the account has
	Matches []Match
	Now     time.Time
}

// A Result is the outcome of an attempt as far as codes are concerned.
// The zero value lets nobody in.
type Result struct {
	OK     bool // true in one place only: the store answered Claimed
	Reason Reason
	Match  Match // when OK, or when Reason is ReasonCodeUsed
	// Stale: what the node knew of the account was old, and nothing was changed.
	// [Verifier.Settle] returns it for the caller to walk again; [Verifier.Verify] never does.
	Stale bool
	Until time.Time // with ReasonThrottled: when the place may try again
	Err   error     // with ReasonStoreUnavailable: what the store said
}

var _ = context.Background
