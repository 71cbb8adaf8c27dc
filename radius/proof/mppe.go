package proof

import (
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
)

var (
	// ErrNoMatch: there are no keys, because no code has matched.
	ErrNoMatch = errors.New("proof: no code has matched")
	// ErrNotHidden: a key cannot be hidden as it was asked for.
	ErrNotHidden = errors.New("proof: key cannot be hidden")
)

// MPPE is what the attributes of RFC 2548 section 2.4 hold that a gateway needs of a login by
// MS-CHAPv2, all of vendor 311.
type MPPE struct {
	redacted
	SendKey []byte // MS-MPPE-Send-Key, 16: salt and hidden key
	RecvKey []byte // MS-MPPE-Recv-Key, 17: salt and hidden key
	Policy  []byte // MS-MPPE-Encryption-Policy, 7: 1, allowed and not required
	Types   []byte // MS-MPPE-Encryption-Types, 8: 4, RC4 with 128 bits and no less
}

// MPPE returns the attributes of the keys, hidden with the client's secret and the Request
// Authenticator; the two salts are random and differ. It returns [ErrNoMatch] when no code has
// matched and [ErrNotHidden] when there is no secret.
func (p *MSCHAPv2) MPPE(secret []byte, authenticator [16]byte) (MPPE, error) {
	send, recv, ok := p.Keys()
	if !ok {
		return MPPE{}, ErrNoMatch
	}
	var salt [2]byte
	_, _ = rand.Read(salt[:]) // never fails, or ends the process
	salt[0] |= saltBit
	m := MPPE{Policy: []byte{0, 0, 0, 1}, Types: []byte{0, 0, 0, 4}}
	var err error
	if m.SendKey, err = HideKey(send[:], secret, authenticator, salt); err != nil {
		return MPPE{}, err
	}
	salt[1] ^= 1
	if m.RecvKey, err = HideKey(recv[:], secret, authenticator, salt); err != nil {
		return MPPE{}, err
	}
	return m, nil
}

const (
	saltBit = 0x80
	// maxKey is what fits: an attribute holds 253 octets, of which vendor, type, length and salt
	// leave 245, which is 15 whole blocks. The first octet of them is the length.
	maxKey = 15*md5.Size - 1
)

// HideKey makes the value of MS-MPPE-Send-Key or MS-MPPE-Recv-Key (RFC 2548 section 2.4.2): the salt,
// and the key with its length before it, zeros behind it, hidden by secret, Request Authenticator and
// salt. The most significant bit of the salt must be set, and no two keys in a packet may have the
// same: they would be hidden by the same octets. A key has 1 to 239 octets. For anything else, and
// for an empty secret, it returns [ErrNotHidden].
func HideKey(key, secret []byte, authenticator [16]byte, salt [2]byte) ([]byte, error) {
	const block = md5.Size
	switch {
	case len(key) == 0 || len(key) > maxKey:
		return nil, fmt.Errorf("%w: it has %d octets, not 1 to %d", ErrNotHidden, len(key), maxKey)
	case len(secret) == 0:
		return nil, fmt.Errorf("%w: there is no secret", ErrNotHidden)
	case salt[0]&saltBit == 0:
		return nil, fmt.Errorf("%w: the first bit of the salt is not set", ErrNotHidden)
	}
	blocks := (1 + len(key) + block - 1) / block
	out := make([]byte, len(salt)+blocks*block)
	copy(out, salt[:])
	text := out[len(salt):]
	text[0] = byte(len(key))
	copy(text[1:], key)
	in := make([]byte, 0, len(secret)+block+len(salt))
	in = append(in, secret...)
	in = append(in, authenticator[:]...)
	in = append(in, salt[:]...)
	for at := 0; at < len(text); at += block {
		pad := md5.Sum(in)
		for i := range block {
			text[at+i] ^= pad[i]
		}
		in = append(in[:len(secret)], text[at:at+block]...)
	}
	return out, nil
}
