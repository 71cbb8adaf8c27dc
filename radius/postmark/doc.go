// Package postmark reads what the kernel notes beside a datagram: when it came in, and how many it had to throw
// away because nobody fetched them in time.
//
//	Ask ──► SO_TIMESTAMPNS, SO_RXQ_OVFL          once a socket
//	recvmmsg ──► control message ──► Read ──► Mark
//
// A datagram may have lain in the kernel for as long as its reader did not run: a gateway that has given up
// meanwhile must not be answered, and nobody's code be used up for it.
//
// The time is that of the machine, not a clock of ours: it can be compared with nothing else. Where the
// system notes nothing, marks are empty.
package postmark
