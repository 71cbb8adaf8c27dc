// Package boltstore keeps devices, claims, tickets and notes on the local disk: in one file, and beside it a
// journal of what logins have changed since.
//
//	Claim ─┐                 ┌─ rules on each account's record, decoded from its image
//	Claim ─┼─► queue ─► writer ─► journal: one entry, one fdatasync ─► all answered
//	Claim ─┘   (bounded)     │
//	everything else ─────────┼─► the file: one transaction
//	                         └─ now and then, beside the claims: the journal's records folded into the file, in slices
//
// A claim rewrites nothing: what arrives together is one entry at the end of the journal. What the journal
// holds is also in memory; the index forgets a record only once it was folded into the bucket of states.
//
// # Invariants
//
//  1. Nothing is answered before it is on disk. Memory changes after the commit, never before:
//     a failed commit leaves it as it was, and is followed by a fresh look at the disk, because
//     a failed fsync does not tell what is there; the journal goes on in another file then.
//  2. A record in the bucket of states is never replaced by an older image from the journal:
//     both carry the number of the change that made them.
//  3. Only one process has the file open, by flock; the second gets [otp.ErrLocked].
//  4. The store's memory is bounded: so many folded records are remembered ([Options.Remembered]), and of others twice
//     what the bounds of the journal say. Then each group of claims waits for a slice of the fold that is under way.
//     While nothing can be folded it is four times those bounds, and then nothing more is taken.
//  5. Nothing that the file holds, or holds no more, ends the process. What bbolt answers with a panic
//     and the kernel with a fault comes back as [ErrDamaged], which is an [otp.ErrUnavailable]; Ping
//     says so until it can be read again. One bad record is the trouble of its account alone: also where the journal has
//     a newer one, which stays there until the file's can be read, because nobody knows which of the two counts.
//  6. Opening the file again never makes a new one: that would know nobody. A generation of the journal that
//     the file names is there and whole, or the store does not open: codes that were used would be good again.
//     Only the operator may say that it is lost, by a file of the name STORE.journal.lost.
//  7. A fold that fails keeps nobody out, until memory has room for no more. It is tried again every half a minute.
//  8. While a slice of a fold is written, nobody else writes to the file: it would be put back to what the slice has.
//     Claims go on, which only read it. A state that changes meanwhile stays dirty, and in the journal's newest
//     generation, which no fold that is under way removes.
//  9. Nothing is answered by what may be in memory alone: the last entry that a process finds in the journal is
//     written once more first, and something to the file.
//  10. A file that is older than a generation of its journal, as one that was restored without it, does not open. (One that is
//     younger than the newest generation's beginning does: what was added or revoked since is forgotten, as with any backup,
//     and no code that was used is good again; who has logged in since with a device that it does not know gets nothing.) One that is removed while it is open, or overwritten by a rename, is
//     used no more, and what another file in its place has left, or leaves, is not removed.
//
// # The file
//
//	meta      "keyset" -> fingerprint; "ping" -> a counter; "journal" -> whose it is, generations, highest number
//	devices   account -> labels, sealed seeds and parameters of its devices
//	states    account -> version, last steps, recent tokens, places, wrong codes, challenges, shares
//	tickets   kind, account -> digest, tries, expiry
//	notes     kind, key, field -> expiry, value
//
// # The journal
//
// STORE.journal.N is generation N: entries, each with the states of all accounts that a group of claims has
// changed (see package wal). When the newest is long, the next one begins and all up to it are folded, and then
// removed. After Close there is none. The file names the generations and an entry that is on disk for certain, so
// that a missing file or end is noticed; what was appended since the file was last written is noticed by the gap,
// unless it is the end that is gone. Older versions kept the journal in buckets of the file: those are read and
// dropped, and one more keeps older versions out, which would not see what is beside the file.
//
// # Decisions
//
//   - The journal keeps whole states (about 120 octets), not changes: replay needs no rules, so a
//     newer binary cannot come to another conclusion than the one that answered.
//   - Memory keeps what the buckets have, and decodes it for each claim: a record is a dozen objects, through which
//     the garbage collector would go for all accounts, again and again. An image that was read is two: key and devices, and state.
//   - An account that is folded stays where it is in the index, and gets another mark: the tables are in no cache of
//     the processor, and each look into one costs as much as the rest of a claim.
//   - The journal is not in the file, because a commit of bbolt's is two fsyncs and several pages, whatever is
//     in it. What else comes with a group of claims is a group of its own behind it, and goes to the file whole, so that
//     no claim waits for the file.
//   - The list of free pages is written with every commit. Without it bbolt looks for them by walking
//     through the file, at opening and after a failed commit, in a goroutine whose panic nobody can
//     catch. It costs one page or a few more per commit.
//   - Reads of the file are left behind when their caller has to go, so that a hanging disk keeps nobody
//     waiting; there are 64 at most, because each holds a thread.
//   - An expired ticket stays until its account gets another or tries it: there is one per kind and
//     account at most. So does an expired note, until its key has as many as it may: the store has no
//     clock of its own by which it could throw it away.
//   - Challenges and shares stand at the end of a state, and nothing at all when there are none: a file of
//     an older otpgate opens as it is.
package boltstore
