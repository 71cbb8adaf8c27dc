package proof

import (
	"unicode"
	"unicode/utf8"
)

// Codes have so many digits.
const (
	minDigits = 6
	maxDigits = 8
)

// The shapes are for packets without Message-Authenticator. Anybody who can forge the address of a
// gateway can make those up, or its secret is wrong: User-Password then reveals to octets that
// nobody typed, which must not count against an account. One block of 16 such octets never looks like a
// code, like a password with a code once in 5*10^9 times, like a password once in a hundred.

// LooksLikeCode reports whether text is 6 to 8 ASCII digits.
func LooksLikeCode(text []byte) bool {
	return minDigits <= len(text) && len(text) <= maxDigits && digits(text)
}

// LooksLikePasswordAndCode reports whether text could be a password, maybe an empty one, and a code
// behind it: it looks like a password and ends in six ASCII digits.
func LooksLikePasswordAndCode(text []byte) bool {
	return len(text) >= minDigits && digits(text[len(text)-minDigits:]) && LooksLikePassword(text)
}

// LooksLikePassword reports whether text is something that a person could have typed: not empty, and
// without control characters, read as [Text] reads it.
func LooksLikePassword(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	if !utf8.Valid(text) {
		for _, c := range text {
			if unicode.IsControl(rune(c)) {
				return false
			}
		}
		return true
	}
	for _, r := range string(text) {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
