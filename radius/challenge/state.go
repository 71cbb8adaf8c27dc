package challenge

import (
	"encoding/binary"
	"time"
)

// A Factor is what somebody has shown before the code was asked for.
type Factor uint8

// Password is the password of the directory. Zero is no factor.
const Password Factor = 1

// Limits of a State.
const (
	Lifetime = 2 * time.Minute // of one State, from when it was issued
	Longest  = 6 * time.Minute // of a challenge, from the first factor on
	MaxSize  = 128             // octets of a sealed State
	skew     = 30 * time.Second
)

// A State is a challenge that has been sent, or is about to be.
type State struct {
	// ID is the number of the challenge. It is random, never zero, and stays over all tries.
	ID [8]byte
	// Since is when the first factor was right, to the millisecond.
	Since time.Time
	// Factor is which it was.
	Factor Factor
	// Place is where it came from, as the server marks places: the code may come without saying.
	Place [8]byte

	issued  time.Time
	account [16]byte // digest
}

// Expires is when the State, once sealed, stops being good.
func (s State) Expires() time.Time {
	if end := s.issued.Add(Lifetime); end.Before(s.Since.Add(Longest)) {
		return end
	}
	return s.Since.Add(Longest)
}

const version = 1

// layout in octets
const (
	idAt      = 1
	sinceAt   = idAt + 8
	issuedAt  = sinceAt + 8
	factorAt  = issuedAt + 8
	placeAt   = factorAt + 1
	accountAt = placeAt + 8
	size      = accountAt + 16
)

// marshal is what is sealed.
func (s State) marshal() []byte {
	b := append(make([]byte, 0, size), version)
	b = append(b, s.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Since.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(s.issued.UnixMilli()))
	b = append(b, byte(s.Factor))
	b = append(b, s.Place[:]...)
	return append(b, s.account[:]...)
}

// unmarshal reads what marshal wrote; false for anything else that has our seal.
func unmarshal(b []byte) (State, bool) {
	if len(b) != size || b[0] != version {
		return State{}, false
	}
	s := State{
		ID:      [8]byte(b[idAt:]),
		Since:   time.UnixMilli(int64(binary.BigEndian.Uint64(b[sinceAt:]))),
		Factor:  Factor(b[factorAt]),
		Place:   [8]byte(b[placeAt:]),
		issued:  time.UnixMilli(int64(binary.BigEndian.Uint64(b[issuedAt:]))),
		account: [16]byte(b[accountAt:]),
	}
	return s, s.sound() && !s.issued.Before(s.Since)
}

// sound reports whether a State is one that [Sealer.Begin] could have made.
func (s State) sound() bool { return s.ID != [8]byte{} && s.Factor == Password && !s.Since.IsZero() }
