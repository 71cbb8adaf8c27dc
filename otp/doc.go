// Package otp decides whether a typed code is the right one, once.
//
//	proof ──► window walk ──► match ──► Store.Claim ──► Result
//	             │ (every device,          │
//	             │  every step)            ├─ used before, by another packet: reason code_used
//	             │                         ├─ backing off:                    reason throttled
//	             └─ no match ──────────────┴─ counted against the place:      reason code_wrong
//
// The walk is arithmetic on what the node already knows of the account's devices; the claim is
// one round trip to the [Store], which all nodes of a cluster share. What a node knows may be
// old: every claim carries the [Snapshot] version it was made with, and a store that has a newer
// one answers [Stale], so that a revoked device is refused at its next login and a new one is
// accepted at its first, on every node, without asking before every login.
//
// # Invariants
//
//  1. A step of a device is claimed before success is reported, and never by two tokens.
//     Steps are claimed in rising order only: a step at or below the last one claimed is used.
//  2. A claim is idempotent for its token for [ClaimLifetime], so that a retransmission to
//     another node, or the Redis library's own retry, gets the first answer again.
//  3. The zero value of [Answer], [Decision] and [Result] never lets anybody in.
//  4. Codes and seeds are compared in constant time, and appear in no error and no log.
//  5. Stores keep and compare; policy (how long to back off, how wide the window is) arrives
//     as data in the claim.
//
// # Places and back-off
//
// Wrong codes are counted per [Place]: where an attempt came from, as far as the gateway tells
// (client and Calling-Station-Id). Places from which the account has logged in before have a
// count each; all others share one. So whoever guesses from elsewhere slows down everybody
// elsewhere, and not the person at the desk where she logged in yesterday. The wait grows with
// each wrong code (RFC 4226 section 7.3) up to one try an hour.
package otp
