package radius

import (
	"time"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/proof"
)

// method is how an attempt proves who it is.
type method uint8

// The methods. The zero value is the strictest: nothing but a code.
const (
	byCode            method = iota // the code is claimed
	byPasswordAndCode               // both are there: the code is walked, the password checked, the code claimed
	byPasswordFirst                 // the password is checked, and the code asked for
	byPassword                      // exempt: the password is checked, and that is all
)

// String is for explanations.
func (m method) String() string {
	return [...]string{"code", "password and code", "password, then code", "password alone"}[m]
}

// forbids says why the account may not use this client at all; "" when it may.
func (c *client) forbids(account *directory.Account, now time.Time) otp.Reason {
	switch {
	case account.Disabled:
		return otp.ReasonAccountDisabled
	case len(c.AllowGroups) > 0 && !account.InAny(c.AllowGroups):
		return otp.ReasonNotInGroup
	case len(c.DenyGroups) > 0 && (account.GroupsCut || account.InAny(c.DenyGroups)): // not all of its groups are known
		return otp.ReasonInDeniedGroup
	case c.Hours != nil && !c.Hours.Allows(now):
		return otp.ReasonOutsideHours
	}
	return ""
}

// exempts reports whether the account logs in without a code here, which the configuration must
// have said in so many words.
func (c *client) exempts(account *directory.Account) bool {
	return c.Login == LoginPassword || len(c.PasswordOnlyGroups) > 0 && account.InAny(c.PasswordOnlyGroups)
}

// firstFactor is the password in front of a code of so many digits: each proof by password and code
// is one.
type firstFactor interface{ Password(digits int) string }

// means chooses how the attempt has to prove who it is, from what the client asks of this account and
// what the packet carries. "" when they go together; else why not.
func (s *Server) means(a *attempt) otp.Reason {
	r, c := &a.request, a.client
	exempt := c.exempts(a.account)
	switch {
	case r.state && (exempt || c.Login != LoginPasswordThenCode || !s.states.Of(a.asked.State, a.account.ID)):
		return otp.ReasonStateUnknown
	case r.response != nil && (exempt || r.state || c.Login != LoginCode):
		return otp.ReasonProofUnsupported // there is no password in it
	case r.response != nil:
		a.method, a.walked.Proof = byCode, r.response
		return ""
	}
	typed, ok := c.Charset.read(r.password)
	if !ok {
		return otp.ReasonProofUnsupported
	}
	password, code, static := proof.StaticChallenge(typed)
	if password, ok = c.Charset.read(password); !ok {
		return otp.ReasonProofUnsupported
	}
	switch {
	case r.state:
		a.method, a.walked.Proof = byCode, otp.TypedCode(typed)
	case exempt && static: // the code is one too many
		a.method, a.walked.Proof = byPassword, otp.TypedCode(password)
	case exempt:
		a.method, a.walked.Proof = byPassword, otp.TypedCode(typed)
	case static && c.Login == LoginCode: // a password that nobody would check
		return otp.ReasonProofUnsupported
	case static:
		a.method, a.walked.Proof = byPasswordAndCode, proof.NewSplit(password, code)
	case c.Login == LoginPasswordCode:
		a.method, a.walked.Proof = byPasswordAndCode, proof.CodeAtEnd(typed)
	case c.Login == LoginPasswordThenCode:
		a.method, a.walked.Proof = byPasswordFirst, otp.TypedCode(typed)
	default:
		a.method, a.walked.Proof = byCode, otp.TypedCode(typed)
	}
	return ""
}
