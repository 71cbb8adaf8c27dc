package boltstore

import (
	"slices"

	"otpgate/otp"
)

// share is a claimed step that may be used again from its place.
type share struct {
	place  otp.Place
	device string
	step   int64
	at     int64 // when it was used first
	uses   int
}

// within allows for clocks of nodes that differ, in either direction.
func (s *share) within(now, span int64) bool {
	age := now - s.at
	return max(age, -age) <= span
}

// shared returns the index of the share that lets the claim pass although its step was used, or -1.
func (r *record) shared(c *otp.Claim, now int64) int {
	if !c.Share.Given() {
		return -1
	}
	span := min(c.Share.Within, otp.ShareLifetime).Milliseconds()
	return slices.IndexFunc(r.shares, func(s share) bool {
		return s.place == c.Place && s.device == c.Device && s.step == c.Step && s.uses < c.Share.Times && s.within(now, span)
	})
}

// keepShare remembers that a step was used which may be shared.
func (r *record) keepShare(c *otp.Claim, now int64) {
	life := otp.ShareLifetime.Milliseconds()
	r.shares = slices.DeleteFunc(r.shares, func(s share) bool { return !s.within(now, life) })
	r.shares = lastN(append(r.shares, share{place: c.Place, device: c.Device, step: c.Step, at: now, uses: 1}), otp.MaxShares)
}
