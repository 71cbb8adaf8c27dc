// Package radiustest is a RADIUS client for tests: it builds packets, right and wrong ones, sends
// them in any order and as often as wanted, and checks replies completely.
//
//	Login, NewRequest ──► Request ──► Octets ──► (Flip, cut, pad) ──► Client.Send
//	                                                                     │
//	Reply ◄── Check: authenticators, Proxy-State, sender ◄── Client.Receive
//
// It shares no code with package radius, nor the codec that it is built on, so that a mistake in
// either is seen. To retransmit, send the same octets again; to reorder, send them in another order.
//
// It does not decide when to give up on a server: every wait has a deadline that its caller or
// [Patience] sets.
package radiustest
