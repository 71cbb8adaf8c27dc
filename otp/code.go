package otp

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
	"time"
)

// Limits of a device. RFC 4226 section 5.3 asks for six digits at least; a step below 15 seconds
// cannot be typed, one above ten minutes is a password.
const (
	MinDigits = 6
	MaxDigits = 8
	MinPeriod = 15 * time.Second
	MaxPeriod = 10 * time.Minute
)

var powers = [...]uint32{6: 1_000_000, 7: 10_000_000, 8: 100_000_000}

// newHash returns the hash of an algorithm; nil for one that RFC 6238 does not have.
func (a Algorithm) newHash() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

// seedLength is the length of a new seed: that of the hash's output (RFC 4226 section 4, R6).
func (a Algorithm) seedLength() int { return a.newHash()().Size() }

// check reports what is wrong with a device's parameters.
func check(a Algorithm, digits int, period time.Duration) error {
	switch {
	case a.newHash() == nil:
		return fmt.Errorf("algorithm %q: it must be SHA1, SHA256 or SHA512", a)
	case digits < MinDigits || digits > MaxDigits:
		return fmt.Errorf("%d digits: there must be %d to %d", digits, MinDigits, MaxDigits)
	case period < MinPeriod || period > MaxPeriod || period%time.Second != 0:
		return fmt.Errorf("period %v: it must be whole seconds, %v to %v", period, MinPeriod, MaxPeriod)
	}
	return nil
}

// keyed is what HMAC makes of a seed before it looks at the message, and all that a node keeps of it: the
// state of the hash after the first block of the inner sum, and that of the outer one. RFC 2104 section 4
// describes it, and has it guarded as the key is. A hash that is keyed by the library takes ten times as
// much memory, of which there is one for each device that the node knows.
type keyed string

// A state is what [encoding.BinaryAppender] makes of a hash: four octets that name it, what it has come
// to, the block that is not full yet, and how many octets it has seen. After one whole block, which is
// all that is kept here, only the second part differs from key to key.
const stateAt = 4

// newKeyed keys the HMAC of a device. The seed is not kept.
func newKeyed(a Algorithm, seed []byte) keyed {
	h := a.newHash()()
	size, block := h.Size(), make([]byte, h.BlockSize())
	if len(seed) > len(block) { // RFC 2104 section 2
		h.Write(seed)
		h.Sum(block[:0])
	} else {
		copy(block, seed)
	}
	both := make([]byte, 0, 2*size)
	for _, pad := range [...]byte{0x36, 0x36 ^ 0x5c} { // the second one takes the first one off again
		for i := range block {
			block[i] ^= pad
		}
		h.Reset()
		h.Write(block)
		state := stateOf(h)
		both = append(both, state[stateAt:stateAt+size]...)
		clear(state)
	}
	h.Reset()
	clear(block)
	k := keyed(both)
	clear(both)
	return k
}

