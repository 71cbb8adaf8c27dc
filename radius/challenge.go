package radius

import (
	"context"
	"errors"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/challenge"
)

// challengeTries is how many wrong codes a challenge survives. The store counts them, because an
// old State can be sent again.
const challengeTries = 3

// askedBefore decides against a State that is not ours, or too old. It was opened before there was a
// slot for the request, and needed no memory: any node can.
func (a *attempt) askedBefore() bool {
	switch {
	case a.asked == nil:
		a.refuse(otp.ReasonStateUnknown)
	case errors.Is(a.asked.err, challenge.ErrExpired):
		a.refuse(otp.ReasonStateExpired)
	case a.asked.err != nil || a.asked.ID == [8]byte{}:
		a.refuse(otp.ReasonStateUnknown)
	default:
		return true
	}
	return false
}

// askFirst checks the password of an attempt that has no code yet, and asks for the code. Who has to
// wait because of wrong ones does not reach the directory, whose accounts lock.
func (s *Server) askFirst(ctx context.Context, a *attempt) {
	start := s.now()
	walked, err := s.codes.Walk(ctx, a.walked.Attempt)
	a.inStore += s.now().Sub(start)
	switch {
	case err != nil:
		a.fail(ctx, otp.ReasonStoreUnavailable, err)
	case walked.Devices == 0: // there is no code to ask for, so nobody needs to try passwords
		a.refuse(otp.ReasonNoDevice)
	case s.passwordRight(ctx, a):
		state := s.states.Begin(challenge.Password)
		state.Place = a.walked.Place
		s.challenge(a, state, otp.ReasonCodeAsked)
	}
}

// askAlone checks the password of an account that needs no code here. The place of a right one is known
// from then on, so that strangers elsewhere do not make its owner wait.
func (s *Server) askAlone(ctx context.Context, a *attempt) {
	if !s.passwordRight(ctx, a) {
		return
	}
	start := s.now()
	r := s.factors.RightFactor(ctx, a.walked.Attempt)
	a.inStore += s.now().Sub(start)
	if r.OK = false; r.Reason == otp.ReasonOK {
		r.Reason = otp.ReasonCodeExempt
	}
	a.conclude(ctx, r)
}

// passwordRight has the directory check a password that stands alone, and decides against the attempt
// unless that is right. A wrong one counts against the place as a wrong code does. One password of an
// account is checked at a time: what others get to know of a wrong one they must know before they ask.
func (s *Server) passwordRight(ctx context.Context, a *attempt) bool {
	leave, err := s.passwords.Take(ctx, a.account.ID)
	if err != nil {
		a.fail(ctx, otp.ReasonTimeout, err)
		return false
	}
	defer leave()
	start := s.now()
	r := s.previews.CheckPlace(ctx, a.account.ID, a.walked.Place)
	a.inStore += s.now().Sub(start)
	if r.Reason != otp.ReasonOK {
		r.OK = false
		a.conclude(ctx, r)
		return false
	}
	start = s.now()
	err = s.accounts.Authenticate(ctx, a.account, string(a.walked.Proof.Octets()))
	a.inDirectory += s.now().Sub(start)
	switch {
	case err == nil:
		return true
	case !errors.Is(err, directory.ErrPasswordWrong) && !errors.Is(err, directory.ErrPasswordEmpty):
		a.fail(ctx, otp.ReasonDirectoryUnavailable, err)
		return false
	}
	start = s.now()
	r = s.factors.WrongFactor(ctx, a.walked.Attempt)
	a.inStore += s.now().Sub(start)
	r.OK = false
	a.conclude(ctx, r)
	return false
}

// challenge decides to ask for a code, with a State that any node can open.
func (s *Server) challenge(a *attempt, state challenge.State, why otp.Reason) {
	next, err := s.states.Seal(state, a.client.Name, a.account.ID)
	switch {
	case err == nil:
		a.next, a.decision, a.reason = next, otp.Challenge, why
	case errors.Is(err, challenge.ErrExpired): // it was begun too long ago for another one
		a.refuse(otp.ReasonStateExpired)
	default:
		panic(err) // a keyset that does not seal
	}
}

// askAgain turns the refusal of a code into another challenge, as long as the store has tries left for
// it: of a used code too, which must not look otherwise than a wrong one.
func (s *Server) askAgain(a *attempt, r otp.Result) {
	wrong := a.reason == otp.ReasonCodeWrong || a.reason == otp.ReasonCodeUsed
	if a.request.state && a.decision == otp.Reject && wrong && r.TriesLeft > 0 {
		s.challenge(a, a.asked.State, a.reason)
	}
}
