package radius

import (
	"crypto/hmac"
	"encoding/binary"
)

// Codes and attribute types that admission looks at (RFC 2865 sections 4 and 5, RFC 2869
// sections 5.13 and 5.14, RFC 5997 section 3).
const (
	codeAccessRequest = 1
	codeStatusServer  = 12

	typeUserName             = 1
	typeUserPassword         = 2
	typeCHAPPassword         = 3
	typeState                = 24
	typeProxyState           = 33
	typeEAPMessage           = 79
	typeMessageAuthenticator = 80
)

// Limits of RFC 2865 section 3.
const (
	headerLength = 20
	maxLength    = 4096
)

// discard says why a packet was thrown away without a word to its sender.
type discard uint8

// The reasons. The zero value is one too, so that nothing is admitted by forgetting to say why not.
const (
	discardPanic discard = iota
	discardTooShort
	discardWrongCode
	discardUnknownClient
	discardBadLength
	discardMalformedAttributes
	discardRepeatedAttribute
	discardUnsigned
	discardUnsignedEAP
	discardUnsignedProxyState
	discardRepeatedAuthenticator
	discardMalformedAuthenticator
	discardBadAuthenticator
	discardOverload
	discardBeforeStart
	discardReasons // how many there are
)

// String returns the metric label and log word.
func (d discard) String() string {
	return [discardReasons]string{
		discardPanic:                  "panic",
		discardTooShort:               "too_short",
		discardWrongCode:              "wrong_code",
		discardUnknownClient:          "unknown_client",
		discardBadLength:              "bad_length",
		discardMalformedAttributes:    "malformed_attributes",
		discardRepeatedAttribute:      "repeated_attribute",
		discardUnsigned:               "missing_message_authenticator",
		discardUnsignedEAP:            "eap_message_without_message_authenticator",
		discardUnsignedProxyState:     "proxy_state_without_message_authenticator",
		discardRepeatedAuthenticator:  "repeated_message_authenticator",
		discardMalformedAuthenticator: "malformed_message_authenticator",
		discardBadAuthenticator:       "bad_message_authenticator",
		discardOverload:               "overload",
		discardBeforeStart:            "before_start",
	}[d]
}

// hint says what a person can do about it; empty when the word says it all.
func (d discard) hint() string {
	switch d {
	case discardUnsigned:
		return "set the gateway to send Message-Authenticator in every Access-Request (CVE-2024-3596); " +
			"if it cannot, message_authenticator: optional for this client lets it in"
	case discardUnsignedProxyState:
		return "a proxy must send Message-Authenticator; without it Proxy-State is what an attack looks like (CVE-2024-3596)"
	case discardBadAuthenticator:
		return "the shared secret here differs from the one on the gateway, or something in between changes packets"
	case discardUnknownClient:
		return "add the address to the networks of a client under radius.clients"
	case discardWrongCode:
		return "this port takes Access-Request and Status-Server only"
	case discardOverload:
		return "more attempts are under way than allowed; look at the latency of directory and store"
	case discardBeforeStart:
		return "they came while the node could not answer yet; gateways send again what they still want"
	}
	return ""
}

// precheck looks at what must be right before it is worth asking whose packet it is.
func precheck(b []byte) (discard, bool) {
	switch {
	case len(b) < headerLength:
		return discardTooShort, false
	case b[0] != codeAccessRequest && b[0] != codeStatusServer:
		return discardWrongCode, false
	}
	return 0, true
}

// findings is what one walk over the attributes of a packet has seen.
type findings struct {
	names, passwords, states int
	proxyStates, eap         int
	authenticators           int
	authenticatorAt          int // offset of the value of the last Message-Authenticator
	authenticatorLength      int // of its value
}

// walk goes over the attributes of octets (header included) once. It is false when they do not
// fill the packet exactly, each with a length of at least 2.
func walk(octets []byte) (f findings, ok bool) {
	for at := headerLength; at < len(octets); {
		if at+2 > len(octets) {
			return f, false
		}
		length := int(octets[at+1])
		if length < 2 || at+length > len(octets) {
			return f, false
		}
		switch octets[at] {
		case typeUserName:
			f.names++
		case typeUserPassword:
			f.passwords++
		case typeState:
			f.states++
		case typeProxyState:
			f.proxyStates++
		case typeEAPMessage:
			f.eap++
		case typeMessageAuthenticator:
			f.authenticators++
			f.authenticatorAt, f.authenticatorLength = at+2, length-2
		}
		at += length
	}
	return f, true
}

// admit decides, over the raw octets and before anything in them is believed, whether a packet
// that passed precheck is from the client. It returns the packet without padding, which RFC 2865
// section 3 has us ignore; nil when it must be discarded.
func admit(b []byte, c *client) ([]byte, discard) {
	length := int(binary.BigEndian.Uint16(b[2:4]))
	if length < headerLength || length > maxLength || length > len(b) {
		return nil, discardBadLength
	}
	octets := b[:length]
	f, ok := walk(octets)
	if !ok {
		return nil, discardMalformedAttributes
	}
	if why, ok := c.verify(octets, f); !ok {
		return nil, why
	}
	// RFC 2865 section 5.44 allows each of these once. A codec that takes the first and a proxy
	// that takes the last would disagree about who logs in.
	if f.names > 1 || f.passwords > 1 || f.states > 1 {
		return nil, discardRepeatedAttribute
	}
	return octets, 0
}

// verify applies the client's policy about Message-Authenticator, and checks the value.
func (c *client) verify(octets []byte, f findings) (discard, bool) {
	switch {
	case f.authenticators > 1:
		return discardRepeatedAuthenticator, false
	case f.authenticators == 1 && f.authenticatorLength != 16:
		return discardMalformedAuthenticator, false
	case f.authenticators == 1:
		if !c.authentic(octets, f.authenticatorAt) {
			return discardBadAuthenticator, false
		}
		return 0, true
	case octets[0] == codeStatusServer: // RFC 5997 section 3: whatever the client's policy is
		return discardUnsigned, false
	case f.eap > 0: // RFC 3579 section 3.1
		return discardUnsignedEAP, false
	case c.MessageAuthenticator == Optional && f.proxyStates > 0:
		return discardUnsignedProxyState, false
	case c.MessageAuthenticator == Optional:
		return 0, true
	}
	return discardUnsigned, false
}

// authentic recomputes the Message-Authenticator whose value is at octets[at:at+16] over the
// packet with that value as zeros (RFC 3579 section 3.2), and compares in constant time.
func (c *client) authentic(octets []byte, at int) bool {
	m := c.macs.Get().(*mac)
	defer c.macs.Put(m)
	m.hash.Reset()
	m.hash.Write(octets[:at])
	m.hash.Write(m.zero[:])
	m.hash.Write(octets[at+len(m.zero):])
	return hmac.Equal(m.hash.Sum(m.sum[:0]), octets[at:at+len(m.zero)])
}
