// Package boltstore keeps devices, claims, tickets and notes in one file on the local disk.
//
//	Claim ─┐                 ┌─ rules on a copy of each account's record
//	Claim ─┼─► queue ─► writer ─► one transaction ─► one fsync ─► all answered
//	Claim ─┘   (bounded)     │    appended to the journal, one value for all of them
//	                         └─ now and then: a slice of the journal folded into the records
//
// A claim rewrites nothing but the end of the journal, so what arrives together shares a few
// pages and one fsync. What the journal holds is also in memory; the index forgets a record only
// once it was folded into the bucket of states.
//
// # Invariants
//
//  1. Nothing is answered before it is on disk. Memory changes after the commit, never before:
//     a failed commit leaves it as it was, and is followed by a fresh look at the file, because
//     a failed fsync does not tell what the file holds.
//  2. A record in the bucket of states is never replaced by an older image from the journal:
//     both carry the number of the transaction that made them.
//  3. Only one process has the file open, by flock; the second gets [otp.ErrLocked].
//  4. The store's memory is bounded: so many folded records are remembered, and as many
//     others as the bounds of the journal let wait.
//  5. Nothing that the file holds, or holds no more, ends the process. What bbolt answers with a panic
//     and the kernel with a fault comes back as [ErrDamaged], which is an [otp.ErrUnavailable]; Ping
//     says so until it can be read again. One bad record is the trouble of its account alone.
//  6. Opening the file again never makes a new one: that would know nobody.
//
// # The file
//
//	meta      "keyset" -> fingerprint; "ping" -> a counter
//	devices   account -> labels, sealed seeds and parameters of its devices
//	states    account -> version, last steps, recent tokens, places, wrong codes, challenges, shares
//	journal-N number of a transaction -> states of all accounts that it changed
//	tickets   kind, account -> digest, tries, expiry
//	notes     kind, key, field -> expiry, value
//
// # Decisions
//
//   - The journal keeps whole states (about 120 octets), not changes: replay needs no rules, so a
//     newer binary cannot come to another conclusion than the one that answered.
//   - The list of free pages is written with every commit. Without it bbolt looks for them by walking
//     through the file, at opening and after a failed commit, in a goroutine whose panic nobody can
//     catch. It costs one page or a few more per commit.
//   - Reads of the file are left behind when their caller has to go, so that a hanging disk keeps nobody
//     waiting; there are 64 at most, because each holds a thread.
//   - An expired ticket stays until its account gets another or tries it: there is one per kind and
//     account at most. So does an expired note, until its key has as many as it may: the store has no
//     clock of its own by which it could throw it away.
//   - Challenges and shares stand at the end of a state, and nothing at all when there are none: a file of
//     an older otpgate opens as it is, and an older otpgate opens this one and passes over them.
package boltstore
