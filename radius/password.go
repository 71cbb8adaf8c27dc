package radius

import (
	"context"
	"errors"

	"otpgate/directory"
	"otpgate/otp"
)

// maxWalks is how often one attempt is walked again because what the node knew was old.
const maxWalks = 3

// askPassword is the login of password and code: the code is checked first, then the directory is
// asked about the password, then the step is claimed. A wrong code reaches no directory.
func (s *Server) askPassword(ctx context.Context, a *attempt) {
	var asked passwords
	for range maxWalks {
		start := s.now()
		walked, err := s.codes.Walk(ctx, a.proof)
		a.inStore += s.now().Sub(start)
		if err != nil {
			a.fail(ctx, otp.ReasonStoreUnavailable, err)
			return
		}
		if !s.settlePassword(ctx, a, walked, &asked) {
			return
		}
	}
	a.fail(ctx, otp.ReasonStoreUnavailable, errors.New("radius: the account's devices changed during every walk"))
}

// settlePassword decides an attempt of password and code, or reports that what the node knew of
// the account is old. More than one match is a coincidence of digits: then each is tried.
func (s *Server) settlePassword(ctx context.Context, a *attempt, walked otp.Walked, asked *passwords) (stale bool) {
	if len(walked.Matches) == 0 {
		return s.settleOne(ctx, a, walked, nil)
	}
	for i := range walked.Matches {
		one := walked
		one.Matches = walked.Matches[i : i+1]
		refused := s.checkPassword(ctx, a, one.Matches[0].Digits, asked)
		if refused != nil && !errors.Is(refused, directory.ErrPasswordWrong) && !errors.Is(refused, directory.ErrPasswordEmpty) {
			a.fail(ctx, otp.ReasonDirectoryUnavailable, refused)
			return false
		}
		if s.settleOne(ctx, a, one, refused) {
			return true
		}
		if a.decision != otp.Reject {
			return false
		}
	}
	return false
}

// settleOne claims the step of a walk, or counts what was wrong with the attempt: the code when
// there is no match, the password when it was refused.
func (s *Server) settleOne(ctx context.Context, a *attempt, walked otp.Walked, refused error) (stale bool) {
	start := s.now()
	var r otp.Result
	if refused != nil {
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

// passwords remembers what the directory said during one attempt, so that walking again does not
// ask again: a directory counts wrong passwords too.
type passwords struct {
	digits int
	asked  bool
	err    error
}

// checkPassword asks the directory about what stands before a code of that many digits. An empty
// password never gets there (RFC 4513 section 5.1.2).
func (s *Server) checkPassword(ctx context.Context, a *attempt, digits int, asked *passwords) error {
	if asked.asked && asked.digits == digits {
		return asked.err
	}
	password := codeAtEnd(a.request.password).password(digits)
	if password == "" {
		return directory.ErrPasswordEmpty
	}
	start := s.now()
	err := s.accounts.Authenticate(ctx, a.account, password)
	a.inDirectory += s.now().Sub(start)
	*asked = passwords{digits: digits, asked: true, err: err}
	return err
}
