package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"iter"
)

// Codes and attribute types that admission looks at (RFC 2865 sections 4 and 5, RFC 2866 section 4.1,
// RFC 2869 sections 5.13 and 5.14, RFC 5997 section 3).
const (
	codeAccessRequest      = 1
	codeAccessAccept       = 2
	codeAccessReject       = 3
	codeAccountingRequest  = 4
	codeAccountingResponse = 5
	codeAccessChallenge    = 11
	codeStatusServer       = 12

	typeUserName             = 1
	typeUserPassword         = 2
	typeCHAPPassword         = 3
	typeReplyMessage         = 18
	typeState                = 24
	typeVendorSpecific       = 26
	typeCallingStationID     = 31
	typeProxyState           = 33
	typeCHAPChallenge        = 60
	typePrompt               = 76
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
	discardUnsignedStatus
	discardUnsignedEAP
	discardUnsignedProxyState
	discardRepeatedAuthenticator
	discardMalformedAuthenticator
	discardBadAuthenticator
	discardBadRequestAuthenticator
	discardOverload
	discardClientShare
	discardTooSlow
	discardStale
	discardBeforeStart
	discardNoPort
	discardReasons // how many there are
)

// String returns the metric label and log word.
func (d discard) String() string {
	return [discardReasons]string{
		discardPanic:                   "panic",
		discardTooShort:                "too_short",
		discardWrongCode:               "wrong_code",
		discardUnknownClient:           "unknown_client",
		discardBadLength:               "bad_length",
		discardMalformedAttributes:     "malformed_attributes",
		discardRepeatedAttribute:       "repeated_attribute",
		discardUnsigned:                "missing_message_authenticator",
		discardUnsignedStatus:          "status_server_without_message_authenticator",
		discardUnsignedEAP:             "eap_message_without_message_authenticator",
		discardUnsignedProxyState:      "proxy_state_without_message_authenticator",
		discardRepeatedAuthenticator:   "repeated_message_authenticator",
		discardMalformedAuthenticator:  "malformed_message_authenticator",
		discardBadAuthenticator:        "bad_message_authenticator",
		discardBadRequestAuthenticator: "bad_request_authenticator",
		discardOverload:                "overload",
		discardClientShare:             "client_share",
		discardTooSlow:                 "too_slow",
		discardStale:                   "stale",
		discardBeforeStart:             "before_start",
		discardNoPort:                  "no_port",
	}[d]
}

// hint says what a person can do about it; empty when the word says it all.
func (d discard) hint() string {
	switch d {
	case discardUnsigned:
		return "set the gateway to send Message-Authenticator in every Access-Request (CVE-2024-3596); " +
			"if it cannot, message_authenticator: optional for this client lets it in, and learn does so until it always sends it"
	case discardUnsignedStatus:
		return "whoever watches this server must sign its Status-Server (RFC 5997 section 3)"
	case discardUnsignedProxyState:
		return "a proxy must send Message-Authenticator; without it Proxy-State is what an attack looks like (CVE-2024-3596); " +
			"accept_unsigned_proxy_state: true for this client lets it in"
	case discardBadAuthenticator, discardBadRequestAuthenticator:
		return "the shared secret here differs from the one on the gateway, or something in between changes packets"
	case discardUnknownClient:
		return "add the address to the networks of a client under radius.clients"
	case discardWrongCode:
		return "a port takes either logins (1812) or accounting (1813), and Status-Server"
	case discardOverload:
		return "more attempts are under way than allowed; look at the latency of directory and store"
	case discardClientShare:
		return "this client has as many attempts under way as one may while others have to find room; is somebody flooding it?"
	case discardTooSlow:
		return "what is under way already takes longer than gateways wait; look at the latency of directory and store"
	case discardStale:
		return "the node did not get to read them before their gateway gave up; look at its processor"
	case discardBeforeStart:
		return "they came while the node could not answer yet; gateways send again what they still want"
	case discardNoPort:
		return "they came from port 0, where no answer can be sent: somebody makes packets up, or something in between changes their port"
	}
	return ""
}

// breaks reports whether a packet that is thrown away for this reason ends the connection that it came
// by (RFC 6613 section 2.6.4): what follows it cannot be trusted to be packets.
func (d discard) breaks() bool {
	switch d {
	case discardMalformedAttributes, discardMalformedAuthenticator, discardBadAuthenticator, discardBadRequestAuthenticator:
		return true
	}
	return false
}

// service is what an address that is listened on takes. Status-Server it takes in any case.
type service uint8

// The services.
const (
	forLogins     service = 1 << iota // Access-Request
	forAccounting                     // Accounting-Request
)

// precheck looks at what must be right before it is worth asking whose packet it is.
func precheck(b []byte, takes service) (discard, bool) {
	switch {
	case len(b) < headerLength:
		return discardTooShort, false
	case b[0] == codeStatusServer,
		b[0] == codeAccessRequest && takes&forLogins != 0,
		b[0] == codeAccountingRequest && takes&forAccounting != 0:
		return 0, true
	}
	return discardWrongCode, false
}

// findings is what one walk over the attributes of a packet has seen.
type findings struct {
	names, passwords, states int
	proxyStates, eap         int
	authenticators           int
	authenticatorAt          int    // offset of the value of the last Message-Authenticator
	authenticatorLength      int    // of its value
	state, name              []byte // the values of the last State and User-Name
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
			f.name = octets[at+2 : at+length]
		case typeUserPassword:
			f.passwords++
		case typeState:
			f.states++
			f.state = octets[at+2 : at+length]
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

// attributes are those of octets that walk has gone over, in their order. A value may be empty, and is
// never nil.
func attributes(octets []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for at := headerLength; at < len(octets); at += int(octets[at+1]) {
			if !yield(octets[at], octets[at+2:at+int(octets[at+1])]) {
				return
			}
		}
	}
}

