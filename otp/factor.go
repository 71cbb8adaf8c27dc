package otp

import "context"

// WrongFactor counts a wrong first factor, such as the directory's password before a code is asked
// for, against the place, as a wrong code is counted. Each token counts once: a retransmission does not
// count again, and every other packet does, the same password or not. So a.Token must be that of the
// packet, and a.Proof is the factor. The reason is [ReasonPasswordWrong] then; a place that has to wait,
// and a store that cannot tell, have their own. OK is never set, and the result is never stale.
//
// An account without devices has nothing to guess: it is decided without the store, so that strangers
// write nothing to it. Where the password is all there is, it is what is guessed: see [Attempt.Alone].
func (v *Verifier) WrongFactor(ctx context.Context, a Attempt) Result {
	r := v.wrongFactor(ctx, a)
	v.metrics.observe(&r)
	return r
}

func (v *Verifier) wrongFactor(ctx context.Context, a Attempt) Result {
	mark := v.keys.MAC("wrong factor", []byte(a.Account), a.Token[:], a.Proof.Octets()) // a code of the same octets may be right
	for range maxWalks {
		k, err := v.known(ctx, a.Account)
		if err != nil {
			return Result{Reason: ReasonStoreUnavailable, Err: err}
		}
		if k.devices == 0 && !a.Alone {
			return Result{Reason: ReasonPasswordWrong}
		}
		c := Claim{
			Kind: WrongCode, Account: a.Account, Version: k.version, Token: a.Token, Place: a.Place, Now: v.now(),
			Miss: Miss(mark[:4]), Backoff: v.backoff, Forget: forgetAfter,
		}
		r := v.result(&Walked{Attempt: a}, v.ask(ctx, []Claim{c})[0]) // without a match it is never OK
		if r.Reason == ReasonCodeWrong {
			r.Reason = ReasonPasswordWrong
		}
		if !r.Stale {
			return r
		}
	}
	return Result{Reason: ReasonStoreUnavailable, Err: unavailable(errKeepsChanging)}
}

// RightFactor tells the store that a password was right where nothing else is asked for, before anybody
// is let in for it: the place becomes known, and its count of wrong ones ends. The reason is [ReasonOK]
// then, and OK is not set, because no code was claimed. A place that has to wait has [ReasonThrottled],
// and a store that cannot tell has [ReasonStoreUnavailable]: neither may be let in. Whoever calls it again
// gets the same answer, unless the place has to wait since. The result is never stale.
func (v *Verifier) RightFactor(ctx context.Context, a Attempt) Result {
	r := v.atPlace(ctx, Claim{Kind: RightFactor, Account: a.Account, Token: a.Token, Place: a.Place}, Welcomed)
	v.metrics.observe(&r)
	return r
}
