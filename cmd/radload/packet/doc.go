// Package packet is a RADIUS codec of the generator's own: it makes requests as a gateway does, and says
// what is wrong with a response.
//
//	Login ──► Codec.Request ──► octets ──► the wire
//	                              │
//	Answer, Fault ◄── Codec.Check ◄── octets that came back
//
// It shares no code with the server that it loads, nor with the codec that that is built on: one that
// did would have the same faults, and find none.
//
// # Invariants
//
//  1. Neither a request nor a check allocates: a Codec keeps its hashes and their results.
//  2. A response is believed when all of it is right: its length, its attributes, the Response
//     Authenticator (RFC 2865 section 3), and one Message-Authenticator (RFC 3579 section 3.2) in the
//     place that is asked for.
//  3. No octets that come back make it fail: see the fuzz target.
package packet
