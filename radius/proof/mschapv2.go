package proof

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"layeh.com/radius/rfc2759"
	"layeh.com/radius/rfc3079"

	"otpgate/otp"
)

// Sizes in octets (RFC 2548 section 2.3.2).
const (
	msChallenge = 16
	msResponse  = 50 // identifier, flags, peer challenge, 8 reserved, NT response
	peerAt      = 2
	ntAt        = peerAt + msChallenge + 8
)

// failureText is what somebody reads whose login is refused, whatever the reason.
const failureText = "Authentication failed"

// MSCHAPv2 is a response of MS-CHAP version 2 (RFC 2759). It is for one goroutine at a time, because
// it remembers the code that matched. The zero MSCHAPv2 matches nothing.
type MSCHAPv2 struct {
	redacted
	name      []byte // without a domain
	challenge []byte
	response  []byte
	hash      []byte // 8 octets that all codes are compared with; see RFC 2759 section 8.2
	code      []byte // that matched; nil before
}

var _ otp.Proof = (*MSCHAPv2)(nil)

// NewMSCHAPv2 takes User-Name as it was sent, the value of MS-CHAP-Challenge (16 octets, RFC 2548
// section 2.1.2) and that of MS-CHAP2-Response (50 octets, section 2.3.2). The name is hashed as
// the peer hashed it, without the domain before the last backslash (RFC 2759 section 8.2); a realm
// behind an @ is part of it. It returns [ErrGarbled] for other lengths and for no name.
func NewMSCHAPv2(name, challenge, response []byte) (*MSCHAPv2, error) {
	switch {
	case len(name) == 0 || len(name) > 253:
		return nil, fmt.Errorf("%w: User-Name has %d octets, not 1 to 253", ErrGarbled, len(name))
	case len(challenge) != msChallenge:
		return nil, fmt.Errorf("%w: MS-CHAP-Challenge has %d octets, not %d", ErrGarbled, len(challenge), msChallenge)
	case len(response) != msResponse:
		return nil, fmt.Errorf("%w: MS-CHAP2-Response has %d octets, not %d", ErrGarbled, len(response), msResponse)
	}
	p := &MSCHAPv2{
		name:      bytes.Clone(name[bytes.LastIndexByte(name, '\\')+1:]),
		challenge: bytes.Clone(challenge),
		response:  bytes.Clone(response),
	}
	p.hash = rfc2759.ChallengeHash(p.peer(), p.challenge, p.name)
	return p, nil
}

func (p *MSCHAPv2) peer() []byte { return p.response[peerAt : peerAt+msChallenge] }
func (p *MSCHAPv2) nt() []byte   { return p.response[ntAt:] }

// Match implements [otp.Proof], and remembers the code for [MSCHAPv2.Success] and the keys. Whether
// the code may be used is not decided by that.
func (p *MSCHAPv2) Match(code []byte) bool {
	if len(code) == 0 || len(p.response) != msResponse {
		return false
	}
	wide := make([]byte, 0, 2*maxDigits)
	for _, c := range code { // ASCII in UTF-16
		wide = append(wide, c, 0)
	}
	want := rfc2759.ChallengeResponse(p.hash, rfc2759.NTPasswordHash(wide))
	if subtle.ConstantTimeCompare(want, p.nt()) != 1 {
		return false
	}
	p.code = bytes.Clone(code)
	return true
}

// Octets implements [otp.Proof]. Name and challenge are among them.
func (p *MSCHAPv2) Octets() []byte {
	b := make([]byte, 0, len(p.challenge)+len(p.response)+len(p.name))
	b = append(append(b, p.challenge...), p.response...) // both of fixed length
	return append(b, p.name...)
}

// Success is the value of MS-CHAP2-Success: the identifier and 42 octets that prove to the peer that
// the server knows the code too (RFC 2548 section 2.3.3, RFC 2759 section 8.7). It is nil when no
// code has matched.
func (p *MSCHAPv2) Success() []byte {
	if p.code == nil {
		return nil
	}
	text, err := rfc2759.GenerateAuthenticatorResponse(p.challenge, p.peer(), p.nt(), p.name, p.code)
	if err != nil { // only for text that is not UTF-8
		return nil
	}
	return append([]byte{p.response[0]}, text...)
}

// Failure is the value of MS-CHAP-Error (RFC 2548 section 2.1.5, RFC 2759 section 6): the identifier,
// that the login failed (691), that no retry is waited for, and a challenge that is new each time
// and that nobody will be asked about. It says the same for every reason.
func (p *MSCHAPv2) Failure() []byte {
	var fresh [msChallenge]byte
	_, _ = rand.Read(fresh[:]) // never fails, or ends the process
	text := "E=691 R=0 C=" + strings.ToUpper(hex.EncodeToString(fresh[:])) + " V=3 M=" + failureText
	var ident byte
	if len(p.response) > 0 {
		ident = p.response[0]
	}
	return append([]byte{ident}, text...)
}

// Keys are the 128-bit master keys of MPPE as the server's side of the link, the gateway, sends and
// receives with them (RFC 3079 section 3.4). ok is false when no code has matched. What they
// protect the package comment says.
func (p *MSCHAPv2) Keys() (send, recv [16]byte, ok bool) {
	if p.code == nil {
		return send, recv, false
	}
	s, err := rfc3079.MakeKey(p.nt(), p.code, true)
	if err != nil || len(s) != len(send) {
		return send, recv, false
	}
	r, err := rfc3079.MakeKey(p.nt(), p.code, false)
	if err != nil || len(r) != len(recv) {
		return send, recv, false
	}
	copy(send[:], s)
	copy(recv[:], r)
	return send, recv, true
}
