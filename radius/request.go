package radius

import (
	"crypto/md5"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"otpgate/otp"
	"otpgate/radius/proof"
)

// Attributes of Microsoft that carry proofs (RFC 2548 sections 2.1 and 2.3).
const (
	vendorMicrosoft   = 311
	msCHAPResponse    = 1
	msCHAPError       = 2
	msMPPEPolicy      = 7
	msMPPETypes       = 8
	msCHAPChallenge   = 11
	msMPPESendKey     = 16
	msMPPERecvKey     = 17
	msCHAP2Response   = 25
	msCHAP2Success    = 26
	vendorHeader      = 4 // of a Vendor-Specific attribute: the vendor's number
	vendorAttrHeader  = 2 // of an attribute inside: type and length
	maxVendorSpecific = 64
)

// request is what the login sequence wants to know of an admitted Access-Request. Its slices are parts of
// octets, but for the password.
type request struct {
	octets   []byte    // the whole packet
	key      *key      // with which it was made
	name     []byte    // User-Name as sent; nil when absent
	password []byte    // User-Password in the clear; nil when there is no proof in it
	response otp.Proof // by CHAP or MS-CHAPv2, a code alone; nil when there is none
	signed   bool      // nobody between the gateway and us could have made it up
	garbled  bool      // what decrypts is not what anybody types, by whatever secret
	version1 bool      // MS-CHAPv1, which is not answered
	eap      bool
	state    bool   // a State is there
	station  string // Calling-Station-Id; "" when absent
}

// authenticator is the Request Authenticator.
func (r *request) authenticator() *[md5.Size]byte { return (*[md5.Size]byte)(r.octets[4:headerLength]) }

// read reads octets that admit has let through, which r keeps.
func (r *request) read(octets []byte, in admitted, c *client) {
	r.octets, r.key, r.signed = octets, in.key, in.signed
	var f carried
	f.find(r)
	// RFC 2865 section 4.1, RFC 3579 section 3.1: not two of them. One would be believed and the other
	// not looked at. One that is garbled proves nothing, and is no reason to be silent.
	pap, chap, mschap := f.password != nil, f.chap != nil, f.microsoft.response2 != nil
	r.version1 = f.microsoft.response1 != nil
	switch {
	case r.version1 || r.eap:
	case pap && !chap && !mschap:
		r.reveal(f.password, c)
	case chap && !pap && !mschap:
		challenge := f.chapChallenge
		if challenge == nil {
			challenge = r.authenticator()[:] // RFC 2865 section 5.3
		}
		if p, err := proof.NewCHAP(f.chap, challenge); err == nil {
			r.response = p
		}
	case mschap && !pap && !chap:
		if p, err := proof.NewMSCHAPv2(r.name, f.microsoft.challenge, f.microsoft.response2); err == nil {
			r.response = p
		}
	}
}

// carried are the values of the attributes that may be a proof; the first of each counts, and nil is none.
type carried struct {
	password, chap, chapChallenge []byte
	microsoft                     microsoft
}

// find goes over the attributes once.
func (f *carried) find(r *request) {
	var name, station []byte
	for kind, value := range attributes(r.octets) {
		switch kind {
		case typeUserName:
			first(&name, value)
		case typeUserPassword:
			first(&f.password, value)
		case typeCHAPPassword:
			first(&f.chap, value)
		case typeState:
			r.state = true
		case typeVendorSpecific:
			f.microsoft.read(value)
		case typeCallingStationID:
			first(&station, value)
		case typeCHAPChallenge:
			first(&f.chapChallenge, value)
		case typeEAPMessage:
			r.eap = true
		}
	}
	r.name, r.station = name, string(station)
}

// first keeps the first value; an empty one is a value too.
func first(at *[]byte, value []byte) {
	if *at == nil {
		*at = value
	}
}

// method names what a request logs in by, for the log.
func (r *request) method() string {
	_, version2 := r.response.(*proof.MSCHAPv2)
	switch {
	case r.eap:
		return "EAP"
	case r.version1:
		return "MS-CHAPv1"
	case version2:
		return "MS-CHAPv2"
	case r.response != nil:
		return "CHAP"
	}
	return "PAP"
}

// instead says what to do about a method that is refused.
func (r *request) instead() string {
	switch {
	case r.eap:
		return "set the gateway to PAP; EAP is not answered"
	case r.version1:
		return "set the gateway to MS-CHAPv2 or PAP; by MS-CHAPv1 anybody who listens finds out what was typed"
	case r.response != nil:
		return "set the gateway to PAP: CHAP and MS-CHAPv2 carry no password, so they go with login: code only"
	}
	return "login: password+code takes the answer to OpenVPN's static challenge, and charset says how text is read"
}

// reveal reads User-Password. A packet without Message-Authenticator can be of either secret: the one
// counts with which it reads like something that people type. Where none does, the secret is wrong
// or somebody has made the packet up, and the account must not suffer for it.
func (r *request) reveal(hidden []byte, c *client) {
	r.password = proof.Reveal(hidden, r.key.secret, *r.authenticator())
	if r.signed {
		return
	}
	for _, k := range c.keys {
		text := proof.Reveal(hidden, k.secret, *r.authenticator())
		if c.plausible(text, r.state) {
			r.password, r.key = text, k
			k.count()
			return
		}
	}
	r.garbled = true
}

// plausible reports whether somebody may have typed text for this client's kind of login.
func (c *client) plausible(text []byte, state bool) bool {
	switch {
	case c.Login == LoginCode && len(c.PasswordOnlyGroups) == 0, c.Login == LoginPasswordThenCode && state:
		return proof.LooksLikeCode(text)
	case c.Login == LoginPasswordCode && len(c.PasswordOnlyGroups) == 0:
		_, _, static := proof.StaticChallenge(text)
		return static || proof.LooksLikePasswordAndCode(text)
	}
	return proof.LooksLikePassword(text)
}

// microsoft are the attributes of that vendor that a login is about; the first of each counts.
type microsoft struct {
	challenge, response1, response2 []byte
	seen                            int
}

// read looks through a Vendor-Specific attribute (RFC 2865 section 5.26), which may hold several of the
// vendor's. What is not well-formed is passed over.
func (m *microsoft) read(value []byte) {
	if len(value) < vendorHeader || binary.BigEndian.Uint32(value) != vendorMicrosoft {
		return
	}
	for rest := value[vendorHeader:]; len(rest) >= vendorAttrHeader && m.seen < maxVendorSpecific; m.seen++ {
		n := int(rest[1])
		if n < vendorAttrHeader || n > len(rest) {
			break
		}
		m.keep(rest[0], rest[vendorAttrHeader:n])
		rest = rest[n:]
	}
}

func (m *microsoft) keep(kind byte, value []byte) {
	switch kind {
	case msCHAPChallenge:
		first(&m.challenge, value)
	case msCHAPResponse:
		first(&m.response1, value)
	case msCHAP2Response:
		first(&m.response2, value)
	}
}

// read returns octets that came from a client in UTF-8, the same ones where they are that already;
// false when they are not of its charset.
func (c Charset) read(octets []byte) ([]byte, bool) {
	switch {
	case c == CharsetLatin1:
		return []byte(proof.Latin1(octets)), true
	case utf8.Valid(octets):
		return octets, true
	case c == CharsetUTF8:
		return nil, false
	}
	return []byte(proof.Latin1(octets)), true
}

// printable is text from a packet as the audit trail may show it: no control characters, and no
// longer than a name in the DNS.
func printable(text string) string {
	const most = 253
	if plain(text) && len(text) <= most {
		return text
	}
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

// plain reports whether text is printable ASCII.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
