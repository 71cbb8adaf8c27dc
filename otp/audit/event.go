package audit

import (
	"time"

	"otpgate/otp"
)

// Kind says what sort of event it is.
type Kind string

// The kinds of events.
const (
	Login      Kind = "login"      // a decision about an attempt over RADIUS
	Accounting Kind = "accounting" // what a gateway says of a session: "start", "interim_update", "stop", …
	Enrollment Kind = "enrollment" // a step of the e-mail enrollment
	Operator   Kind = "operator"   // something an operator did over the socket
	System     Kind = "system"     // of the node: "started", "reloaded", "stopping"; of the trail: "events_lost"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Login, Accounting, Enrollment, Operator, System} }

// Decisions returns the words that an event's decision is one of.
func Decisions() []string {
	return []string{otp.Accept.String(), otp.Challenge.String(), otp.Reject.String(), otp.Drop.String()}
}

// ReasonTooManyDevices is that of an enrollment: the code was right, but there is no room.
const ReasonTooManyDevices otp.Reason = "too_many_devices"

// Reasons returns all reasons that an event may have: those of logins, and those of enrollments.
func Reasons() []otp.Reason { return append(otp.Reasons(), ReasonTooManyDevices) }

// EventsLost is the action of the event that stands where others should: Count of them, because
// the disk was full or too slow. It is written as soon as anything can be written again.
const EventsLost = "events_lost"

// An Event is one line of the audit trail. It holds no code, no password and no seed, nor
// anything that is derived from one.
type Event struct {
	Time     time.Time  `json:"time"`
	Kind     Kind       `json:"kind"`
	Action   string     `json:"action"`             // login: "access"; else "enrollment_requested", "device_offered", "device_enrolled", "device_renamed", "device_revoked", "link_requested", "session_opened", "invited", "device_imported", …
	ID       string     `json:"id,omitempty"`       // of the attempt: the same as in the log line
	Account  string     `json:"account,omitempty"`  // the immutable id
	Name     string     `json:"name,omitempty"`     // the name as the directory spells it, or as typed when there is no such account; device_imported: as the file has it
	Client   string     `json:"client,omitempty"`   // the configured name of the RADIUS client
	Source   string     `json:"source,omitempty"`   // where it came from: client address, Calling-Station-Id, browser address
	Device   string     `json:"device,omitempty"`   // the device's id
	Decision string     `json:"decision,omitempty"` // one of [Decisions]
	Reason   otp.Reason `json:"reason,omitempty"`
	Detail   string     `json:"detail,omitempty"`  // one sentence for people
	Actor    string     `json:"actor,omitempty"`   // operator: uid and, if known, name of who did it
	NAS      string     `json:"nas,omitempty"`     // accounting: what the gateway calls itself
	Session  string     `json:"session,omitempty"` // accounting: the gateway's Acct-Session-Id
	Traffic  *Traffic   `json:"traffic,omitempty"`
	Count    int64      `json:"count,omitempty"` // events_lost: how many
	Stages   *Stages    `json:"stages_ms,omitempty"`
}

// Traffic is what a gateway says of a session so far. Zero fields were not said.
type Traffic struct {
	Address string `json:"address,omitempty"`    // that was given to the person, or a prefix
	Seconds uint32 `json:"seconds,omitempty"`    // since the session began
	In      uint64 `json:"octets_in,omitempty"`  // from the person
	Out     uint64 `json:"octets_out,omitempty"` // to the person
	Cause   string `json:"cause,omitempty"`      // why it ended
}

// Stages is where an attempt's time went, in milliseconds.
type Stages struct {
	Directory float64 `json:"directory"`
	Store     float64 `json:"store"`
	Total     float64 `json:"total"`
}
