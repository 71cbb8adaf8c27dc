package session

import (
	"strconv"
	"time"
)

// Status is Acct-Status-Type (RFC 2866 section 5.1).
type Status uint32

// The statuses that mean something here. Others are for the trail.
const (
	Start         Status = 1
	Stop          Status = 2
	InterimUpdate Status = 3
	AccountingOn  Status = 7
	AccountingOff Status = 8
)

// String is the status as the action of an audit event.
func (s Status) String() string {
	switch s {
	case Start:
		return "start"
	case Stop:
		return "stop"
	case InterimUpdate:
		return "interim_update"
	case AccountingOn:
		return "accounting_on"
	case AccountingOff:
		return "accounting_off"
	}
	return "status_" + strconv.FormatUint(uint64(s), 10)
}

// Cause is Acct-Terminate-Cause (RFC 2866 section 5.10, and RFC 3580 section 2.3); 0: none was given.
type Cause uint32

// String is the name of the cause, such as User-Request, its number when it has none here, and "" for 0.
func (c Cause) String() string {
	names := [...]string{
		"", "User-Request", "Lost-Carrier", "Lost-Service", "Idle-Timeout", "Session-Timeout", "Admin-Reset",
		"Admin-Reboot", "Port-Error", "NAS-Error", "NAS-Request", "NAS-Reboot", "Port-Unneeded", "Port-Preempted",
		"Port-Suspended", "Service-Unavailable", "Callback", "User-Error", "Host-Request", "Supplicant-Restart",
		"Reauthentication-Failure", "Port-Reinit", "Port-Disabled", "Lost-Power",
	}
	if uint64(c) < uint64(len(names)) {
		return names[c]
	}
	return strconv.FormatUint(uint64(c), 10)
}

// A Record is what one Accounting-Request says. Its texts are printable and bounded; what is absent
// from the packet is zero.
type Record struct {
	Status  Status
	Session string // Acct-Session-Id, at most 96 octets
	Name    string // User-Name, at most 253 octets
	NAS     string // NAS-Identifier, or else its address; at most 96 octets
	Station string // Calling-Station-Id, at most 64 octets
	Address string // Framed-IP-Address, or else Framed-IPv6-Prefix

	Lasted  time.Duration // Acct-Session-Time
	In, Out uint64        // octets from and to the person
	Cause   Cause

	Stamp time.Time     // Event-Timestamp (RFC 2869 section 5.3), as the gateway's clock has it
	Delay time.Duration // Acct-Delay-Time: for how long the gateway has been trying to say this
}

// How far a gateway's clock is believed.
const (
	maxAhead  = 5 * time.Minute
	maxBehind = 24 * time.Hour
)

// At is when what r says happened, on our clock.
func (r Record) At(now time.Time) time.Time {
	at, _ := r.at(now)
	return at
}

// at also reports whether the gateway said when that was, and is believed.
func (r Record) at(now time.Time) (time.Time, bool) {
	arrived := now.Add(-min(r.Delay, maxBehind))
	if r.Stamp.IsZero() || r.Stamp.After(now.Add(maxAhead)) || r.Stamp.Before(arrived.Add(-maxBehind)) {
		return arrived, false
	}
	return r.Stamp, true
}
