// Package agreement lets a phone and the server agree on a device's seed without sending it.
//
//	phone                                                   server
//	fresh P-256 key pair, private key not extractable
//	     ── public key, enrollment code ──────────────────►  fresh P-256 key pair
//	     ◄───────────── public key, account id, device id ──
//	Z    = ECDH(own private key, the other's public key)     the same
//	seed = HKDF-SHA256(Z, salt, info)[:20]                   the same
//
// In detail, protocol version 1:
//
//   - Public keys are points of P-256 in SEC 1 section 2.3.3 uncompressed form, 65 octets,
//     base64url without padding (RFC 4648 section 5) in JSON. This is "raw" in WebCrypto.
//   - Z is the shared x-coordinate, 32 octets (SEC 1 section 3.3.1; RFC 7748 does the same).
//   - HKDF is RFC 5869 with SHA-256, and L = 20 octets: the length of an HMAC-SHA1 key of a TOTP
//     device (RFC 4226 section 4, R6).
//   - The salt is empty, or the 32 octets of the phone's own lock: what WebAuthn's PRF extension gives
//     to who opened it. They travel once, in the request, base64url; the server keeps them no longer
//     than it takes to make the seed, and the phone keeps Z and info only, so that its key cannot be
//     made again without the lock. 32 zeros are no lock: HKDF takes them for an empty salt.
//   - info is a sequence of fields, each a length of two octets (big-endian) and that many octets:
//     the label "otpgate device key v1", the phone's public key, the server's public key, the
//     account id, the device id (both as in the answer, UTF-8), and the enrollment code (8
//     upper-case characters without hyphen).
//   - The seed is the key of HMAC-SHA1 in RFC 6238, with period and digits as in the answer.
//
// In a browser that is three calls, none of which hands octets to the script:
//
//	z    = deriveKey({name: "ECDH", public: theirs}, mine, "HKDF", false, ["deriveKey"])
//	seed = deriveKey({name: "HKDF", hash: "SHA-256", salt: lock or empty, info}, z,
//	                 {name: "HMAC", hash: "SHA-1", length: 160}, false, ["sign"])
//	code = truncate(sign("HMAC", seed, step))
//
// # What it binds
//
// Both public keys, so that neither side can be talked into another exchange; account and device,
// so that the key is of no use anywhere else; the enrollment code, so that whoever sits between
// phone and server with a certificate of their own has to know it before the exchange. A proxy
// that ends TLS sees the code and can take the phone's place; that it cannot do so unnoticed is
// up to the mail about the new device. The lock adds nothing against such a proxy, which sees it too:
// it is for who gets hold of the phone, opened, or of what its browser keeps.
//
// # Invariants
//
//  1. A point that is not on the curve, or is the identity, is refused before anything else.
//  2. The server's private key lives for one call. Nothing here is stored or logged.
//
// The package tests hold vectors (testdata/vectors.json) that an implementation can be checked with.
package agreement
