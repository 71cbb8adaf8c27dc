package radius

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"

	"otpgate/otp"
	"otpgate/radius/dictionary"
	"otpgate/radius/proof"
)

// messageAuthenticatorAt is where the value of the Message-Authenticator of a reply stands: it is
// the first attribute of every reply.
const messageAuthenticatorAt = headerLength + 2

// errTooLong: the attributes of a reply and the request's Proxy-State do not fit into one packet.
var errTooLong = errors.New("radius: the reply would be longer than 4096 octets")

// maxValue is what one attribute holds.
const maxValue = 253

// errValueTooLong: a value does not fit into an attribute.
var errValueTooLong = errors.New("radius: a value of the reply is longer than 253 octets")

// defaultPrompt is what is shown to whoever is asked for a code, unless the client has its own.
const defaultPrompt = "Enter the code of your phone: "

// codeFor is the code of the reply that tells a decision; false when there is no reply.
func codeFor(d otp.Decision) (code byte, ok bool) {
	switch d {
	case otp.Accept:
		return codeAccessAccept, true
	case otp.Challenge:
		return codeAccessChallenge, true
	case otp.Reject:
		return codeAccessReject, true
	}
	return 0, false
}

// attributes are those of the reply to a decided attempt, Message-Authenticator and Proxy-State
// aside. All refusals of one method have the same.
func (a *attempt) attributes() ([]dictionary.Wire, error) {
	m, _ := a.request.response.(*proof.MSCHAPv2) // nil when it is none
	switch a.decision {
	case otp.Challenge:
		// pam_radius wants both State and Reply-Message. Prompt 0: no echo (RFC 2869 section 5.10).
		return []dictionary.Wire{
			{Type: typeReplyMessage, Value: []byte(a.client.prompt())},
			{Type: typeState, Value: []byte(a.next)},
			{Type: typePrompt, Value: []byte{0, 0, 0, 0}},
		}, nil
	case otp.Reject:
		if m == nil {
			return nil, nil
		}
		return []dictionary.Wire{microsoftWire(msCHAPError, m.Failure())}, nil
	}
	if m == nil {
		return a.granted, nil
	}
	out := append([]dictionary.Wire(nil), a.granted...) // what is granted is shared
	out = append(out, microsoftWire(msCHAP2Success, m.Success()))
	if !a.client.MPPE {
		return out, nil
	}
	keys, err := m.MPPE(a.request.key.secret, *a.request.authenticator())
	if err != nil {
		return nil, fmt.Errorf("radius: keys: %w", err)
	}
	return append(out,
		microsoftWire(msMPPEPolicy, keys.Policy), microsoftWire(msMPPETypes, keys.Types),
		microsoftWire(msMPPESendKey, keys.SendKey), microsoftWire(msMPPERecvKey, keys.RecvKey),
	), nil
}

func (c *client) prompt() string {
	if c.ChallengePrompt == "" {
		return defaultPrompt
	}
	return c.ChallengePrompt
}

// microsoftWire packs one attribute of Microsoft (RFC 2865 section 5.26).
func microsoftWire(kind byte, value []byte) dictionary.Wire {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, vendorHeader+vendorAttrHeader+len(value)), vendorMicrosoft)
	b = append(b, kind, byte(vendorAttrHeader+len(value)))
	return dictionary.Wire{Type: typeVendorSpecific, Value: append(b, value...)}
}

// sends reports whether the client takes replies with attributes of a type.
func (c *client) sends(kind byte) bool {
	switch {
	case kind == typeState || kind == typeProxyState: // without which there is no exchange
		return true
	case kind == typeMessageAuthenticator && c.MessageAuthenticator == Omit:
		return false
	}
	return c.only == nil || c.only[kind]
}

// seal builds the reply to request: Message-Authenticator first, so that nothing that somebody
// else has chosen stands before it (CVE-2024-3596); then the attributes; then Proxy-State, all of
// them, in their order (RFC 2865 section 5.33). Only what somebody was let in with has attributes of
// any length: what a stranger can provoke is a challenge or a refusal of less than 400 octets
// beside the Proxy-State that he sent.
func (c *client) seal(k *key, request []byte, code byte, attributes []dictionary.Wire) ([]byte, error) {
	// An Accounting-Response has none: RFC 2869 section 5.14 does not say over which authenticator, and
	// peers do not agree.
	signed := c.sends(typeMessageAuthenticator) && request[0] != codeAccountingRequest
	length, err := c.length(request, attributes, signed)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, length)
	b = append(b, code, request[1])
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, request[4:headerLength]...) // until it is sealed, its authenticator is that of the request
	if signed {
		b = append(b, typeMessageAuthenticator, 2+md5.Size)
		b = append(b, make([]byte, md5.Size)...)
	}
	for _, w := range attributes {
		if c.sends(w.Type) {
			b = append(append(b, w.Type, byte(2+len(w.Value))), w.Value...)
		}
	}
	for at := headerLength; at < len(request); at += int(request[at+1]) {
		if request[at] == typeProxyState {
			b = append(b, request[at:at+int(request[at+1])]...)
		}
	}
	k.seal(b, signed)
	return b, nil
}

// length is that of the reply, which has to fit into a packet.
func (c *client) length(request []byte, attributes []dictionary.Wire, signed bool) (int, error) {
	n := headerLength
	if signed {
		n += 2 + md5.Size
	}
	for _, w := range attributes {
		switch {
		case !c.sends(w.Type):
		case len(w.Value) > maxValue:
			return 0, errValueTooLong
		default:
			n += 2 + len(w.Value)
		}
	}
	for at := headerLength; at < len(request); at += int(request[at+1]) {
		if request[at] == typeProxyState {
			n += int(request[at+1])
		}
	}
	if n > maxLength {
		return 0, errTooLong
	}
	return n, nil
}

// seal fills in the Message-Authenticator of a reply, if it has one (RFC 3579 section 3.2), and its Response
// Authenticator (RFC 2865 section 3), in whose place is that of the request.
func (k *key) seal(b []byte, signed bool) {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	if signed {
		m.hash.Reset()
		m.hash.Write(b)
		m.hash.Sum(b[messageAuthenticatorAt:messageAuthenticatorAt])
	}
	m.plain.Reset()
	m.plain.Write(b)
	m.plain.Write(k.secret)
	m.plain.Sum(b[4:4])
}

// sealStatus builds the reply to a Status-Server packet (RFC 5997 section 3: at a port for logins it is
// an Access-Accept, at one for accounting an Accounting-Response).
func (c *client) sealStatus(in admitted, takes service) ([]byte, error) {
	code := byte(codeAccountingResponse)
	if takes&forLogins != 0 {
		code = codeAccessAccept
	}
	return c.seal(in.key, in.octets, code, nil)
}
