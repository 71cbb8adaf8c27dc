package probe

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"slices"
)

// Codes of packets (RFC 2865 section 4, RFC 5997 section 3).
const (
	AccessRequest     = 1
	AccessAccept      = 2
	AccessReject      = 3
	AccountingRequest = 4
	StatusServer      = 12
)

// Types of attributes (RFC 2865 section 5, RFC 2869 section 5).
const (
	UserName             = 1
	UserPassword         = 2
	CHAPPassword         = 3
	NASIPAddress         = 4
	State                = 24
	VendorSpecific       = 26
	CallingStationID     = 31
	NASIdentifier        = 32
	ProxyState           = 33
	EAPMessage           = 79
	MessageAuthenticator = 80
)

const headerLength = 20

// An Attribute is one type and value, right or wrong.
type Attribute struct {
	Type  byte
	Value []byte
}

// A Request is a packet that is being built. Its attributes go out in their order.
type Request struct {
	Code          byte
	Identifier    byte
	Authenticator [16]byte
	Attributes    []Attribute
	Secret        []byte
}

// NewRequest returns a packet without attributes, with a random Identifier and authenticator.
func NewRequest(code byte, secret string) *Request {
	var random [17]byte
	rand.Read(random[:]) // never fails
	return &Request{Code: code, Identifier: random[0], Authenticator: [16]byte(random[1:]), Secret: []byte(secret)}
}

// Login returns an Access-Request as a good gateway sends it: Message-Authenticator, User-Name,
// User-Password.
func Login(secret, name, password string) *Request {
	return NewRequest(AccessRequest, secret).Signed().Add(UserName, name).Password(password)
}

// Add appends an attribute. More than 253 octets make a packet that is not well-formed.
func (r *Request) Add(kind byte, value string) *Request {
	r.Attributes = append(r.Attributes, Attribute{kind, []byte(value)})
	return r
}

// Signed appends a Message-Authenticator, which Octets computes.
func (r *Request) Signed() *Request {
	return r.Add(MessageAuthenticator, string(make([]byte, md5.Size)))
}

// Without removes all attributes of a type.
func (r *Request) Without(kind byte) *Request {
	r.Attributes = slices.DeleteFunc(r.Attributes, func(a Attribute) bool { return a.Type == kind })
	return r
}

// Password appends User-Password, padded with NUL and hidden as RFC 2865 section 5.2 says. It
// takes any length: a password of 129 octets makes an attribute that is too long.
func (r *Request) Password(password string) *Request {
	clear := []byte(password)
	if rest := len(clear) % md5.Size; rest > 0 || len(clear) == 0 {
		clear = append(clear, make([]byte, md5.Size-rest)...)
	}
	hidden := make([]byte, 0, len(clear))
	before := r.Authenticator[:]
	for at := 0; at < len(clear); at += md5.Size {
		pad := md5.Sum(slices.Concat(r.Secret, before))
		for i := range pad {
			hidden = append(hidden, clear[at+i]^pad[i])
		}
		before = hidden[at:]
	}
	return r.Add(UserPassword, string(hidden))
}

// Octets is the packet as it goes onto the wire. Every Message-Authenticator of 16 zeros gets its
// value (RFC 3579 section 3.2), all of them computed while all of them are zero.
func (r *Request) Octets() []byte {
	b := append([]byte{r.Code, r.Identifier, 0, 0}, r.Authenticator[:]...)
	var unsigned []int
	for _, a := range r.Attributes {
		if a.Type == MessageAuthenticator && bytes.Equal(a.Value, make([]byte, md5.Size)) {
			unsigned = append(unsigned, len(b)+2)
		}
		b = append(b, a.Type, byte(2+len(a.Value)))
		b = append(b, a.Value...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	sum := keyed(r.Secret, b)
	for _, at := range unsigned {
		copy(b[at:], sum)
	}
	return b
}

// Flip returns the octets with one bit changed; bit 0 is the highest of the first octet.
func Flip(octets []byte, bit int) []byte {
	b := bytes.Clone(octets)
	b[bit/8] ^= 0x80 >> (bit % 8)
	return b
}

func keyed(secret, octets []byte) []byte {
	m := hmac.New(md5.New, secret)
	m.Write(octets)
	return m.Sum(nil)
}
