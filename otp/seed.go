package otp

import (
	"encoding/base32"
	"errors"
	"strings"
)

// Lengths of a seed, in octets.
const (
	// MinSeed: RFC 4226 section 4 (R6) demands 16 octets and recommends 20. Ten are accepted,
	// because that is what many tokens and authenticators in the field were given, and what a
	// site that moves here brings along: 80 bits are out of reach of anybody who sees a few
	// codes. New seeds are as long as the hash's output.
	MinSeed = 10
	// MaxSeed is the block of SHA-512: HMAC hashes a longer key before use (RFC 2104 section 2),
	// so that more adds nothing.
	MaxSeed = 128
)

var (
	// ErrSeedShort: the seed has fewer than [MinSeed] octets.
	ErrSeedShort = errors.New("the seed is shorter than 80 bits, 16 characters of base32")
	// ErrSeedLong: the seed has more than [MaxSeed] octets.
	ErrSeedLong = errors.New("the seed is longer than 1,024 bits, 205 characters of base32")
	// ErrSeedInvalid: it is not base32.
	ErrSeedInvalid = errors.New("the seed is not base32: letters A to Z and digits 2 to 7")
)

var seedEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// maxSeedText is how much text can be a seed: what is longer is not looked at.
const maxSeedText = 1024

// ParseSeed reads a seed as people and spreadsheets write it: base32 (RFC 4648 section 6) in either
// case, with blanks or hyphens anywhere, with or without padding. Bits that do not fill an octet
// are dropped, as authenticators do. Errors: [ErrSeedInvalid], [ErrSeedShort], [ErrSeedLong]; none
// holds anything of the seed.
func ParseSeed(text string) ([]byte, error) {
	if len(text) > maxSeedText {
		return nil, ErrSeedLong
	}
	digits := make([]byte, 0, len(text))
	for _, c := range []byte(strings.TrimRight(text, "= \t")) {
		switch {
		case c == ' ' || c == '-' || c == '\t':
			continue
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case 'A' <= c && c <= 'Z' || '2' <= c && c <= '7':
		default:
			return nil, ErrSeedInvalid // line feeds too, which the decoder would pass over
		}
		digits = append(digits, c)
	}
	seed, err := seedEncoding.AppendDecode(nil, digits)
	if err != nil {
		return nil, ErrSeedInvalid
	}
	return seed, checkSeed(seed)
}

func checkSeed(seed []byte) error {
	switch {
	case len(seed) < MinSeed:
		return ErrSeedShort
	case len(seed) > MaxSeed:
		return ErrSeedLong
	}
	return nil
}