// admitted is a packet that is from its client as far as can be told before it is parsed.
type admitted struct {
	octets []byte // without padding, which RFC 2865 section 3 has us ignore
	key    *key   // the secret that it is authentic by; of an unsigned one the current secret
	signed bool   // it carries a Message-Authenticator, or came over TLS
	state  []byte // the value of State
}

// measured is a packet as long as it says that it is.
func measured(b []byte) ([]byte, bool) {
	length := int(binary.BigEndian.Uint16(b[2:4]))
	if length < headerLength || length > maxLength || length > len(b) {
		return nil, false
	}
	return b[:length], true
}

// admit decides, over the raw octets and before anything in them is believed, whether a packet that
// passed precheck is from the client. overTLS: its certificate has said so already.
func admit(b []byte, c *client, overTLS bool) (a admitted, why discard, ok bool) {
	if a.octets, ok = measured(b); !ok {
		return a, discardBadLength, false
	}
	f, ok := walk(a.octets)
	if !ok {
		return a, discardMalformedAttributes, false
	}
	keys := c.keys
	if overTLS {
		keys = c.tls
	}
	a.key, a.signed, a.state = keys[0], overTLS || f.authenticators > 0, f.state
	if a.key, why = c.verify(a.octets, f, keys, overTLS); a.key == nil {
		return a, why, false
	}
	// RFC 2865 section 5.44 allows each of these once. A codec that takes the first and a proxy
	// that takes the last would disagree about who logs in.
	if f.names > 1 || f.passwords > 1 || f.states > 1 {
		return a, discardRepeatedAttribute, false
	}
	return a, 0, true
}

// verify applies the client's policy about Message-Authenticator, and checks the value. It returns
// the secret by which the packet is authentic, or nil and why it is not.
func (c *client) verify(octets []byte, f findings, keys []*key, overTLS bool) (*key, discard) {
	k := keys[0]
	switch {
	case f.authenticators > 1:
		return nil, discardRepeatedAuthenticator
	case f.authenticators == 1 && f.authenticatorLength != md5.Size:
		return nil, discardMalformedAuthenticator
	case octets[0] == codeAccountingRequest:
		return verifyAccounting(octets, f, keys)
	case f.authenticators == 1:
		if k = authentic(keys, octets, f.authenticatorAt); k == nil {
			return nil, discardBadAuthenticator
		}
		k.count()
		if octets[0] == codeAccessRequest && f.eap == 0 && !overTLS { // with EAP old gateways send it too
			c.posture.Count(true)
			c.metrics.signed.Inc()
		}
		return k, 0
	case octets[0] == codeStatusServer: // RFC 5997 section 3: whatever the client's policy is
		return nil, discardUnsignedStatus
	case f.eap > 0: // RFC 3579 section 3.1
		return nil, discardUnsignedEAP
	case overTLS: // draft-ietf-radext-deprecating-radius section 5.2: TLS does what it would do
		return k, 0
	}
	return c.letUnsigned(f, k)
}

// letUnsigned decides about an Access-Request over UDP without Message-Authenticator.
func (c *client) letUnsigned(f findings, k *key) (*key, discard) {
	c.posture.Count(false)
	c.metrics.unsigned.Inc()
	switch {
	case c.demandsSigned():
		return nil, discardUnsigned
	case f.proxyStates > 0 && !c.UnsignedProxyState:
		return nil, discardUnsignedProxyState
	}
	return k, 0
}

// authentic returns the one of keys with which the Message-Authenticator whose value is at
// octets[at:at+16] was made, or nil.
func authentic(keys []*key, octets []byte, at int) *key {
	for _, k := range keys {
		if k.authentic(octets, at, octets[4:headerLength]) {
			return k
		}
	}
	return nil
}

// authentic recomputes a Message-Authenticator over the packet with that value as zeros and the given
// authenticator (RFC 3579 section 3.2), and compares in constant time.
func (k *key) authentic(octets []byte, at int, authenticator []byte) bool {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.hash.Reset()
	m.hash.Write(octets[:4])
	m.hash.Write(authenticator)
	m.hash.Write(octets[headerLength:at])
	m.hash.Write(m.zero[:])
	m.hash.Write(octets[at+len(m.zero):])
	return hmac.Equal(m.hash.Sum(m.sum[:0]), octets[at:at+len(m.zero)])
}

// verifyAccounting checks the Request Authenticator of an Accounting-Request (RFC 2866 section 3),
// which every one has, and its Message-Authenticator, which is made before that while the field is
// zero, so that both cover the whole packet.
func verifyAccounting(octets []byte, f findings, keys []*key) (*key, discard) {
	var zero [md5.Size]byte
	for _, k := range keys {
		sum := md5.New()
		sum.Write(octets[:4])
		sum.Write(zero[:])
		sum.Write(octets[headerLength:])
		sum.Write(k.secret)
		var want [md5.Size]byte
		if !hmac.Equal(sum.Sum(want[:0]), octets[4:headerLength]) {
			continue
		}
		if f.authenticators == 1 && !k.authentic(octets, f.authenticatorAt, zero[:]) {
			return nil, discardBadAuthenticator
		}
		k.count()
		return k, 0
	}
	return nil, discardBadRequestAuthenticator
}
