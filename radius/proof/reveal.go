package proof

import (
	"bytes"
	"crypto/md5"
)

// maxPassword is how many octets a User-Password may have (RFC 2865 section 5.2).
const maxPassword = 128

// Reveal undoes the hiding of User-Password (RFC 2865 section 5.2). It is nil when there is
// nothing that a code could be checked against: a length that the RFC does not allow, an empty
// password, or a NUL that is not padding. layeh.UserPassword cuts at the first NUL instead, so
// that more than one password would be taken for the same.
func Reveal(hidden, secret []byte, authenticator [16]byte) []byte {
	const block = md5.Size
	if len(hidden) < block || len(hidden) > maxPassword || len(hidden)%block != 0 {
		return nil
	}
	// The hash input: the secret, then the block before, which for the first block is the Request
	// Authenticator.
	in := make([]byte, len(secret)+block)
	copy(in, secret)
	copy(in[len(secret):], authenticator[:])
	clear := make([]byte, len(hidden))
	for at := 0; at < len(hidden); at += block {
		pad := md5.Sum(in)
		for i := range block {
			clear[at+i] = hidden[at+i] ^ pad[i]
		}
		copy(in[len(secret):], hidden[at:at+block])
	}
	clear = bytes.TrimRight(clear, "\x00")
	if len(clear) == 0 || bytes.IndexByte(clear, 0) >= 0 {
		return nil
	}
	return clear
}
