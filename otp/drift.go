package otp

// learnedDrift is the drift of a device after a claim. Drift is how many steps the device's clock
// was ahead of the node's at its last login (RFC 6238 section 6). The window is as wide as ever, and
// lies around the drift: with a window of one and a drift of two, the codes of the steps one, two
// and three from now are accepted.
//
// The rule: after a claim the drift is the matched offset, but never more than MaxDrift either way.
//
//   - A login moves the drift by the window at most, so a clock that goes wrong slowly is followed.
//   - A device that is off by more than MaxDrift and the window together is refused for good.
//     Following it further would let whoever holds an old code choose when to use it.
//   - A wrong code teaches nothing; only a claim does, by the store, with the step.
//   - Whoever types slowly teaches a drift of minus one, which does no harm: now is in the window
//     still, and the next login takes it back.
//
// A changed drift raises the account's version, as the window of every node depends on it: one more
// question to the store at the next login.
func learnedDrift(offset, maxDrift int) int {
	return min(max(offset, -maxDrift), maxDrift)
}
