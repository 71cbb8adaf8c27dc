package probe

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A Reply is a packet that Check has found nothing wrong with.
type Reply struct {
	Code       byte
	Attributes []Attribute
	Octets     []byte
}

// Is reports whether the reply has this code.
func (r Reply) Is(code byte) bool { return r.Code == code }

// Check says whether octets are a right reply to request: exactly as long as they say, with its
// Identifier, a right Response Authenticator, one right Message-Authenticator that is the first
// attribute (none in the answer to an Accounting-Request), and all of its Proxy-State attributes in
// their order.
func Check(request, octets []byte, secret string) (Reply, error) {
	var r Reply
	if len(octets) < headerLength || len(request) < headerLength {
		return r, fmt.Errorf("%d octets are no packet", len(octets))
	}
	if n := int(binary.BigEndian.Uint16(octets[2:])); n != len(octets) {
		return r, fmt.Errorf("length says %d, there are %d octets", n, len(octets))
	}
	if octets[1] != request[1] {
		return r, fmt.Errorf("identifier %d answers %d", octets[1], request[1])
	}
	sum := md5.Sum(slices.Concat(octets[:4], request[4:headerLength], octets[headerLength:], []byte(secret)))
	if !hmac.Equal(sum[:], octets[4:headerLength]) {
		return r, errors.New("the Response Authenticator is wrong")
	}
	attributes, err := parse(octets)
	if err != nil {
		return r, err
	}
	if err := checkSigned(request, octets, attributes, secret); err != nil {
		return r, err
	}
	asked, err := parse(request[:min(len(request), int(binary.BigEndian.Uint16(request[2:])))])
	if err != nil {
		return r, fmt.Errorf("a reply to a packet that is not well-formed: %w", err)
	}
	if want, got := values(asked, ProxyState), values(attributes, ProxyState); !slices.EqualFunc(want, got, bytes.Equal) {
		return r, fmt.Errorf("Proxy-State %x came back as %x", want, got)
	}
	return Reply{Code: octets[0], Attributes: attributes, Octets: octets}, nil
}

// checkSigned checks the Message-Authenticator of a reply, which was computed while the place of
// the Response Authenticator held the Request Authenticator.
func checkSigned(request, octets []byte, attributes []Attribute, secret string) error {
	switch {
	case request[0] == AccountingRequest: // see package radius: peers do not agree on how it is computed
		if len(values(attributes, MessageAuthenticator)) > 0 {
			return errors.New("an Accounting-Response with a Message-Authenticator")
		}
		return nil
	case len(attributes) == 0 || attributes[0].Type != MessageAuthenticator:
		return errors.New("Message-Authenticator is not the first attribute")
	case len(values(attributes, MessageAuthenticator)) != 1:
		return errors.New("Message-Authenticator is repeated")
	case len(attributes[0].Value) != md5.Size:
		return fmt.Errorf("Message-Authenticator has %d octets", len(attributes[0].Value))
	}
	b := bytes.Clone(octets)
	copy(b[4:], request[4:headerLength])
	clear(b[headerLength+2 : headerLength+2+md5.Size])
	if !hmac.Equal(keyed([]byte(secret), b), attributes[0].Value) {
		return errors.New("the Message-Authenticator is wrong")
	}
	return nil
}

func parse(octets []byte) ([]Attribute, error) {
	var as []Attribute
	for b := octets[headerLength:]; len(b) > 0; {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return nil, fmt.Errorf("attribute %d is not well-formed", len(as)+1)
		}
		as = append(as, Attribute{b[0], b[2:b[1]]})
		b = b[b[1]:]
	}
	return as, nil
}

func values(as []Attribute, kind byte) (vs [][]byte) {
	for _, a := range as {
		if a.Type == kind {
			vs = append(vs, a.Value)
		}
	}
	return vs
}
