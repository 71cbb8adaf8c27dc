package radius

import (
	"crypto/md5"
	"fmt"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"otpgate/otp"
)

// messageAuthenticatorAt is where the value of the Message-Authenticator of a reply stands: it is
// the first attribute of every reply.
const messageAuthenticatorAt = headerLength + 2

// codeFor is the code of the reply that tells a decision; false when there is no reply.
func codeFor(d otp.Decision) (layeh.Code, bool) {
	switch d {
	case otp.Accept:
		return layeh.CodeAccessAccept, true
	case otp.Reject:
		return layeh.CodeAccessReject, true
	}
	return 0, false
}

// seal builds the reply to request: Message-Authenticator first, so that nothing that somebody
// else has chosen stands before it (CVE-2024-3596); then Proxy-State, all of them, in their order
// (RFC 2865 section 5.33). It is never longer than a signed request, and what carries
// Proxy-State is signed. An unsigned request of an [Optional] client can be shorter, 20 octets at
// least, and is answered by 38: with IP and UDP 66 for 48, which nobody gains by who forges senders.
func (c *client) seal(request *layeh.Packet, code layeh.Code) ([]byte, error) {
	reply := request.Response(code)
	var zero [md5.Size]byte
	if err := rfc2869.MessageAuthenticator_Add(reply, zero[:]); err != nil {
		return nil, fmt.Errorf("radius: seal: %w", err)
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
	b, err := reply.MarshalBinary() // its Authenticator is still that of the request
	if err != nil {
		return nil, fmt.Errorf("radius: seal: %w", err)
	}
	m := c.macs.Get().(*mac)
	defer c.macs.Put(m)
	m.hash.Reset()
	m.hash.Write(b)
	m.hash.Sum(b[messageAuthenticatorAt:messageAuthenticatorAt]) // RFC 3579 section 3.2
	sum := md5.New()
	sum.Write(b)
	sum.Write(c.Secret)
	sum.Sum(b[4:4]) // Response Authenticator, RFC 2865 section 3
	return b, nil
}

// sealStatus builds the reply to the Status-Server packet octets (RFC 5997 section 3: at a port for
// logins it is an Access-Accept).
func (c *client) sealStatus(octets []byte) ([]byte, error) {
	p, err := layeh.Parse(octets, c.Secret)
	if err != nil {
		return nil, fmt.Errorf("radius: parse: %w", err)
	}
	return c.seal(p, layeh.CodeAccessAccept)
}
