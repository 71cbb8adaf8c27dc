// Package radsec carries RADIUS packets over TLS (RFC 6614), framed as over TCP (RFC 6613). Who a
// client is and what its packets say it leaves to the handler; the certificates come from whoever
// reads the files.
//
//	accept ─► admission ─► handshake ─► Identify ─► Conn
//	   │ too many   │ no certificate, ...   │ unknown
//	   └────────────┴───────────────────────┴──► refused: counted, logged now and then
//
//	Conn: room ─► take ─► Receive          (one goroutine: waits while MaxPending are pending)
//	       ▲       ▲ fill
//	       └ Done  └ TLS
//	      Send ─► queue ─► write           (a goroutine while there is something to write)
//	      end ─► drain ─► close_notify, FIN, linger
//
// # Invariants
//
//  1. Nobody gets further than the handshake without a certificate that verifies now, by the
//     authorities of now, and that a client has. There is no resumption, which would skip that.
//  2. Every connection that the kernel gave us ends in exactly one outcome, and every accepted one
//     in exactly one reason.
//  3. Everything that a peer can make us keep or wait for has a bound: connections, also of one address
//     and of one certificate; packets and replies of a connection; octets of a packet; the time of
//     a handshake, a packet, silence, a write, and the end.
//     Strangers keep nobody out: where all connections are taken, one that comes gets the place of the one
//     that is in the handshake for longest.
//  4. Length is checked before anything depends on it. Where it is wrong, nothing that follows is a
//     packet, and the connection ends; what came before may still be answered.
//  5. No method of Conn blocks, and Receive is called by one goroutine for each connection.
//  6. A certificate that no longer verifies, and a client that is gone, end an open connection
//     within a minute, or at once with Recheck.
//  7. The shutdown has an end: its context.
//
// # Divergences
//
//   - RFC 6614 section 2.3: clients are known by a DNS name of their certificate only, not by IP address,
//     fingerprint or issuer and serial number. TLS-PSK is not offered.
//   - RFC 6614 section 2.3: TLS 1.2 and up, ciphers by RFC 9325. RC4 and 3DES, which it requires, are
//     broken.
//   - RFC 6613 section 2.6.4: the connection is closed, but replies to what came before the wrong packet are
//     let out first, for DrainTime at most: a login that was decided has used up its code.
//   - RFC 7930 (packets above 4096 octets) and RFC 9765 (ALPN radius/1.1) are not spoken.
//
// # Decisions
//
//   - 2026-11: reading pauses, rather than packets being dropped: over TCP nobody sends again (RFC 6613
//     section 2.6.1), so that a dropped packet is a login that fails. TCP makes the client wait.
//   - 2026-11: one certificate may have half of the connections, because a gateway that opens them and forgets
//     them is the usual way in which all are taken.
//   - 2026-11: the oldest handshake gives way only when all connections are taken, and not when some part of them is:
//     when a node starts, all gateways are in the handshake at once, and each of them is honest.
//   - 2026-11: the time limits are timers, not deadlines of the socket, which would need a clock of
//     their own.
package radsec
