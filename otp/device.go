package otp

import "time"

// Algorithm is the hash of a device's HMAC (RFC 6238 section 1.2).
type Algorithm string

// The algorithms of RFC 6238; most authenticators know SHA1 only.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

// A Device is one enrolled authenticator of an account, as the store keeps it.
type Device struct {
	Account   string // the account's immutable id
	ID        string // 16 characters of lower-case base32, unique within the account
	Label     string // what the person calls it
	Sealed    []byte // the seed, sealed with the keyset, bound to account and device
	Algorithm Algorithm
	Digits    int           // 6 to 8
	Period    time.Duration // whole seconds, 15 s to 10 min
	Created   time.Time

	// What logins change.
	LastUsed time.Time // zero: never
	LastStep int64     // the highest step claimed; 0: none
	Drift    int       // steps by which its clock was last seen to be ahead of ours
}

// A Snapshot is what a store knows of one account at one moment.
type Snapshot struct {
	Account string
	Version uint64 // raised by every change of Devices that a walk depends on; 0: never seen
	Devices []Device
}
