package packet

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
)

// A Fault is what is wrong with a response; the first thing that is.
type Fault uint8

// The faults, in the order in which they are looked for.
const (
	Right         Fault = iota
	Malformed           // lengths that do not fit, or a code that is no answer to a login
	Misnumbered         // another Identifier than that of the request
	Unauthentic         // the Response Authenticator is wrong
	Unsigned            // there is no Message-Authenticator, and there should be
	Resigned            // there is more than one
	Missigned           // the Message-Authenticator is wrong
	SignedTooLate       // it is right, but not the first attribute, and should be
)

// String returns a word for it.
func (f Fault) String() string {
	words := [...]string{"right", "malformed", "misnumbered", "unauthentic", "unsigned", "resigned", "missigned", "signed_too_late"}
	if int(f) < len(words) {
		return words[f]
	}
	return "unknown"
}

// Signature is what is asked of the Message-Authenticator in a response.
type Signature uint8

// What can be asked of it.
const (
	SignedFirst     Signature = iota // it is the first attribute (CVE-2024-3596)
	SignedSomewhere                  // it is there
	SignedMaybe                      // right, if it is there: for servers that send none
)

// An Answer is what a response says. State is part of the octets that were checked.
type Answer struct {
	Code  byte
	State []byte
}

// Check says what response answers to request, and what is wrong with it. The answer is of use when
// nothing is.
func (c *Codec) Check(request, response []byte, want Signature) (Answer, Fault) {
	a, signed, fault := read(response)
	if fault != Right {
		return a, fault
	}
	if response[1] != request[1] {
		return a, Misnumbered
	}
	if !c.Authentic(request[4:HeaderLength], response) {
		return a, Unauthentic
	}
	switch {
	case signed == 0 && want == SignedMaybe:
		return a, Right
	case signed == 0:
		return a, Unsigned
	case signed < 0:
		return a, Resigned
	case !c.signedRightly(request, response, signed):
		return a, Missigned
	case want == SignedFirst && signed != HeaderLength:
		return a, SignedTooLate
	}
	return a, Right
}

// read walks the attributes. signed is where the Message-Authenticator begins: 0 when there is none, -1
// when there are several.
func read(b []byte) (a Answer, signed int, fault Fault) {
	if len(b) < HeaderLength || len(b) > MaxLength || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return a, 0, Malformed
	}
	a.Code = b[0]
	if a.Code != AccessAccept && a.Code != AccessReject && a.Code != AccessChallenge {
		return a, 0, Malformed
	}
	for at := HeaderLength; at < len(b); at += int(b[at+1]) {
		if at+1 >= len(b) || b[at+1] < 2 || at+int(b[at+1]) > len(b) {
			return a, 0, Malformed
		}
		switch b[at] {
		case state:
			a.State = b[at+2 : at+int(b[at+1])]
		case messageAuthenticator:
			if b[at+1] != signedLength {
				return a, 0, Malformed
			}
			if signed != 0 {
				signed = -1
				break
			}
			signed = at
		}
	}
	return a, signed, Right
}

// Authentic reports whether the Response Authenticator of a response of a whole header is the one that
// answers the Request Authenticator (RFC 2865 section 3).
func (c *Codec) Authentic(authenticator, response []byte) bool {
	c.plain.Reset()
	c.plain.Write(response[:4])
	c.plain.Write(authenticator)
	c.plain.Write(response[HeaderLength:])
	c.plain.Write(c.secret)
	return hmac.Equal(c.plain.Sum(c.sum[:0]), response[4:HeaderLength])
}

// signedRightly computes the Message-Authenticator that begins at this place: over the response with the
// Request Authenticator in its header, and zeros for itself (RFC 3579 section 3.2).
func (c *Codec) signedRightly(request, response []byte, at int) bool {
	c.keyed.Reset()
	c.keyed.Write(response[:4])
	c.keyed.Write(request[4:HeaderLength])
	c.keyed.Write(response[HeaderLength : at+2])
	c.keyed.Write(c.zero[:])
	c.keyed.Write(response[at+2+md5.Size:])
	return hmac.Equal(c.keyed.Sum(c.sum[:0]), response[at+2:at+2+md5.Size])
}
