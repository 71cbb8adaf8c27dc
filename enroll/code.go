package enroll

import (
	"crypto/rand"
	"strings"

	"otpgate/otp"
)

// alphabet is Crockford's base32: no I, L, O, U. A random octet modulo 32 is one of its
// characters, each as likely as the others.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// What is typed by people, in characters: 40 bits against 50 tries (5 of one source), and 50 bits against 10.
const (
	codeLength       = 8
	invitationLength = 10
)

// What digests are for; no digest is good for anything else.
const (
	codePurpose       = "enrollment code"
	invitationPurpose = "invitation"
)

// randomCode returns so many random characters.
func randomCode(length int) string {
	b := make([]byte, length)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

// display writes a code in two halves, as it is easiest to read and type.
func display(code string) string {
	half := len(code) / 2
	return code[:half] + "-" + code[half:]
}

// normalise reads a code as people type it: in either case, with hyphens and spaces, O for 0, I
// and L for 1. It reports false for what cannot be a code of this length.
func normalise(typed string, length int) (string, bool) {
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch r {
		case '-', ' ', '\t', '\u00a0', '\u2010', '\u2011', '\u2013', '\u2014':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if r > 'Z' || !strings.ContainsRune(alphabet, r) || b.Len() == length {
			return "", false
		}
		b.WriteRune(r)
	}
	return b.String(), b.Len() == length
}

// digest is what is stored instead of a code. It is bound to the account, so that a code is of no
// use for another.
func (s *Server) digest(purpose, account, code string) otp.Digest {
	return s.o.Keys.MAC(purpose, []byte(account), []byte(code))
}
