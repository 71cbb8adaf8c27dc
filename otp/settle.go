package otp

import (
	"context"
	"errors"
)

// errNoAnswer is a store that breaks its contract.
var errNoAnswer = errors.New("the store gave no answer that fits the claim")

// errKeepsChanging ends an attempt that was walked too often.
var errKeepsChanging = errors.New("the account keeps changing")

// Settle has the store decide what has been walked, all of it in one round trip: a step that
// matched is claimed, a proof that matched none is counted against its place. Results are in the
// order of walked. A stale result means that the caller has to walk that attempt again.
//
// Where a proof matched several steps, which is a coincidence of digits, one of them is claimed, and none of them may
// have been used: see "What is typed twice" in the package's comment. For steps of several devices that takes a second
// round trip. An account without devices has nothing to guess: it is decided without the store.
func (v *Verifier) Settle(ctx context.Context, walked []Walked) []Result {
	results := make([]Result, len(walked))
	r := v.roundOf()
	for i := range walked {
		if walked[i].Devices == 0 {
			results[i] = Result{Reason: ReasonNoDevice}
			continue
		}
		if err := v.usedFirst(ctx, &walked[i]); err != nil {
			results[i] = Result{Reason: ReasonStoreUnavailable, Err: unavailable(err)}
			continue
		}
		r.asked, r.claims = append(r.asked, i), append(r.claims, v.claim(&walked[i]))
	}
	for at, receipt := range v.ask(ctx, r.claims) {
		i := r.asked[at]
		results[i] = v.result(&walked[i], receipt)
	}
	v.over(r)
	for i := range results {
		v.metrics.observe(&results[i])
	}
	return results
}

// round is room for the claims of one call, which no store keeps ([Store.Claim]).
type round struct {
	asked  []int
	claims []Claim
}

// roundOf lends one, empty.
func (v *Verifier) roundOf() *round {
	r, _ := v.rounds.Get().(*round)
	if r == nil {
		r = new(round)
	}
	return r
}

// over takes it back.
func (v *Verifier) over(r *round) {
	clear(r.claims)
	r.asked, r.claims = r.asked[:0], r.claims[:0]
	v.rounds.Put(r)
}

// ask returns as many receipts as there are claims, whatever the store does.
func (v *Verifier) ask(ctx context.Context, claims []Claim) []Receipt {
	if len(claims) == 0 {
		return nil
	}
	receipts := v.store.Claim(ctx, claims)
	if len(receipts) == len(claims) {
		return receipts
	}
	receipts = make([]Receipt, len(claims))
	for i := range receipts {
		receipts[i].Err = unavailable(errNoAnswer)
	}
	return receipts
}

// claim is what the store is asked about the match of w, or about w having none.
func (v *Verifier) claim(w *Walked) Claim {
	c := Claim{
		Account: w.Account, Version: w.Version, Token: w.Token, Place: w.Place, Now: w.Now,
		Miss: v.missed(w.Account, w.Proof.Octets()), Challenge: w.Challenge,
	}
	if len(w.Matches) > 0 {
		m := w.Matches[0]
		c.Kind, c.Device, c.Step, c.Span, c.Drift = UseStep, m.Device, m.Step, m.Span, m.Drift
		c.Lifetime, c.Share = w.Lifetime, w.Share
		return c
	}
	c.Kind, c.Backoff, c.Forget = WrongCode, v.backoff, forgetAfter
	return c
}

// usedFirst has the match decide that was used before, of several devices with one code, also when it may be shared.
func (v *Verifier) usedFirst(ctx context.Context, w *Walked) error {
	if len(w.Matches) < 2 {
		return nil
	}
	claims := make([]Claim, len(w.Matches))
	for i := range w.Matches {
		one := *w
		one.Matches = w.Matches[i : i+1]
		claims[i] = v.claim(&one)
		claims[i].Kind = Preview
	}
	for i, r := range v.ask(ctx, claims) {
		if r.Err != nil {
			return r.Err
		}
		if r.Answer == Used || r.Shared {
			w.Matches[0], w.Matches[i] = w.Matches[i], w.Matches[0]
			return nil
		}
	}
	return nil
}

