package boltstore

import (
	"fmt"
	"slices"

	"otpgate/otp"
)

// Bounds of a record that the contract leaves open. Both are far above what the windows of an
// account's devices can hold at once, and err to the side of refusing. maxClaims has room for a step that is
// shared as often as may be ([otp.MaxShareTimes]).
const (
	maxClaims     = 64 // tokens remembered per account
	maxWrongSteps = 32 // steps with wrong passwords remembered per device
)

// apply carries out one claim on r in the order of the rules of [otp.Answer], and reports
// whether r was changed.
func (r *record) apply(c *otp.Claim) (receipt otp.Receipt, changed bool) {
	if c.Kind < otp.UseStep || c.Kind > otp.RightFactor {
		return otp.Receipt{Err: fmt.Errorf("claim of kind %d: %w", c.Kind, otp.ErrUnavailable)}, false
	}
	if c.Span < 0 || c.Span > otp.MaxSpan {
		return otp.Receipt{Err: fmt.Errorf("claim with a span of %d steps: %w", c.Span, otp.ErrUnavailable)}, false
	}
	now := millis(c.Now)
	if asksForStep(c) && r.claimed(c, now) {
		return otp.Receipt{Answer: passed(c), Again: true}, false
	}
	if r.stale(c) {
		return otp.Receipt{Answer: otp.Stale}, false
	}
	f := r.failures(c.Place)
	if f.waiting(now) {
		return otp.Receipt{Answer: otp.Throttled, Failures: f.count, Until: fromMillis(f.until)}, false
	}
	switch c.Kind {
	case otp.WrongPassword:
		return r.wrongPassword(r.device(c.Device), c, now)
	case otp.RightFactor:
		return r.rightFactor(c)
	}
	if c.Challenge.Given() {
		if ch := r.challenge(c, now); ch.over(c.Challenge.Tries) {
			return otp.Receipt{Answer: otp.Spent}, false
		}
	}
	switch {
	case c.Kind == otp.WrongCode:
		return r.wrongCode(c, now)
	case !asksForStep(c): // a preview of the place
		return otp.Receipt{Answer: otp.Free}, false
	}
	return r.useStep(c, now)
}

// asksForStep reports whether a claim is about using a step: a preview that names no device is about
// its place alone.
func asksForStep(c *otp.Claim) bool {
	return c.Kind == otp.UseStep || c.Kind == otp.Preview && c.Device != ""
}

// passed is the answer to a claim that passes.
func passed(c *otp.Claim) otp.Answer {
	if c.Kind == otp.UseStep {
		return otp.Claimed
	}
	return otp.Free
}

// stale reports whether the claim was made with what the account is no more. That the device is not there
// although the version fits: only a caller that makes up devices gets there.
func (r *record) stale(c *otp.Claim) bool {
	if c.Kind == otp.RightFactor || c.Kind == otp.Preview && c.Device == "" {
		return c.Version != r.version && c.Version != otp.AnyVersion
	}
	return c.Version != r.version || c.Kind != otp.WrongCode && r.device(c.Device) == nil
}

// useStep uses the step, or says why not. A preview changes nothing.
func (r *record) useStep(c *otp.Claim, now int64) (otp.Receipt, bool) {
	left := 0
	if c.Challenge.Given() {
		left = c.Challenge.Left(r.challenge(c, now).wrong)
	}
	d, f := r.device(c.Device), r.failures(c.Place)
	if slices.Contains(f.misses, c.Miss) { // what was wrong here stays wrong here
		return otp.Receipt{Answer: otp.Counted, Failures: f.count, TriesLeft: left}, false
	}
	first, again := c.Earliest() > d.lastStep, -1
	if !first {
		again = r.shared(c, now)
	}
	if d.usedUp(c) || !first && again < 0 {
		return otp.Receipt{Answer: otp.Used, TriesLeft: left}, false
	}
	receipt := otp.Receipt{Answer: passed(c), Shared: !first}
	if c.Kind == otp.Preview {
		return receipt, false
	}
	if first {
		r.use(d, c, now)
	} else {
		r.shares[again].uses++
		d.lastUsed = now
	}
	r.keepToken(c, now)
	return receipt, true
}

// keepToken remembers that the token was answered Claimed, which ends its challenge.
func (r *record) keepToken(c *otp.Claim, now int64) {
	r.claims = slices.DeleteFunc(r.claims, func(c claim) bool { return !c.alive(now) })
	r.claims = lastN(append(r.claims, claim{token: c.Token, device: c.Device, at: now}), maxClaims)
	if c.Challenge.Given() {
		ch := r.challenge(c, now)
		ch.spent = true
		r.keepChallenge(ch, c.Token, now)
	}
}

// claimed reports whether the token was answered Claimed within the lifetime that the claim gives it.
func (r *record) claimed(c *otp.Claim, now int64) bool {
	span := c.TokenLifetime().Milliseconds()
	return slices.ContainsFunc(r.claims, func(known claim) bool { return known.token == c.Token && known.within(now, span) })
}

// alive reports whether the token may still be claimed again by anybody.
func (c *claim) alive(now int64) bool { return c.within(now, otp.ClaimLifetime.Milliseconds()) }

// within allows for clocks of nodes that differ, in either direction.
func (c *claim) within(now, span int64) bool {
	age := now - c.at
	return max(age, -age) <= span
}

// failures are those that apply to the place: its own when it is known, else those of all others.
func (r *record) failures(p otp.Place) *failures {
	for i := range r.places {
		if r.places[i].id == p {
			return &r.places[i].failures
		}
	}
	return &r.others
}

