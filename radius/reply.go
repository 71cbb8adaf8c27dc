package radius

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"otpgate/otp"
	"otpgate/radius/dictionary"
	"otpgate/radius/proof"
)

// messageAuthenticatorAt is where the value of the Message-Authenticator of a reply stands: it is
// the first attribute of every reply.
const messageAuthenticatorAt = headerLength + 2

// errTooLong: the attributes of a reply and the request's Proxy-State do not fit into one packet.
var errTooLong = errors.New("radius: the reply would be longer than 4096 octets")

// defaultPrompt is what is shown to whoever is asked for a code, unless the client has its own.
const defaultPrompt = "Enter the code of your phone: "

// codeFor is the code of the reply that tells a decision; false when there is no reply.
func codeFor(d otp.Decision) (layeh.Code, bool) {
	switch d {
	case otp.Accept:
		return layeh.CodeAccessAccept, true
	case otp.Challenge:
		return layeh.CodeAccessChallenge, true
	case otp.Reject:
		return layeh.CodeAccessReject, true
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
			{Type: byte(rfc2865.ReplyMessage_Type), Value: []byte(a.client.prompt())},
			{Type: byte(rfc2865.State_Type), Value: []byte(a.next)},
			{Type: byte(rfc2869.Prompt_Type), Value: []byte{0, 0, 0, 0}},
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
	keys, err := m.MPPE(a.request.key.secret, a.request.packet.Authenticator)
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
	return dictionary.Wire{Type: byte(rfc2865.VendorSpecific_Type), Value: append(b, value...)}
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
func (c *client) seal(k *key, request *layeh.Packet, code layeh.Code, attributes []dictionary.Wire) ([]byte, error) {
	reply := request.Response(code)
	// An Accounting-Response has none: RFC 2869 section 5.14 does not say over which authenticator, and
	// peers do not agree.
	signed := c.sends(typeMessageAuthenticator) && request.Code != layeh.CodeAccountingRequest
	if signed {
		var zero [md5.Size]byte
		if err := rfc2869.MessageAuthenticator_Add(reply, zero[:]); err != nil {
			return nil, fmt.Errorf("radius: seal: %w", err)
		}
	}
	for _, w := range attributes {
		if c.sends(w.Type) {
			reply.Add(layeh.Type(w.Type), w.Value)
		}
	}
	states, err := rfc2865.ProxyState_Gets(request)
	if err != nil {
		return nil, fmt.Errorf("radius: seal: %w", err)
	}
	for _, s := range states {
		if err := rfc2865.ProxyState_Add(reply, s); err != nil {
			return nil, fmt.Errorf("radius: seal: %w", err)
		}
	}
	if length(reply) > maxLength {
		return nil, errTooLong
	}
	b, err := reply.MarshalBinary() // its Authenticator is still that of the request
	if err != nil {
		return nil, fmt.Errorf("radius: seal: %w", err)
	}
	if signed {
		m := k.macs.Get().(*mac)
		defer k.macs.Put(m)
		m.hash.Reset()
		m.hash.Write(b)
		m.hash.Sum(b[messageAuthenticatorAt:messageAuthenticatorAt]) // RFC 3579 section 3.2
	}
	sum := md5.New()
	sum.Write(b)
	sum.Write(k.secret)
	sum.Sum(b[4:4]) // Response Authenticator, RFC 2865 section 3
	return b, nil
}

// length is that of a packet on the wire.
func length(p *layeh.Packet) int {
	n := headerLength
	for _, avp := range p.Attributes {
		n += 2 + len(avp.Attribute)
	}
	return n
}

// sealStatus builds the reply to a Status-Server packet (RFC 5997 section 3: at a port for logins it is
// an Access-Accept, at one for accounting an Accounting-Response).
func (c *client) sealStatus(in admitted, takes service) ([]byte, error) {
	p, err := layeh.Parse(in.octets, in.key.secret)
	if err != nil {
		return nil, fmt.Errorf("radius: parse: %w", err)
	}
	code := layeh.CodeAccountingResponse
	if takes&forLogins != 0 {
		code = layeh.CodeAccessAccept
	}
	return c.seal(in.key, p, code, nil)
}
