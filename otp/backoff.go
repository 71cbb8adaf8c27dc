package otp

import "time"

// Back-off after wrong codes (RFC 4226 section 7.3).
//
// With three steps in the window and six digits, a guess is right with 3 in 1,000,000 (4 where the clock
// of the device was learned to be off by more than the window: the code of now passes as well). A flat ten
// tries per ten minutes would let somebody try 525,600 times a year: more hits than misses. One
// try an hour, which is where this schedule ends, leaves 8,760 tries: 2.6 % a year for an account
// that is attacked all year from somewhere it never logged in from, 0.026 % with eight digits.
//
// The same wrong code counts once, so that a phone or a gateway that sends a stale one again and
// again locks nobody out. So that it is no free guess either, each time the window moves on, a code
// that the place remembers as wrong stays wrong there until another one is accepted.
const (
	freeMisses  = 4
	firstWait   = 15 * time.Second
	longestWait = time.Hour
	forgetAfter = 24 * time.Hour // without a wrong code
)

// DefaultBackoff returns how long a place waits after its first, second, … wrong code: not at all
// for the first four, which people mistype, then 15 seconds, doubling to an hour.
func DefaultBackoff() []time.Duration {
	waits := make([]time.Duration, freeMisses, freeMisses+10)
	for wait := firstWait; wait < longestWait; wait *= 2 {
		waits = append(waits, wait)
	}
	return append(waits, longestWait)
}
