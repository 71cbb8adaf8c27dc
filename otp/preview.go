package otp

import "context"

// Look is Walk for whoever asks and does not log in: no metric of logins moves.
func (v *Verifier) Look(ctx context.Context, a Attempt) (Walked, error) {
	k, err := v.known(ctx, a.Account)
	if err != nil {
		return Walked{}, err
	}
	return v.walk(a, k), nil
}

// Preview tells what Settle would make of w, and changes nothing: it counts nothing, claims nothing,
// and no metric of logins moves. OK is never set. What would pass has [ReasonOK] without OK. A stale
// result means that the caller has to walk again, as with Settle.
func (v *Verifier) Preview(ctx context.Context, w Walked) Result {
	if w.Devices == 0 {
		return Result{Reason: ReasonNoDevice}
	}
	if err := v.usedFirst(ctx, &w); err != nil {
		return Result{Reason: ReasonStoreUnavailable, Err: unavailable(err)}
	}
	matched := len(w.Matches) > 0
	c := v.claim(&w)
	c.Kind, c.Backoff, c.Forget = Preview, nil, 0
	receipt := v.ask(ctx, []Claim{c})[0]
	if receipt.Err != nil || receipt.Answer != Free {
		return v.seen(&w, receipt)
	}
	if !matched {
		return Result{Reason: ReasonCodeWrong}
	}
	return Result{Reason: ReasonOK, Match: w.Matches[0], Again: receipt.Again, Shared: receipt.Shared}
}

// seen is the result of a preview that is not Free. Claimed is no answer to a preview, and must not
// come as far as where OK is set.
func (v *Verifier) seen(w *Walked, r Receipt) Result {
	if r.Answer == Claimed {
		r.Err = unavailable(errNoAnswer)
	}
	return v.result(w, r)
}

// CheckPlace asks whether a place has to wait ([ReasonThrottled], with Until) before anything else is
// asked about the account, such as a password of the directory. It changes nothing, and no metric of
// logins moves. OK is never set: a place that may go on has [ReasonOK] without OK.
func (v *Verifier) CheckPlace(ctx context.Context, account string, place Place) Result {
	return v.atPlace(ctx, Claim{Kind: Preview, Account: account, Place: place}, Free)
}

// atPlace claims what is about a place alone: right is the answer with which it may go on.
func (v *Verifier) atPlace(ctx context.Context, c Claim, right Answer) Result {
	c.Version, c.Now = AnyVersion, v.now()
	receipt := v.ask(ctx, []Claim{c})[0]
	switch {
	case receipt.Err == nil && receipt.Answer == right:
		return Result{Reason: ReasonOK}
	case receipt.Err == nil && receipt.Answer != Throttled:
		receipt.Err = unavailable(errNoAnswer)
	}
	return v.result(&Walked{Attempt: Attempt{Account: c.Account, Place: c.Place}}, receipt)
}
