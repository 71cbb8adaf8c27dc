// Package probe is the gateway's side of RADIUS: it builds packets, right and wrong ones, and
// checks replies completely.
//
//	Login, NewRequest ──► Request ──► Octets ──► (Flip, cut, pad) ──► the wire
//	                                                                     │
//	Reply ◄── Check: authenticators, Proxy-State ◄───────────────────────┘
//
// The demonstration asks with it, and so do the tests. It shares no code with package radius, nor
// the codec that that is built on, so that a mistake in either is seen.
package probe
