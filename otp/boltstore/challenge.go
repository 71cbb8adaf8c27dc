package boltstore

import (
	"slices"

	"otpgate/otp"
)

// challenge is what became of a challenge so far.
type challenge struct {
	id    [8]byte
	wrong int
	spent bool
	token otp.Token // the one that changed it last
	at    int64     // when
}

// challenge returns what is known of the claim's challenge; a new one when nothing is.
func (r *record) challenge(c *otp.Claim, now int64) challenge {
	for _, known := range r.challenges {
		if known.id == c.Challenge.ID && known.alive(now) {
			return known
		}
	}
	return challenge{id: c.Challenge.ID}
}

// alive lets what a clock that was ahead has changed live longer: its challenge never comes again.
func (c *challenge) alive(now int64) bool {
	return now-c.at <= otp.ChallengeLifetime.Milliseconds()
}

// over reports whether the challenge has no tries left, by its own count or by what the claim says.
func (c *challenge) over(tries int) bool {
	return c.spent || c.wrong > 0 && c.wrong >= tries
}

// keepChallenge remembers a challenge that has changed.
func (r *record) keepChallenge(c challenge, token otp.Token, now int64) {
	c.token, c.at = token, now
	r.challenges = slices.DeleteFunc(r.challenges, func(known challenge) bool { return known.id == c.id || !known.alive(now) })
	r.challenges = lastN(append(r.challenges, c), otp.MaxChallenges)
}

// wrongCode counts a wrong code against its place and its challenge, each by its own rule.
func (r *record) wrongCode(c *otp.Claim, now int64) (otp.Receipt, bool) {
	receipt, changed := r.failures(c.Place).count1(c, now)
	if !c.Challenge.Given() {
		return receipt, changed
	}
	ch := r.challenge(c, now)
	if ch.wrong == 0 || ch.token != c.Token {
		ch.wrong++
		ch.spent = ch.over(c.Challenge.Tries)
		r.keepChallenge(ch, c.Token, now)
		changed = true
	}
	receipt.TriesLeft = c.Challenge.Left(ch.wrong)
	return receipt, changed
}
