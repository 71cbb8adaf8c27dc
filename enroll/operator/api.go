package operator

import (
	"context"
	"errors"
	"net/http"
	"time"

	"otpgate/directory"
	"otpgate/otp"
)

// An Error is what went wrong, as an operator reads it: the fact, and what to do about it.
type Error struct {
	Fact string `json:"error"`
	Hint string `json:"hint,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Fact }

// doubtful is an error after which what was asked for may have been done all the same.
type doubtful struct {
	error
	hint string // how to find out
}

// Unwrap returns what the store said.
func (d doubtful) Unwrap() error { return d.error }

// Device is a device as operators see it.
type Device struct {
	Account   string     `json:"account"` // the account's id
	Name      string     `json:"name"`    // the account's login name
	ID        string     `json:"id"`
	Label     string     `json:"label"`
	Algorithm string     `json:"algorithm"`
	Digits    int        `json:"digits"`
	Period    int64      `json:"period"` // seconds
	Created   time.Time  `json:"created"`
	LastUsed  *time.Time `json:"last_used,omitempty"` // nil: never
	Drift     int        `json:"drift"`               // steps its clock is ahead of ours
}

// NewDevice is what to add. Zero fields take the configured defaults.
type NewDevice struct {
	Name      string `json:"name"` // login name or mail address of the account
	Label     string `json:"label,omitempty"`
	Algorithm string `json:"algorithm,omitempty"` // SHA1, SHA256, SHA512
	Digits    int    `json:"digits,omitempty"`
	Period    int64  `json:"period,omitempty"` // seconds
}

// Added is a device with its seed, which nothing gives away again.
type Added struct {
	Device
	URI string `json:"otpauth"`
}

// Imported is what became of an import.
type Imported struct {
	Added    int64 `json:"added"`
	Existing int64 `json:"existing"` // were there already
	Failed   int64 `json:"failed"`
}

// LineProblem is why a line of an import was left out.
type LineProblem struct {
	Line  int64  `json:"line"` // the header is line 1
	Cause string `json:"cause"`
}

// Status is what a node says of itself.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Draining: it has been told to stop, and lets answers in flight out.
	Draining bool           `json:"draining"`
	Checks   []Check        `json:"checks"`
	Clients  []ClientStatus `json:"clients,omitempty"` // in the order of the configuration
}

// ClientStatus is what is known of the packets of one client.
type ClientStatus struct {
	Name     string    `json:"name"`
	Policy   string    `json:"policy"`         // message_authenticator: required, learn, optional, omit
	Sentence string    `json:"sentence"`       // of Message-Authenticator, for people
	Signed   uint64    `json:"signed"`         // packets that had Message-Authenticator
	Total    uint64    `json:"total"`          // packets that could have had it
	Since    time.Time `json:"since,omitzero"` // when counting began; zero: nothing was counted yet
	Proven   bool      `json:"proven"`         // it always signs: required costs nothing
	// Packets that fitted one secret and the other, since each is what it is: a previous secret that no packet fits
	// any more can go.
	CurrentSecret      uint64    `json:"current_secret"`
	PreviousSecret     uint64    `json:"previous_secret"`
	PreviousSecretUsed time.Time `json:"previous_secret_used,omitzero"` // when the last one came; zero: none has
}

// Check is one thing that a node depends on.
type Check struct {
	Name   string `json:"name"`
	State  string `json:"state"` // ok, degraded, not_ready
	Detail string `json:"detail,omitempty"`
}

// asError puts an error into operators' words, with a status.
func asError(err error, name string) (int, *Error) {
	var e *Error
	var doubt doubtful
	switch {
	case errors.As(err, &doubt):
		status, said := asError(doubt.error, name)
		return status, &Error{said.Fact, doubt.hint}
	case errors.As(err, &e):
		return http.StatusBadRequest, e
	case errors.Is(err, directory.ErrNotFound):
		return http.StatusNotFound, &Error{"no such account: " + name, "check the spelling, and that the directory's base_dn and login_attributes cover it"}
	case errors.Is(err, directory.ErrAmbiguous):
		return http.StatusConflict, &Error{"more than one account is called " + name, "add the realm, as in " + name + "@realm"}
	case errors.Is(err, directory.ErrNameInvalid):
		return http.StatusBadRequest, &Error{"not a name that an account can have", "give a login name or a mail address"}
	case errors.Is(err, directory.ErrUnavailable):
		return http.StatusServiceUnavailable, &Error{"the directory cannot be asked: " + err.Error(), "see otpgate check --live"}
	case errors.Is(err, otp.ErrTooManyDevices):
		return http.StatusConflict, &Error{name + " already has as many devices as an account may have", "revoke one first, or raise otp.max_devices"}
	case errors.Is(err, otp.ErrLabelInvalid):
		return http.StatusBadRequest, &Error{err.Error(), "choose a shorter, printable label"}
	case errors.Is(err, otp.ErrNotFound):
		return http.StatusNotFound, &Error{name + " has no such device", "see otpgate device list " + name}
	case errors.Is(err, otp.ErrUnavailable):
		return http.StatusServiceUnavailable, &Error{"the store cannot be asked: " + err.Error(), "see otpgate status, and the node's log"}
	}
	return http.StatusInternalServerError, &Error{err.Error(), "see the node's log"}
}

// known reports whether an error of [otp.Devices] has a name. One that has none is about what was
// asked for: digits, period, algorithm.
func known(err error) bool {
	return errors.Is(err, otp.ErrTooManyDevices) || errors.Is(err, otp.ErrLabelInvalid) || unanswered(err)
}

// unanswered reports whether the store did not say what became of a change.
func unanswered(err error) bool {
	return errors.Is(err, otp.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
