// Package radiustest is a gateway's socket for tests: it sends packets of package probe in any
// order and as often as wanted, and fails the test when the reply is not completely right.
//
//	probe.Request ──► Octets ──► Client.Send ──► the server under test
//	probe.Check ◄── Client.Receive ◄──────────────┘
//
// To retransmit, send the same octets again; to reorder, send them in another order. It does not
// decide when to give up on a server: every wait has a deadline that its caller or [Patience] sets.
package radiustest
