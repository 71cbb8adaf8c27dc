package otp

// Decision is the outcome of an attempt. The zero value is no reply at all.
type Decision uint8

// The decisions.
const (
	Drop Decision = iota
	Reject
	Challenge
	Accept
)

// String returns the word used in logs, metrics, audit records and command output.
func (d Decision) String() string {
	switch d {
	case Accept:
		return "accept"
	case Challenge:
		return "challenge"
	case Reject:
		return "reject"
	}
	return "drop"
}

// Reason says why an attempt was decided as it was: one value for log field, metric label,
// audit field and command output. It is never told to whoever tried to log in.
type Reason string

// The reasons. [Reasons] lists them all.
const (
	ReasonOK                   Reason = "ok"
	ReasonCodeWrong            Reason = "code_wrong"
	ReasonCodeUsed             Reason = "code_used"
	ReasonThrottled            Reason = "throttled"
	ReasonNoDevice             Reason = "no_device"
	ReasonAccountUnknown       Reason = "account_unknown"
	ReasonAccountAmbiguous     Reason = "account_ambiguous"
	ReasonAccountDisabled      Reason = "account_disabled"
	ReasonNotInGroup           Reason = "not_in_group"
	ReasonInDeniedGroup        Reason = "in_denied_group"
	ReasonOutsideHours         Reason = "outside_hours"
	ReasonPasswordWrong        Reason = "password_wrong"
	ReasonPasswordEmpty        Reason = "password_empty"
	ReasonNoProof              Reason = "no_proof"          // the packet carries nothing that a code could be checked against
	ReasonProofUnsupported     Reason = "proof_unsupported" // a method that is not answered, such as MS-CHAPv1
	ReasonProofGarbled         Reason = "proof_garbled"     // decrypted, it is not of the shape of a code: another secret, or a forger
	ReasonNameInvalid          Reason = "name_invalid"      // absent, empty, or octets that no name can have
	ReasonStateUnknown         Reason = "state_unknown"     // a State that this server never gave out
	ReasonStateExpired         Reason = "state_expired"     // a State that is older than its lifetime
	ReasonChallengeSpent       Reason = "challenge_spent"   // its tries are used up, or it was answered before
	ReasonCodeAsked            Reason = "code_asked"        // with Challenge: the first factor was right
	ReasonCodeExempt           Reason = "code_exempt"       // with Accept: by the password alone, as configured
	ReasonReplyInvalid         Reason = "reply_invalid"     // the attributes that the configuration grants cannot be made for the account
	ReasonDirectoryUnavailable Reason = "directory_unavailable"
	ReasonStoreUnavailable     Reason = "store_unavailable"
	ReasonAuditUnavailable     Reason = "audit_unavailable" // only with audit: {required: true}
	ReasonTimeout              Reason = "timeout"           // the time budget of the attempt ran out
	ReasonPanic                Reason = "panic"
)

// Reasons returns all reasons, so that each can have a metric series from the start.
func Reasons() []Reason {
	return []Reason{
		ReasonOK, ReasonCodeWrong, ReasonCodeUsed, ReasonThrottled, ReasonNoDevice,
		ReasonAccountUnknown, ReasonAccountAmbiguous, ReasonAccountDisabled, ReasonNotInGroup,
		ReasonInDeniedGroup, ReasonOutsideHours, ReasonPasswordWrong, ReasonPasswordEmpty,
		ReasonNoProof, ReasonProofUnsupported, ReasonProofGarbled, ReasonNameInvalid,
		ReasonStateUnknown, ReasonStateExpired, ReasonChallengeSpent, ReasonCodeAsked, ReasonCodeExempt, ReasonReplyInvalid,
		ReasonDirectoryUnavailable, ReasonStoreUnavailable, ReasonAuditUnavailable, ReasonTimeout, ReasonPanic,
	}
}
