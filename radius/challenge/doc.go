// Package challenge makes the State that goes out with an Access-Challenge and reads the one that
// comes back with the code (RFC 2865 section 5.24): proof that somebody passed the first factor, here,
// as this account, a moment ago. It keeps nothing: any node with the keyset opens what another sealed.
//
//	password is right ─► Begin ─► Seal ─► State in Access-Challenge
//	                                           │
//	   code is wrong:   Seal ◄─ Of? ◄─ Open ◄─ State in Access-Request
//
// A sealed State holds a version, the number of the challenge, when the first factor was right, which
// one it was and from which place, when this State was issued, and a digest of the account: 50 octets,
// encrypted and authenticated, bound to the client as associated data: 111 characters. There is nothing in it that is secret; it
// is encrypted because that comes with the seal.
//
// # Invariants
//
//  1. A State opens only for the client that it was sealed for, and unchanged. One that does not
//     is refused with the same error whatever is wrong with it.
//  2. It is of use for one account. Which one is not known when it is opened, so [Sealer.Of] has to be
//     asked once it is.
//  3. It lives two minutes, and no State of a challenge lives longer than six minutes after the first
//     factor, however often the code was wrong.
//  4. What is longer than 128 octets is refused before anything is computed.
//  5. It is printable ASCII: ocserv copies it as a C string.
//
// # What it does not do
//
// A State can be sent again within its life, so it cannot count: the number of the challenge, which
// stays the same over all tries, is what the store counts wrong codes by. Calling-Station-Id is not
// bound to it, because pam_radius leaves it out of the second packet.
package challenge
