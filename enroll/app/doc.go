// Package app is the phone app: a page that enrolls a device and shows its codes.
//
//	e-mail ──► POST /v1/enrollments ──► enrollment code ──► POST /v1/devices ──► home: code and ring
//	                                                           │ ECDH, HKDF in WebCrypto
//	                                                           ▼
//	                                     IndexedDB: a non-extractable HMAC key
//
// # Invariants
//
//  1. The key is made by deriveKey and cannot be exported: no variable of the script ever holds
//     it (see [otpgate/enroll/agreement] for the protocol).
//  2. No framework, nothing from elsewhere, no inline script or style: the server's
//     Content-Security-Policy allows none of them.
//  3. Codes are computed by the server's time, measured by GET /v1/time with half the round trip
//     taken out, never by the phone's clock alone once the server has been heard.
//  4. Texts are set as text, never as HTML (require-trusted-types-for 'script' would refuse it).
//
// The folder files is served as it is. screens.js knows the screens, key.js the protocol and the
// key, clock.js the time, ring.js the picture.
package app