// stateOf is the state of a hash of this package.
func stateOf(h hash.Hash) []byte {
	state, err := h.(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil {
		panic(err) // none of the standard library fails
	}
	return state
}

// generator computes codes by one algorithm, of any device that has it. It is for one goroutine at a
// time, and allocates nothing.
type generator struct {
	hash  hash.Hash
	from  encoding.BinaryUnmarshaler // the same hash
	state []byte                     // after one block; of which, is written in each time
	sum   [sha512.Size]byte
	text  [MaxDigits]byte
	step  [counterLength]byte
}

func newGenerator(a Algorithm) *generator {
	h := a.newHash()()
	h.Write(make([]byte, h.BlockSize()))
	return &generator{hash: h, from: h.(encoding.BinaryUnmarshaler), state: stateOf(h)}
}

// code returns the code of a step as ASCII digits (RFC 6238 section 4, RFC 4226 section 5.3). What it
// returns is good until the next call.
func (g *generator) code(key keyed, digits int, step int64) []byte {
	binary.BigEndian.PutUint64(g.step[:], uint64(step))
	sum := g.after(key[:len(key)/2], g.step[:])
	sum = g.after(key[len(key)/2:], sum)
	at := sum[len(sum)-1] & 0xf
	n := (binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff) % powers[digits]
	for i := digits - 1; i >= 0; i-- {
		g.text[i] = byte('0' + n%10)
		n /= 10
	}
	return g.text[:digits]
}

// after is the sum of a block that came to half a key, and of message.
func (g *generator) after(half keyed, message []byte) []byte {
	copy(g.state[stateAt:], half)
	if err := g.from.UnmarshalBinary(g.state); err != nil {
		panic(err) // it is its own
	}
	g.hash.Write(message)
	return g.hash.Sum(g.sum[:0])
}

// forget takes what is secret out of g.
func (g *generator) forget() {
	g.hash.Reset()
	clear(g.state[stateAt : stateAt+g.hash.Size()])
	clear(g.sum[:])
	clear(g.text[:])
}

// generators lends generators, so that there need not be one for each device.
type generators struct{ sha1, sha256, sha512 sync.Pool }

func newGenerators() *generators {
	g := new(generators)
	for _, a := range []Algorithm{SHA1, SHA256, SHA512} {
		g.of(a).New = func() any { return newGenerator(a) }
	}
	return g
}

// of is the pool of one algorithm, which is one of the three.
func (g *generators) of(a Algorithm) *sync.Pool {
	switch a {
	case SHA256:
		return &g.sha256
	case SHA512:
		return &g.sha512
	}
	return &g.sha1
}

// stepAt is the step of a moment (RFC 6238 section 4.2), rounded down before 1970 too.
func stepAt(t time.Time, period time.Duration) int64 {
	s, p := t.Unix(), int64(period/time.Second)
	if s < 0 {
		return (s - p + 1) / p
	}
	return s / p
}

// CodeAt returns the code that a device shows at a moment. It is for what plays the part of a
// phone: the demonstration, and tests.
func CodeAt(a Algorithm, seed []byte, digits int, period time.Duration, at time.Time) string {
	return string(newGenerator(a).code(newKeyed(a, seed), digits, stepAt(at, period)))
}

// First is what the first code of a new authenticator tells about it.
type First uint8

// What it may tell. The zero value is no answer.
const (
	NoFirst            First = iota
	FirstRight               // the code is one that the device shows about now
	FirstPeriodIgnored       // it is one that it would show with the period that most authenticators assume
	FirstDigitsWrong         // it has another number of digits than the device's
	FirstWrong
)

// assumedPeriod is what an authenticator takes that does not read the period in an otpauth URI.
const assumedPeriod = 30 * time.Second

// CheckFirst tells what to make of the first code that somebody types from an authenticator that was
// given n ([Devices.Draft]), before the device is added. It is compared with the codes of the step
// of now and window steps either side. Nothing is claimed: the code lets in once later.
func CheckFirst(n NewDevice, typed string, now time.Time, window int) First {
	proof := TypedCode(typed)
	shown := func(period time.Duration, window int) (matches bool) {
		g, key := newGenerator(n.Algorithm), newKeyed(n.Algorithm, n.Seed)
		here := stepAt(now, period)
		for offset := -window; offset <= window; offset++ {
			matches = proof.Match(g.code(key, n.Digits, here+int64(offset))) || matches
		}
		return matches
	}
	if check(n.Algorithm, n.Digits, n.Period) != nil || len(n.Seed) == 0 {
		return NoFirst
	}
	right := shown(n.Period, window)
	// As long a time with the other period, rounded up.
	assumed := n.Period != assumedPeriod && shown(assumedPeriod, int((time.Duration(window)*n.Period+assumedPeriod-1)/assumedPeriod))
	switch {
	case right:
		return FirstRight
	case assumed:
		return FirstPeriodIgnored
	case len(typed) != n.Digits:
		return FirstDigitsWrong
	}
	return FirstWrong
}
