package radius

import (
	"context"
	"errors"
	"slices"

	"otpgate/directory"
	"otpgate/otp"
)

// maxWalks is how often one attempt is walked again because what the node knew was old.
const maxWalks = 3

// askPassword is the login of password and code: the code is checked first, then whether the store would take it, then the
// directory is asked about the password, then the step is claimed. A wrong code reaches no directory, and neither does
// one that was used, or comes from a place that has to wait: whoever has an old code could try passwords with it, and
// lock the account in the directory.
func (s *Server) askPassword(ctx context.Context, a *attempt) {
	asked := passwords{}
	for range maxWalks {
		start := s.now()
		walked, err := s.codes.Walk(ctx, a.walked.Attempt)
		a.inStore += s.now().Sub(start)
		if err != nil {
			a.fail(ctx, otp.ReasonStoreUnavailable, err)
			return
		}
		if !s.settlePassword(ctx, a, walked, asked) {
			return
		}
	}
	a.fail(ctx, otp.ReasonStoreUnavailable, errors.New("radius: the account's devices changed during every walk"))
}

// settlePassword decides an attempt of password and code, or reports that what the node knew of
// the account is old.
//
// More than one match is a coincidence of digits. What was typed is split in as many ways as the matching codes
// have lengths, and each split is tried until its password is right. The matches of one split are settled together:
// trying the next after a used step would let the same text in once per match.
func (s *Server) settlePassword(ctx context.Context, a *attempt, walked otp.Walked, asked passwords) (stale bool) {
	if len(walked.Matches) == 0 {
		return s.settleOne(ctx, a, walked, nil)
	}
	leave, err := s.besideCode.Take(ctx, a.account.ID)
	if err != nil {
		a.fail(ctx, otp.ReasonTimeout, err)
		return false
	}
	defer leave()
	for i, m := range walked.Matches {
		if slices.ContainsFunc(walked.Matches[:i], func(tried otp.Match) bool { return tried.Digits == m.Digits }) {
			continue
		}
		one := walked
		one.Matches = slices.DeleteFunc(slices.Clone(walked.Matches[i:]), func(o otp.Match) bool { return o.Digits != m.Digits })
		if r := s.preview(ctx, a, one); r.Stale {
			return true
		} else if r.Reason != otp.ReasonOK {
			a.conclude(ctx, r)
			return false
		}
		refused := s.checkPassword(ctx, a, m.Digits, asked)
		if refused != nil && !errors.Is(refused, directory.ErrPasswordWrong) && !errors.Is(refused, directory.ErrPasswordEmpty) {
			a.fail(ctx, otp.ReasonDirectoryUnavailable, refused)
			return false
		}
		if s.settleOne(ctx, a, one, refused) {
			return true
		}
		if refused == nil || a.decision != otp.Reject {
			return false
		}
	}
	return false
}

// preview is what the store would say to the step of a walk. It never has OK.
func (s *Server) preview(ctx context.Context, a *attempt, walked otp.Walked) otp.Result {
	start := s.now()
	r := s.previews.Preview(ctx, walked)
	a.inStore += s.now().Sub(start)
	r.OK = false
	return r
}

// settleOne claims the step of a walk, or counts what was wrong with the attempt: the code when
// there is no match, the password when it was refused.
func (s *Server) settleOne(ctx context.Context, a *attempt, walked otp.Walked, refused error) (stale bool) {
	if s.superseded(a) {
		a.refuse(otp.ReasonTimeout)
		return false
	}
	start := s.now()
	var r otp.Result
	if refused != nil {
		walked.Token = s.packetToken(a) // each packet has cost a bind, also one that the grace takes for the same attempt
		r = s.codes.WrongPassword(ctx, walked)
		r.OK = false
	} else {
		r = s.codes.Settle(ctx, []otp.Walked{walked})[0]
	}
	a.inStore += s.now().Sub(start)
	if r.Stale {
		return true
	}
	if r.Reason == otp.ReasonPasswordWrong && errors.Is(refused, directory.ErrPasswordEmpty) {
		r.Reason = otp.ReasonPasswordEmpty
	}
	a.conclude(ctx, r)
	return false
}

// passwords remembers what the directory said about each split during one attempt, by the digits
// of its code, so that walking again does not ask again: a directory counts wrong passwords too.
type passwords map[int]error

// checkPassword asks the directory about what stands before a code of that many digits. An empty
// password never gets there (RFC 4513 section 5.1.2).
func (s *Server) checkPassword(ctx context.Context, a *attempt, digits int, asked passwords) error {
	if err, ok := asked[digits]; ok {
		return err
	}
	password := a.walked.Proof.(firstFactor).Password(digits)
	if password == "" {
		return directory.ErrPasswordEmpty
	}
	start := s.now()
	err := s.accounts.Authenticate(ctx, a.account, password)
	a.inDirectory += s.now().Sub(start)
	asked[digits] = err
	return err
}
