// Package proof is what an Access-Request carries that a code can be checked against, and what a
// gateway is told about it. It is arithmetic on octets: whether a code is worth anything package otp
// decides, and which of these a client may use the server does.
//
//	User-Password ─► Reveal ─┬─► CodeAtEnd                     password and code, one text
//	                         └─► StaticChallenge ─► Split      the same in two parts (OpenVPN)
//	CHAP-Password, CHAP-Challenge ─► NewCHAP ─► CHAP
//	MS-CHAP2-Response, MS-CHAP-Challenge ─► NewMSCHAPv2 ─► MSCHAPv2 ─► Success, MPPE; Failure
//
// # Invariants
//
//  1. Match takes a time that does not depend on where a code differs, and only the whole code
//     matches. The zero value of each type matches nothing, no empty code either.
//  2. Octets is the whole proof: no two proofs of one kind have the same.
//  3. Nothing of a proof is printed, in whatever form.
//  4. Success and keys come from the code that matched. Before one did there are none.
//
// # What CHAP and MS-CHAPv2 cost
//
// A response is compared with one code at a time: 180 ns for CHAP, 7000 ns for MS-CHAPv2 (an MD4 and
// three DES encryptions with keys of their own), by BenchmarkCHAP and BenchmarkMSCHAPv2. One device
// with three steps in its window is three codes, five devices whose clocks are two steps off are 20; with
// the widest window and the largest drift, 16 a device.
//
// A wrong code that comes again under another challenge has other octets, so that it counts as
// another wrong code: nobody can see that it is the same. As a typed one it counts once.
//
// # What a code protects
//
// Whoever sees one exchange of CHAP or MS-CHAPv2 finds the code by trying all million, within
// seconds. That the code is used up by then is what helps, and nothing else. Keys that come from it
// (MPPE) are found in the same seconds and are not used up: they protect what they encrypt
// from nobody. In SSTP, and in L2TP or EAP inside IKE, the tunnel around has keys of its own;
// in PPTP there is nothing else.
//
// # Divergences
//
//   - RFC 2548 section 2.3.2: the flags and the reserved octets of MS-CHAP2-Response must be zero, but
//     are not looked at. They are in no hash, and peers put things there.
//   - RFC 2759 section 8.2: the domain ends at the last backslash of User-Name. FreeRADIUS ends it at
//     the first (with_ntdomain_hack), pppd at the last; they differ for names that have two, which
//     Windows does not allow.
//   - RFC 2759 section 6: R=0 always. A retry would answer a challenge of ours, which nobody keeps; a
//     new login is a new challenge of the gateway.
//
// # Decisions
//
//   - layeh.com/radius/rfc2759 and rfc3079 for the arithmetic: they give the vectors of both RFCs. Most
//     of the time goes into key schedules of DES, which crypto/des would take as well. Two of three
//     could be saved by giving up at the first block that differs; three codes do not need it.
//     MD4, DES and SHA-1 are what the protocol is made of. Linters object to them with reason; see
//     "What a code protects".
//   - MS-MPPE-Encryption-Policy is 1 (allowed) as with FreeRADIUS: with 2 an SSTP client, which needs no
//     encryption inside of TLS, could not log in. MS-MPPE-Encryption-Types is 4 (128 bits), where
//     FreeRADIUS sends 6 unless require_strong is set: 40 bits are of no use to anybody.
package proof
