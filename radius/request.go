package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

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

// request is what the login sequence wants to know of an admitted Access-Request.
type request struct {
	packet   *layeh.Packet // holds the secret: never log it
	key      *key          // with which it was made
	name     []byte        // User-Name as sent; nil when absent
	password []byte        // User-Password in the clear; nil when there is no proof in it
	response otp.Proof     // by CHAP or MS-CHAPv2, a code alone; nil when there is none
	signed   bool          // nobody between the gateway and us could have made it up
	garbled  bool          // what decrypts is not what anybody types, by whatever secret
	version1 bool          // MS-CHAPv1, which is not answered
	eap      bool
	state    bool   // a State is there
	station  string // Calling-Station-Id; "" when absent
}

// readRequest parses octets that admit has let through. It fails where the codec and our own walk
// disagree about what is well-formed.
func readRequest(in admitted, c *client) (request, error) {
	p, err := layeh.Parse(in.octets, in.key.secret)
	if err != nil {
		return request{}, fmt.Errorf("radius: parse: %w", err)
	}
	r := request{packet: p, key: in.key, signed: in.signed}
	r.name, _ = rfc2865.UserName_Lookup(p)
	r.station, _ = rfc2865.CallingStationID_LookupString(p)
	_, r.state = p.Lookup(typeState)
	_, r.eap = p.Lookup(typeEAPMessage)
	// RFC 2865 section 4.1, RFC 3579 section 3.1: not two of them. One would be believed and the other
	// not looked at.
	hidden, pap := p.Lookup(typeUserPassword)
	response, chap := p.Lookup(typeCHAPPassword)
	vendor := readMicrosoft(p)
	r.version1 = vendor.response1 != nil
	switch mschap := vendor.response2 != nil; {
	case r.version1 || r.eap:
	case pap && !chap && !mschap:
		r.reveal(hidden, c)
	case chap && !pap && !mschap:
		err = r.readCHAP(response)
	case mschap && !pap && !chap:
		err = r.readMSCHAP(vendor)
	}
	if errors.Is(err, proof.ErrGarbled) { // it proves nothing, and is no reason to be silent
		err = nil
	}
	return r, err
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
	r.password = proof.Reveal(hidden, r.key.secret, r.packet.Authenticator)
	if r.signed {
		return
	}
	for _, k := range c.keys {
		text := proof.Reveal(hidden, k.secret, r.packet.Authenticator)
		if c.plausible(text, r.state) {
			r.password, r.key, r.packet.Secret = text, k, k.secret
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

func (r *request) readCHAP(response []byte) error {
	challenge, ok := r.packet.Lookup(typeCHAPChallenge)
	if !ok {
		challenge = r.packet.Authenticator[:] // RFC 2865 section 5.3
	}
	p, err := proof.NewCHAP(response, challenge)
	if err != nil {
		return err
	}
	r.response = p
	return nil
}

func (r *request) readMSCHAP(m microsoft) error {
	p, err := proof.NewMSCHAPv2(r.name, m.challenge, m.response2)
	if err != nil {
		return err
	}
	r.response = p
	return nil
}

// microsoft are the attributes of that vendor that a login is about; the first of each counts.
type microsoft struct{ challenge, response1, response2 []byte }

// readMicrosoft looks through the Vendor-Specific attributes (RFC 2865 section 5.26), each of which
// may hold several. What is not well-formed is passed over.
func readMicrosoft(p *layeh.Packet) (m microsoft) {
	seen := 0
	for _, avp := range p.Attributes {
		if avp.Type != rfc2865.VendorSpecific_Type || len(avp.Attribute) < vendorHeader ||
			binary.BigEndian.Uint32(avp.Attribute) != vendorMicrosoft {
			continue
		}
		for rest := avp.Attribute[vendorHeader:]; len(rest) >= vendorAttrHeader && seen < maxVendorSpecific; seen++ {
			n := int(rest[1])
			if n < vendorAttrHeader || n > len(rest) {
				break
			}
			m.keep(rest[0], rest[vendorAttrHeader:n])
			rest = rest[n:]
		}
	}
	return m
}

func (m *microsoft) keep(kind byte, value []byte) {
	var at *[]byte
	switch kind {
	case msCHAPChallenge:
		at = &m.challenge
	case msCHAPResponse:
		at = &m.response1
	case msCHAP2Response:
		at = &m.response2
	default:
		return
	}
	if *at == nil {
		*at = value
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