// result turns the receipt of a claim into the outcome. It holds the only statement that sets OK.
func (v *Verifier) result(w *Walked, r Receipt) Result {
	if r.Err != nil {
		return Result{Reason: ReasonStoreUnavailable, Err: unavailable(r.Err)}
	}
	matched := len(w.Matches) > 0
	switch {
	case r.Answer == Stale:
		v.Forget(w.Account)
		return Result{Reason: ReasonStoreUnavailable, Stale: true}
	case r.Answer == Throttled:
		return Result{Reason: ReasonThrottled, Until: r.Until}
	case r.Answer == Spent:
		return Result{Reason: ReasonChallengeSpent}
	case r.Answer == Claimed && matched:
		if !r.Shared { // else its drift was not kept
			v.learned(w)
		}
		return Result{OK: true, Reason: ReasonOK, Match: w.Matches[0], Again: r.Again, Shared: r.Shared}
	case r.Answer == Used && matched:
		return Result{Reason: ReasonCodeUsed, Match: w.Matches[0], TriesLeft: r.TriesLeft}
	case r.Answer == Counted && matched: // it was wrong here before
		return Result{Reason: ReasonCodeWrong, Until: r.Until, TriesLeft: r.TriesLeft}
	case r.Answer == Counted:
		v.metrics.counted(r)
		return Result{Reason: ReasonCodeWrong, Until: r.Until, TriesLeft: r.TriesLeft}
	}
	return Result{Reason: ReasonStoreUnavailable, Err: unavailable(errNoAnswer)}
}

// learned forgets an account whose device's drift was changed by a claim: that raised the version.
func (v *Verifier) learned(w *Walked) {
	if m := &w.Matches[0]; m.Drift != m.known {
		v.Forget(w.Account)
	}
}

// WrongPassword counts a wrong password against the step that w matched, which is used up by the
// third. It never returns OK. Without a match it is a wrong code, and settled as that.
func (v *Verifier) WrongPassword(ctx context.Context, w Walked) Result {
	if len(w.Matches) == 0 {
		return v.Settle(ctx, []Walked{w})[0]
	}
	if err := v.usedFirst(ctx, &w); err != nil {
		r := Result{Reason: ReasonStoreUnavailable, Err: unavailable(err)}
		v.metrics.observe(&r)
		return r
	}
	c := v.claim(&w)
	c.Kind, c.Challenge, c.Lifetime, c.Share = WrongPassword, Challenged{}, 0, Share{}
	receipt := v.ask(ctx, []Claim{c})[0]
	var r Result
	switch {
	case receipt.Err == nil && receipt.Answer == Counted:
		r = Result{Reason: ReasonPasswordWrong, Match: w.Matches[0]}
	case receipt.Err == nil && receipt.Answer == Claimed: // no answer to a wrong password
		r = Result{Reason: ReasonStoreUnavailable, Err: unavailable(errNoAnswer)}
	default:
		r = v.result(&w, receipt)
	}
	v.metrics.observe(&r)
	return r
}

// maxWalks is how often Verify walks: once, and again when what the node knew was stale.
const maxWalks = 3

// Verify walks and settles one attempt, and walks again when what the node knew was stale. The
// result is never stale.
func (v *Verifier) Verify(ctx context.Context, a Attempt) Result {
	for range maxWalks {
		w, err := v.Walk(ctx, a)
		if err != nil {
			return Result{Reason: ReasonStoreUnavailable, Err: err}
		}
		if r := v.Settle(ctx, []Walked{w})[0]; !r.Stale {
			return r
		}
	}
	r := Result{Reason: ReasonStoreUnavailable, Err: unavailable(errKeepsChanging)}
	v.metrics.observe(&r)
	return r
}