// rightFactor makes the place a known one without failures. A password does not end the count that keeps
// those who have it from guessing codes.
func (r *record) rightFactor(c *otp.Claim) (receipt otp.Receipt, changed bool) {
	receipt.Answer = otp.Welcomed
	if n := len(r.places); n > 0 && r.places[n-1].id == c.Place && r.places[n-1].count == 0 {
		return receipt, false
	}
	if wasKnown := r.welcome(c.Place); !wasKnown && len(r.devices) == 0 {
		r.others = failures{}
	}
	return receipt, true
}

// welcome makes the place a known one without failures, used now, and reports whether it was known.
func (r *record) welcome(p otp.Place) (wasKnown bool) {
	known := len(r.places)
	r.places = slices.DeleteFunc(r.places, func(known place) bool { return known.id == p })
	wasKnown = len(r.places) < known
	r.places = lastN(append(r.places, place{id: p}), otp.MaxPlaces)
	return wasKnown
}

// use marks the step as used, and makes the place a known one without failures.
func (r *record) use(d *device, c *otp.Claim, now int64) {
	d.lastStep, d.lastUsed = c.Step, now
	if d.drift != c.Drift {
		d.drift = c.Drift
		r.version++
	}
	d.wrong = slices.DeleteFunc(d.wrong, func(w wrongStep) bool { return w.step <= c.Step })

	if c.Share.Given() {
		r.keepShare(c, now)
	}
	if wasKnown := r.welcome(c.Place); !wasKnown {
		r.others = failures{} // they applied to this place until now
	}
}

// usedUp reports whether wrong passwords have used up the step, or one that its code belongs to as well.
func (d *device) usedUp(c *otp.Claim) bool {
	return c.Earliest() <= d.floor || slices.ContainsFunc(d.wrong, func(w wrongStep) bool {
		return w.step >= c.Earliest() && w.step <= c.Step && len(w.tokens) >= otp.MaxWrongPasswords
	})
}

// wrongPassword counts a wrong password against the step.
func (r *record) wrongPassword(d *device, c *otp.Claim, now int64) (otp.Receipt, bool) {
	if c.Earliest() <= d.lastStep && !r.lastClaimBy(d, c.Token, now) || d.usedUp(c) {
		return otp.Receipt{Answer: otp.Used}, false
	}
	i := slices.IndexFunc(d.wrong, func(w wrongStep) bool { return w.step == c.Step })
	if i >= 0 && slices.Contains(d.wrong[i].tokens, c.Token) {
		return otp.Receipt{Answer: otp.Counted, Failures: len(d.wrong[i].tokens)}, false
	}
	if i < 0 {
		d.wrong = append(d.wrong, wrongStep{step: c.Step})
		i = len(d.wrong) - 1
	}
	w := &d.wrong[i]
	w.tokens = append(w.tokens, c.Token)
	receipt := otp.Receipt{Answer: otp.Counted, Failures: len(w.tokens)}
	d.dropLowest()
	return receipt, true
}

// dropLowest keeps the list of wrong steps bounded: the lowest step goes, and with it every
// lower one, because what was forgotten must not be tried anew.
func (d *device) dropLowest() {
	if len(d.wrong) <= maxWrongSteps {
		return
	}
	lowest := slices.MinFunc(d.wrong, func(a, b wrongStep) int {
		if a.step < b.step {
			return -1
		}
		return 1
	}).step
	d.floor = max(d.floor, lowest)
	d.wrong = slices.DeleteFunc(d.wrong, func(w wrongStep) bool { return w.step <= lowest })
}

// lastClaimBy reports whether the device's last step was claimed by this token.
func (r *record) lastClaimBy(d *device, t otp.Token, now int64) bool {
	for _, c := range slices.Backward(r.claims) {
		if c.device == d.id {
			return c.token == t && c.alive(now)
		}
	}
	return false
}

// waiting reports whether the place has to wait. A wait that begins more than ClaimLifetime from now
// was made by a clock that was ahead, and is over: nobody waits a year because a node was a year ahead
// for a minute. Clocks that differ by less are those of nodes, and end no wait.
func (f *failures) waiting(now int64) bool {
	return now < f.until && f.last-now <= otp.ClaimLifetime.Milliseconds()
}

// count1 counts a wrong code, unless the place remembers it.
func (f *failures) count1(c *otp.Claim, now int64) (otp.Receipt, bool) {
	if c.Forget > 0 && f.count > 0 && now-f.last > c.Forget.Milliseconds() {
		*f = failures{}
	}
	if slices.Contains(f.misses, c.Miss) {
		return f.counted(now), false
	}
	f.count++
	f.last, f.until = now, 0
	if n := len(c.Backoff); n > 0 {
		if wait := c.Backoff[min(f.count, n)-1].Milliseconds(); wait > 0 {
			f.until = now + wait
		}
	}
	f.misses = lastN(append(f.misses, c.Miss), otp.MaxMisses)
	return f.counted(now), true
}

func (f *failures) counted(now int64) otp.Receipt {
	receipt := otp.Receipt{Answer: otp.Counted, Failures: f.count}
	if f.waiting(now) {
		receipt.Until = fromMillis(f.until)
	}
	return receipt
}

// lastN returns the last n elements.
func lastN[E any](s []E, n int) []E {
	if len(s) > n {
		return slices.Delete(s, 0, len(s)-n)
	}
	return s
}
