// Package audit keeps the trail of who logged in where, and what operators did: one event, one
// line of JSON, appended to a file in data_dir and rotated by size.
//
//	Record ──► bounded queue ──► one writer ──► audit.jsonl ──► audit-<stamp>-<n>.jsonl
//	              │ full            │ fails          │ tidings            │
//	              ▼                 ▼                ▼                    ▼
//	          lost: a count ──► events_lost      Read: from the oldest file on, or from where
//	          in the trail, when it can be       the last ones start; then follows
//	          written again
//
// Invariants:
//   - Recording never waits for the disk. Only where the trail is required it does, and where the
//     caller asks for it, as accounting has to: what Keep took without an error is on disk then (one
//     fsync for all that wait), and survives a crash.
//   - Every event is in the trail, or counted in an events_lost event that stands where it should,
//     or, when the node ended before that could be written, in the log; or Correct has put another in
//     its place. What was written and is not confirmed, when the disk is asked, counts as lost from
//     where it was last asked on, although some of it may be there.
//   - What was not on disk in time gets there later, for it has happened all the same. Whoever did not
//     do, or has undone, what it tells takes it back with Correct: it is not written then, or what
//     became of it stands behind it, because there is one queue and one writer.
//   - One event, one line, whatever its texts hold. A line that a crash cut short is closed before
//     the next one; a write that failed half way is taken back. Lines that are no event are
//     passed over, so no damage costs another event.
//   - Readers see what is on record and nothing else: never a part of a line, never what is taken
//     back, each event once, in the order of the file, also while files are rotated and removed.
//   - Rotated files sort by name in the order in which they were written. The stamp of a file is not
//     before any event in it, although clocks are set back: so --since may leave files unopened. (Of
//     a file that was there before a restart, the last 64 MiB count.)
//   - Nothing that goes wrong with renaming or removing files costs an event: the trail grows instead.
//   - Reading takes a chunk of memory, whatever the length of the trail, and leaves the processor
//     to logins between chunks.
//   - A trail that failed becomes healthy without anybody's doing: a write is tried every second.
//
// It does not sign what it keeps: whoever may write data_dir can change the past.
//
// Decisions: all files are kept unless audit.keep says otherwise, because deleting evidence takes
// somebody's decision; otpgate_audit_size_bytes is how much that is (a login takes 300 to 400
// octets). Lines are made without reflection, which took 9 % of a login, and a test holds them to what
// encoding/json makes. Lines are written by this package alone, and a filter relies on how they look: a line
// that was rewritten with other spaces is found without filters only.
package audit
