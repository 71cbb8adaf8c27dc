// Package gateway is many gateways at once: it logs devices in at servers, at a rate or with so many
// outstanding, sends again what is not answered, and judges every answer.
//
//	arrivals (open loop) ──┐
//	decided (closed loop) ─┴► roster ► login ► lane ──WriteBatch──► servers
//	                                            │ ▲                   │
//	                         resend, lost ◄─────┘ └──ReadBatch────────┘
//	                                              judge ► decide ► tally, histograms
//
// A lane is one source port for each server and the 256 Identifiers that belong to it. Identifiers are
// taken in turn, so that one comes back as late as it can: what is answered late can then be told from
// what is wrong.
//
// # Invariants
//
//  1. A login is counted once: accepted, refused, wrongly decided, lost, or unfinished at the end.
//  2. The latency of a login counts from when it was to begin, not from when it could: an open loop does
//     not slow down with the server, and a login that waited for an Identifier waited.
//  3. A packet that is sent again is the same octets with the same Identifier from the same port, as a
//     gateway does it; with several servers each try goes to the next of them.
//  4. An answer that is wrong is counted and passed over, as RFC 2865 section 3 wants: the request goes
//     on waiting.
//  5. A run has an end: it begins no login after its duration or count (replays afterwards have four periods), and waits for what is
//     outstanding as long as a gateway would.
//  6. A login costs no allocation of ours. (The library makes an address for every datagram that it
//     reads.)
//
// # What an answer can be
//
// Beside right and expected: wrong in itself ([packet.Fault]); late, because the gateway had given up; a
// repetition, of the same octets or of others, of which those of another decision are the worst; unasked, when
// there are more answers than requests were sent. All that holds as well when the Identifier has been given to
// other requests meanwhile, for the last few of which it is known what they were.
//
// A late answer lets nobody in and keeps nobody out, and its login stays lost; but one that decides wrongly is
// counted as that instead. A replay that was lost is accepted or refused by it.
package gateway
