package otp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
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

// generator computes the codes of one device. It is for one goroutine at a time.
type generator struct {
	mac    hash.Hash
	digits int
	sum    [sha512.Size]byte
	text   [MaxDigits]byte
	step   [8]byte
}

func newGenerator(a Algorithm, seed []byte, digits int) *generator {
	return &generator{mac: hmac.New(a.newHash(), seed), digits: digits}
}

// code returns the code of a step as ASCII digits (RFC 6238 section 4, RFC 4226 section 5.3).
// What it returns is good until the next call.
func (g *generator) code(step int64) []byte {
	binary.BigEndian.PutUint64(g.step[:], uint64(step))
	g.mac.Reset()
	g.mac.Write(g.step[:])
	sum := g.mac.Sum(g.sum[:0])
	at := sum[len(sum)-1] & 0xf
	n := (binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff) % powers[g.digits]
	for i := g.digits - 1; i >= 0; i-- {
		g.text[i] = byte('0' + n%10)
		n /= 10
	}
	return g.text[:g.digits]
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
	return string(newGenerator(a, seed, digits).code(stepAt(at, period)))
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
		g := newGenerator(n.Algorithm, n.Seed, n.Digits)
		here := stepAt(now, period)
		for offset := -window; offset <= window; offset++ {
			matches = proof.Match(g.code(here+int64(offset))) || matches
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
