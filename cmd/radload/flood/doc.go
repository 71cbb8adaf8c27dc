// Package flood sends what a server has to get rid of: garbage, logins of strangers, logins with a
// forged signature, logins of people whom nobody knows, and of people whose codes somebody guesses.
//
//	Kind ──► pool of packets (or one made for each) ──WriteBatch──► server
//	                                                                  │
//	Result: sent, answered, accepted ◄──────────ReadBatch─────────────┘
//
// # Invariants
//
//  1. A flood has a rate and an end.
//  2. Sending costs no allocation.
//  3. Of what is flooded nothing may be accepted, and nothing may be answered but logins of unknown
//     people and guesses: see [Result.Right].
package flood
