package proof

import (
	"crypto/md5"
	"crypto/subtle"
	"errors"
	"fmt"

	"otpgate/otp"
)

// ErrGarbled: attributes of a proof do not have the form that their RFC gives them.
var ErrGarbled = errors.New("proof: garbled")

const (
	chapValue    = 1 + md5.Size // CHAP-Password: identifier and response
	minChallenge = 5
	maxChallenge = 253
)

// CHAP is a response to a CHAP challenge (RFC 1994 section 4.1). The zero CHAP matches nothing.
type CHAP struct {
	redacted
	octets []byte // identifier, response, challenge
}

var _ otp.Proof = CHAP{}

// NewCHAP takes the value of CHAP-Password, 17 octets (RFC 2865 section 5.3), and the challenge: the
// value of CHAP-Challenge, or the Request Authenticator when there is no such attribute. That is 5
// octets at least (RFC 2865 section 5.40) and 253 at most, which is what an attribute holds. It
// returns [ErrGarbled] for other lengths.
func NewCHAP(value, challenge []byte) (CHAP, error) {
	if len(value) != chapValue {
		return CHAP{}, fmt.Errorf("%w: CHAP-Password has %d octets, not %d", ErrGarbled, len(value), chapValue)
	}
	if len(challenge) < minChallenge || len(challenge) > maxChallenge {
		return CHAP{}, fmt.Errorf("%w: CHAP-Challenge has %d octets, not %d to %d",
			ErrGarbled, len(challenge), minChallenge, maxChallenge)
	}
	octets := make([]byte, 0, chapValue+len(challenge))
	octets = append(append(octets, value...), challenge...)
	return CHAP{octets: octets}, nil
}

// Match implements [otp.Proof].
func (p CHAP) Match(code []byte) bool {
	if len(code) == 0 || len(p.octets) < chapValue+minChallenge {
		return false
	}
	var room [1 + 16 + maxChallenge]byte // no code is longer, so that nothing is allocated
	in := append(room[:0], p.octets[0])
	in = append(in, code...)
	in = append(in, p.octets[chapValue:]...)
	sum := md5.Sum(in)
	return subtle.ConstantTimeCompare(sum[:], p.octets[1:chapValue]) == 1
}

// Octets implements [otp.Proof]. The challenge is among them.
func (p CHAP) Octets() []byte { return p.octets }
