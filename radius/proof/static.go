package proof

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"

	"otpgate/otp"
)

// staticPrefix begins the answer to OpenVPN's static challenge: SCRV1:password:code, the last two
// in base64.
const staticPrefix = "SCRV1:"

// StaticChallenge splits the User-Password that OpenVPN makes of the answer to its static challenge.
// ok is false for anything else: other text, more than 128 octets, base64 that is not the one
// encoding of its octets, no code, a NUL (which no password has, see [Reveal]). The password may be
// empty: who needs one has to refuse that.
func StaticChallenge(text []byte) (password, code []byte, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(staticPrefix))
	if !ok || len(text) > maxPassword {
		return nil, nil, false
	}
	first, second, ok := bytes.Cut(rest, []byte(":"))
	if !ok {
		return nil, nil, false
	}
	if password, ok = decode(first); !ok {
		return nil, nil, false
	}
	if code, ok = decode(second); !ok || len(code) == 0 {
		return nil, nil, false
	}
	return password, code, true
}

// decode is strict base64: with padding, without line breaks, which the library passes over.
func decode(text []byte) ([]byte, bool) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	out, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || bytes.IndexByte(out, 0) >= 0 {
		return nil, false
	}
	return out, true
}

// Split is a proof of which it is known where the password ends: the code is compared wholly.
type Split struct {
	redacted
	password, code []byte
}

var _ otp.Proof = Split{}

// NewSplit takes the parts as they were typed, and keeps them. An empty code matches nothing.
func NewSplit(password, code []byte) Split { return Split{password: password, code: code} }

// Match implements [otp.Proof].
func (p Split) Match(code []byte) bool {
	return len(code) > 0 && subtle.ConstantTimeCompare(p.code, code) == 1
}

// Octets implements [otp.Proof].
func (p Split) Octets() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(p.password)))
	b = append(b, p.password...)
	return append(b, p.code...)
}

// Password is the password as a directory wants to have it, empty when none was typed. It takes the
// length of the code, as that of [CodeAtEnd] does, and has no need of it.
func (p Split) Password(int) string { return Text(p.password) }
