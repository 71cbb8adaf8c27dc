// Package otp decides whether a typed code is the right one, once.
//
//	proof ──► window walk ──► match ──► Store.Claim ──► Result
//	             │ (every device,          │
//	             │  every step)            ├─ used before, by another packet:  reason code_used
//	             │                         ├─ backing off:                     reason throttled
//	             │                         ├─ its challenge has no tries left: reason challenge_spent
//	             └─ no match ──────────────┴─ counted against the place:       reason code_wrong
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
//     So is a code that such a step has, as long as that one is in the window.
//     The one exception is asked for with every claim, and bounded: see [Share].
//  2. A claim is idempotent for its token for [ClaimLifetime] or less, so that a retransmission to
//     another node, or the Redis library's own retry, gets the first answer again.
//  3. The zero value of [Answer], [Decision] and [Result] never lets anybody in, and neither does
//     [Free], the answer to a question, nor [Welcomed]: OK means that a code was claimed.
//  4. Codes and seeds are compared in constant time, and appear in no error and no log.
//  5. Stores keep and compare; policy (how long to back off, how wide the window is) arrives
//     as data in the claim.
//
// # What is typed twice
//
// Two steps have the same code once in a million, and whoever saw it typed in one of them must not get in with it
// in the other. So the latest step of a device that has it in the window is claimed ([Claim.Span]), of several
// devices the one whose step leaves the window last, and a code is refused while any step that has it and was used
// is in the window. To it belong, for this purpose alone, the steps between a device's drift and now. (Devices are
// looked at before one is claimed: nodes on either side of the end of a step could each claim one.) What nobody
// learns from it is a drift. The price: with the latest step those between are used as well, and their own codes
// with them, by the rule above.
//
// When all steps that were used have left the window, one that was not in it when the code was typed may have
// the same code, and lets it in: it is as good as any other guess then.
//
// # Places and back-off
//
// Wrong codes are counted per [Place]: where an attempt came from, as far as the gateway tells
// (client and Calling-Station-Id). Places from which the account has logged in before have a
// count each; all others share one. So whoever guesses from elsewhere slows down everybody
// elsewhere, and not the person at the desk where she logged in yesterday. The wait grows with
// each wrong code (RFC 4226 section 7.3) up to one try an hour.
//
// A place that has to wait is told so before a directory is asked ([Verifier.CheckPlace]). A wrong
// password is counted as a wrong code is ([Verifier.WrongFactor]), but by its packet: the same one sent
// again costs the directory another bind, and its account another try before it locks. Where the password
// is all that is asked for, accounts without devices are counted too ([Attempt.Alone]), and a right one
// makes its place known ([Verifier.RightFactor]). It leaves the count that unknown places share to
// accounts with devices: with a password that lets in at one gateway, codes could be guessed at another
// without end.
//
// # Challenges
//
// Where the code is asked for by a second packet, every node can open the State, and an old one can be
// sent again. So what has become of a challenge is the store's to know: wrong codes are counted against
// it, and it is answered with success once ([Challenged]). They count against the place as ever.
//
// # What may be relaxed
//
// [Attempt.Token] says which attempts are one, and the store remembers only what was claimed. Whoever
// makes it of less than the whole packet, so that a gateway which asks a second server gets the first
// answer, gives it a short [Attempt.Lifetime], and has a wrong password counted with the token of its
// packet ([Verifier.WrongPassword]): the same token counts one. [Attempt.Share] lets one place use one code a few times.
//
// # Drift
//
// The window of a device lies around what its clock was last seen to be off by, 2*Window+1 codes. Where that is
// more than the window, one more passes: the code of now. With it a clock that was put right gets in, the
// phone's or the node's, which teaches a drift of none. Until the steps that it used before are past it shows
// codes that were used: a phone that was two minutes fast waits for up to three.
//
// # Clocks
//
// Each node takes its own clock for right. What was claimed while it was ahead stays used, with all steps before
// it: whoever logged in there is refused by every node until that time has come, however far it is, because
// whoever saw the code may still have it then. [Verifier.Ahead] tells of such a device. It gets in before that
// only as another one: revoked, and enrolled again. (A wait that such a clock has made is over sooner: see
// [Answer].)
//
// # Before and beside codes
//
// A device can be drafted, and its first code looked at, before it is stored ([Devices.Draft],
// [CheckFirst]): that claims nothing. Later its app may prove that it has the device by an HMAC over a
// message that is longer than any counter ([Devices.Signed]), so that neither is ever the other.
//
// # Notes
//
// A [Note] is something small that all nodes are to know, on which no login depends.
//
// # Decisions
//
//   - Of a device a node knows what HMAC makes of its seed, and not the seed, nor a hash of the library's with
//     its buffers: 128 octets for an account with one device, where it was 900. The generators that
//     compute codes are lent, and forget what they were lent for.
package otp
