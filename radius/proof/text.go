package proof

import (
	"crypto/subtle"
	"strings"
	"unicode/utf8"

	"otpgate/otp"
)

// CodeAtEnd is a proof that ends with the code: how many characters that is depends on the device,
// so it is compared with as many as each code has, and the password is known only after the walk.
type CodeAtEnd []byte

var _ otp.Proof = CodeAtEnd(nil)

// Match implements [otp.Proof].
func (p CodeAtEnd) Match(code []byte) bool {
	return len(code) > 0 && len(p) >= len(code) && subtle.ConstantTimeCompare(p[len(p)-len(code):], code) == 1
}

// Octets implements [otp.Proof].
func (p CodeAtEnd) Octets() []byte { return p }

// Password is what stands before a code of that many digits, as a directory wants to have it. It is
// empty when nothing does.
func (p CodeAtEnd) Password(digits int) string {
	return Text(p[:max(len(p)-digits, 0)])
}

// String keeps password and code out of anything that is printed.
func (CodeAtEnd) String() string { return hidden }

// GoString keeps password and code out of anything that is printed.
func (CodeAtEnd) GoString() string { return hidden }

// MarshalText keeps password and code out of logs and JSON, which show octets as they are.
func (CodeAtEnd) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// hidden is how a proof looks when it is printed.
const hidden = "[redacted]"

// redacted, as a field, keeps what it is part of out of anything that is printed.
type redacted struct{}

// String implements [fmt.Stringer].
func (redacted) String() string { return hidden }

// GoString implements [fmt.GoStringer].
func (redacted) GoString() string { return hidden }

// Text reads octets as UTF-8 when that is what they are, else as ISO 8859-1 (see [Latin1]). There is no
// third guess. [directory.DecodeName] does the same for names.
func Text(octets []byte) string {
	if utf8.Valid(octets) {
		return string(octets)
	}
	return Latin1(octets)
}

// Latin1 reads octets as ISO 8859-1, in which every octet is the rune of the same number.
func Latin1(octets []byte) string {
	var b strings.Builder
	for _, c := range octets {
		b.WriteRune(rune(c))
	}
	return b.String()
}
