package otp

import "time"

// learnedDrift is the drift of a device after a claim. Drift is how many steps the device's clock
// was ahead of the node's at its last login (RFC 6238 section 6). The window is as wide as ever, and
// lies around the drift: with a window of one and a drift of two, the codes of the steps one, two
// and three from now are accepted. So is the code of now, which a right clock shows, wherever the
// window lies: one code more, for devices that are off by more than the window.
//
// The rule: after a claim the drift is the matched offset, but never more than MaxDrift either way.
//
//   - A login moves the drift by the window at most, or back to none, so a clock that goes wrong slowly
//     is followed.
//   - A clock that was put right gets in, whatever was learned: the phone's, or that of the node, which
//     had taught it to right phones. With what lies around the drift alone it would be refused for good,
//     and whoever tries again and again would come to wait for an hour. It is the code of now that
//     passes, and not all that passes where nothing was learned: a guess must not get cheaper than that.
//   - A device that is off by more than MaxDrift and the window together is refused for as long as it is.
//     Following it further would let whoever holds an old code choose when to use it.
//   - A wrong code teaches nothing; only a claim does, by the store, with the step.
//   - Whoever types slowly teaches a drift of minus one, or with the window minus two, which does no
//     harm: the code of now passes, and takes it back.
//
// A changed drift raises the account's version, as the window of every node depends on it: one more
// question to the store at the next login.
func learnedDrift(offset, maxDrift int) int {
	return min(max(offset, -maxDrift), maxDrift)
}

// Ahead returns when the last step of d that was used will be past, if no code is good for it yet at a node whose clock
// is right, whatever was learned of the device's: a clock was ahead when it was used, or this node's is behind.
// What a right device shows until then is refused, because the step is not above that one. Zero: it is no such step.
func (v *Verifier) Ahead(d *Device) time.Time {
	if check(d.Algorithm, d.Digits, d.Period) != nil || d.LastStep <= stepAt(v.now(), d.Period)+int64(v.drift+v.window) {
		return time.Time{}
	}
	return time.Unix((d.LastStep+1)*int64(d.Period/time.Second), 0)
}
