package packet

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
)

// Bounds of what a login may carry.
const (
	MaxName     = 253 // octets of an attribute
	MaxPassword = 128 // RFC 2865 section 5.2
)

// ErrTooLong: a name, password or State does not fit into its attribute.
var ErrTooLong = errors.New("too long for its attribute")

// A Login is what an Access-Request says. Empty fields make no attribute, but for Password.
type Login struct {
	Name           []byte // User-Name
	Password       []byte // User-Password: a code, a password, or both
	State          []byte // of the challenge that this answers
	NAS            []byte // NAS-Identifier
	CallingStation []byte // Calling-Station-Id
}

// Request appends an Access-Request to b, with a Message-Authenticator as its first attribute.
func (c *Codec) Request(b []byte, identifier byte, authenticator *[16]byte, l *Login) ([]byte, error) {
	for _, value := range [...][]byte{l.Name, l.State, l.NAS, l.CallingStation} {
		if len(value) > MaxName {
			return b, ErrTooLong
		}
	}
	if len(l.Password) > MaxPassword {
		return b, ErrTooLong
	}
	start := len(b)
	b = append(b, AccessRequest, identifier, 0, 0)
	b = append(b, authenticator[:]...)
	b = append(b, messageAuthenticator, signedLength)
	b = append(b, c.zero[:]...)
	b = attribute(b, typeUserName, l.Name)
	b = c.hide(b, authenticator, l.Password)
	b = attribute(b, state, l.State)
	b = attribute(b, nasIdentifier, l.NAS)
	b = attribute(b, callingStationID, l.CallingStation)
	p := b[start:]
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	c.keyed.Reset()
	c.keyed.Write(p)
	c.keyed.Sum(p[HeaderLength+2 : HeaderLength+2])
	return b, nil
}

func attribute(b []byte, kind byte, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, kind, byte(2+len(value)))
	return append(b, value...)
}

// hide appends User-Password, padded with NUL and hidden as RFC 2865 section 5.2 says.
func (c *Codec) hide(b []byte, authenticator *[16]byte, password []byte) []byte {
	blocks := max(1, (len(password)+md5.Size-1)/md5.Size)
	b = append(b, typeUserPassword, byte(2+blocks*md5.Size))
	before := authenticator[:]
	for i := range blocks {
		c.plain.Reset()
		c.plain.Write(c.secret)
		c.plain.Write(before)
		pad := c.plain.Sum(c.sum[:0])
		at := len(b)
		for j, p := range pad {
			clear := byte(0)
			if k := i*md5.Size + j; k < len(password) {
				clear = password[k]
			}
			b = append(b, clear^p)
		}
		before = b[at:]
	}
	return b
}
