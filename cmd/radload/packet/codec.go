package packet

import (
	"crypto/hmac"
	"crypto/md5"
	"hash"
)

// Codes of packets (RFC 2865 section 4).
const (
	AccessRequest   byte = 1
	AccessAccept    byte = 2
	AccessReject    byte = 3
	AccessChallenge byte = 11
)

// Types of attributes (RFC 2865 section 5, RFC 2869 section 5).
const (
	typeUserName         byte = 1
	typeUserPassword     byte = 2
	state                byte = 24
	callingStationID     byte = 31
	nasIdentifier        byte = 32
	messageAuthenticator byte = 80
)

// HeaderLength is how many octets stand before the attributes.
const HeaderLength = 20

// MaxLength is how many octets a packet has at most (RFC 2865 section 3).
const MaxLength = 4096

const signedLength = 2 + md5.Size // of a Message-Authenticator

// A Codec makes and checks packets of one shared secret. It is for one goroutine at a time.
type Codec struct {
	secret []byte
	plain  hash.Hash // MD5
	keyed  hash.Hash // HMAC-MD5 with the secret
	sum    [md5.Size]byte
	zero   [md5.Size]byte // what stands for a Message-Authenticator while it is computed
}

// NewCodec returns a codec for a shared secret.
func NewCodec(secret []byte) *Codec {
	return &Codec{secret: append([]byte(nil), secret...), plain: md5.New(), keyed: hmac.New(md5.New, secret)}
}

// GoString keeps the secret out of what %#v prints.
func (c *Codec) GoString() string { return "packet.Codec(redacted)" }

// String keeps the secret out of what %v prints.
func (c *Codec) String() string { return c.GoString() }
