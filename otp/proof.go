package otp

import "crypto/subtle"

// A Proof is what a packet carries that a code can be checked against: typed text, a CHAP
// response, an MS-CHAPv2 response.
type Proof interface {
	// Match reports, in time that does not depend on where they differ, whether this proof was
	// made from code (ASCII digits).
	Match(code []byte) bool
	// Octets is the whole proof, for the token and for the mark of a wrong code. It is secret.
	Octets() []byte
}

// TypedCode is a proof that is nothing but the code as it was typed.
type TypedCode []byte

// Match implements [Proof].
func (t TypedCode) Match(code []byte) bool { return subtle.ConstantTimeCompare(t, code) == 1 }

// Octets implements [Proof].
func (t TypedCode) Octets() []byte { return t }

// String keeps the code out of anything that is printed.
func (TypedCode) String() string { return "[redacted]" }

// GoString keeps the code out of anything that is printed.
func (TypedCode) GoString() string { return "[redacted]" }
