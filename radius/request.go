package radius

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"otpgate/otp"
)

// request is what the login sequence wants to know of an admitted Access-Request.
type request struct {
	packet   *layeh.Packet // holds the secret: never log it
	name     []byte        // User-Name as sent; nil when absent
	password []byte        // User-Password in the clear; nil when there is no proof in it
	state    bool          // a State is there
	station  string        // Calling-Station-Id; "" when absent
}

// readRequest parses octets that admit has let through. It fails only where the codec and our own
// walk disagree about what is well-formed.
func readRequest(octets, secret []byte) (request, error) {
	p, err := layeh.Parse(octets, secret)
	if err != nil {
		return request{}, fmt.Errorf("radius: parse: %w", err)
	}
	r := request{packet: p}
	r.name, _ = rfc2865.UserName_Lookup(p)
	r.station, _ = rfc2865.CallingStationID_LookupString(p)
	_, r.state = p.Lookup(typeState)
	// RFC 2865 section 4.1: not both. One of them would be believed and the other not looked at.
	if _, chap := p.Lookup(typeCHAPPassword); !chap {
		if hidden, ok := p.Lookup(typeUserPassword); ok {
			r.password = reveal(hidden, secret, p.Authenticator)
		}
	}
	return r, nil
}

// reveal undoes the hiding of User-Password (RFC 2865 section 5.2). It is nil when there is
// nothing that a code could be checked against: a length that the RFC does not allow, an empty
// password, or a NUL that is not padding. layeh.UserPassword cuts at the first NUL instead, so
// that more than one password would be taken for the same.
func reveal(hidden, secret []byte, authenticator [16]byte) []byte {
	const block = md5.Size
	if len(hidden) < block || len(hidden) > 128 || len(hidden)%block != 0 {
		return nil
	}
	// The hash input: the secret, then the block before, which for the first block is the Request
	// Authenticator.
	in := make([]byte, len(secret)+block)
	copy(in, secret)
	copy(in[len(secret):], authenticator[:])
	clear := make([]byte, len(hidden))
	for at := 0; at < len(hidden); at += block {
		pad := md5.Sum(in)
		for i := range block {
			clear[at+i] = hidden[at+i] ^ pad[i]
		}
		copy(in[len(secret):], hidden[at:at+block])
	}
	clear = bytes.TrimRight(clear, "\x00")
	if len(clear) == 0 || bytes.IndexByte(clear, 0) >= 0 {
		return nil
	}
	return clear
}

// codeAtEnd is a proof that ends with the code: how many characters that is depends on the device,
// so it is compared with as many as each code has, and the password is known only after the walk.
type codeAtEnd []byte

var _ otp.Proof = codeAtEnd(nil)

// Match implements [otp.Proof].
func (p codeAtEnd) Match(code []byte) bool {
	return len(p) >= len(code) && subtle.ConstantTimeCompare(p[len(p)-len(code):], code) == 1
}

// Octets implements [otp.Proof].
func (p codeAtEnd) Octets() []byte { return p }

// password is what stands before a code of that many digits, as a directory wants to have it.
func (p codeAtEnd) password(digits int) string {
	return latin1(p[:max(len(p)-digits, 0)])
}

// String keeps password and code out of anything that is printed.
func (codeAtEnd) String() string { return "[redacted]" }

// GoString keeps password and code out of anything that is printed.
func (codeAtEnd) GoString() string { return "[redacted]" }

// latin1 reads octets as UTF-8 when that is what they are, else as ISO 8859-1, in which every
// octet is the rune of the same number. There is no third guess. [directory.DecodeName] does the
// same for names.
func latin1(octets []byte) string {
	if utf8.Valid(octets) {
		return string(octets)
	}
	var b strings.Builder
	for _, c := range octets {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// printable is text from a packet as the audit trail may show it: no control characters, and no
// longer than a name in the DNS.
func printable(text string) string {
	const most = 253
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return text
}
