package otp

import (
	"context"
	"errors"
)

// Settle has the store decide what has been walked, all of it in one round trip: a step that
// matched is claimed, a proof that matched none is counted against its place. Results are in the
// order of walked. A stale result means that the caller has to walk that attempt again.
//
// An account without devices has nothing to guess: it is decided without the store.
func (v *Verifier) Settle(ctx context.Context, walked []Walked) []Result {
	results := make([]Result, len(walked))
	claims, asked := make([]Claim, 0, len(walked)), make([]int, 0, len(walked))
	for i, w := range walked {
		if w.Devices == 0 {
			results[i] = v.noDevice()
			continue
		}
		claims, asked = append(claims, v.claim(w, 0)), append(asked, i)
	}
	if len(claims) == 0 {
		return results
	}
	for n, r := range v.store.Claim(ctx, claims) {
		i := asked[n]
		results[i] = v.result(walked[i], 0, r)
	}
	return results
}

func (v *Verifier) noDevice() Result {
	r := Result{Reason: ReasonNoDevice}
	v.metrics.observe(r)
	return r
}

// claim is what the store is asked about the nth match of w, or about w having none.
func (v *Verifier) claim(w Walked, n int) Claim {
	c := Claim{
		Account: w.Account, Version: w.Version, Token: w.Token, Place: w.Place, Now: w.Now,
	}
	if n < len(w.Matches) {
		m := w.Matches[n]
		c.Kind, c.Device, c.Step, c.Drift = UseStep, m.Device, m.Step, m.Drift
		return c
	}
	sum := v.keys.MAC("miss", []byte(w.Account), w.Proof.Octets())
	c.Kind, c.Miss, c.Backoff, c.Forget = WrongCode, Miss(sum[:4]), v.backoff, forgetAfter
	return c
}

// result turns a receipt into the outcome. It holds the only statement that sets OK.
func (v *Verifier) result(w Walked, n int, r Receipt) (out Result) {
	defer func() { v.metrics.observe(out) }()
	if r.Err != nil {
		return Result{Reason: ReasonStoreUnavailable, Err: r.Err}
	}
	if n < len(w.Matches) {
		out.Match = w.Matches[n]
	}
	switch {
	case r.Answer == Stale:
		v.Forget(w.Account)
		return Result{Reason: ReasonStoreUnavailable, Stale: true}
	case r.Answer == Throttled:
		return Result{Reason: ReasonThrottled, Until: r.Until}
	case r.Answer == Claimed && len(w.Matches) > n:
		v.learned(w, out.Match)
		out.OK, out.Reason = true, ReasonOK
		return out
	case r.Answer == Used:
		out.Reason = ReasonCodeUsed
		return out
	case r.Answer == Counted:
		v.metrics.counted(r)
		return Result{Reason: ReasonCodeWrong, Until: r.Until}
	}
	return Result{Reason: ReasonStoreUnavailable, Err: errors.New("the store gave no answer that fits the claim")}
}

// learned forgets an account whose device's drift was changed by a claim: that raised the version.
func (v *Verifier) learned(w Walked, m Match) {
	k, ok := v.memory.cache.GetIfPresent(w.Account)
	if !ok {
		return
	}
	for _, d := range k.devices {
		if d.id == m.Device && d.drift != m.Drift {
			v.Forget(w.Account)
		}
	}
}

// WrongPassword counts a wrong password against the step that w matched, which is used up by the
// third. It never returns OK.
func (v *Verifier) WrongPassword(ctx context.Context, w Walked) Result {
	if len(w.Matches) == 0 {
		return v.Settle(ctx, []Walked{w})[0]
	}
	c := v.claim(w, 0)
	c.Kind = WrongPassword
	r := v.store.Claim(ctx, []Claim{c})[0]
	if r.Err == nil && r.Answer == Counted {
		out := Result{Reason: ReasonPasswordWrong, Match: w.Matches[0]}
		v.metrics.observe(out)
		return out
	}
	if r.Answer == Claimed { // not an answer to a wrong password
		r = Receipt{}
	}
	return v.result(w, 0, r)
}

// maxWalks is how often Verify walks: once, and again when what the node knew was stale.
const maxWalks = 3

// Verify walks and settles one attempt, and walks again when what the node knew was stale. When
// the first of several matches is used, it tries the next. The result is never stale.
func (v *Verifier) Verify(ctx context.Context, a Attempt) Result {
	for range maxWalks {
		w, err := v.Walk(ctx, a)
		if err != nil {
			return Result{Reason: ReasonStoreUnavailable, Err: err}
		}
		r := v.settleOne(ctx, w)
		if !r.Stale {
			return r
		}
	}
	return Result{Reason: ReasonStoreUnavailable, Err: errors.New("the account keeps changing")}
}

func (v *Verifier) settleOne(ctx context.Context, w Walked) (r Result) {
	if w.Devices == 0 {
		return v.noDevice()
	}
	for n := 0; n == 0 || n < len(w.Matches); n++ {
		r = v.result(w, n, v.store.Claim(ctx, []Claim{v.claim(w, n)})[0])
		if r.Reason != ReasonCodeUsed {
			return r
		}
	}
	return r
}
