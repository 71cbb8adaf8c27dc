package otp

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"errors"
	"fmt"
	"time"
)

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

// counterLength is that of the message of which a code is made (RFC 4226 section 5.2), in octets.
const counterLength = 8

// ErrMessageShort: a message that a device signs must be longer than the counter that a code is made
// of, so that no signature is ever a code, and no code a signature.
var ErrMessageShort = fmt.Errorf("a signed message has more than %d octets", counterLength)

// Signed reports whether mac is HMAC-SHA1 of message with the seed of a device of the account, and
// returns the device if it is. This is how an app proves that it has the device without spending a
// code. A device with another hash than SHA1 signs nothing: its seed is for that hash alone.
//
// Errors: [ErrMessageShort], or one that wraps [ErrUnavailable]. That there is no such account or
// device is no error, and takes as long as a wrong mac.
func (d *Devices) Signed(ctx context.Context, account, device string, message, mac []byte) (Device, bool, error) {
	if len(message) <= counterLength {
		return Device{}, false, ErrMessageShort
	}
	list, err := d.List(ctx, account)
	if err != nil {
		return Device{}, false, unavailable(err)
	}
	var found Device
	seed := []byte("a seed that no device has: its sums equal nobody's")
	for _, dev := range list {
		if dev.ID != device || dev.Algorithm != SHA1 {
			continue
		}
		found = dev
		if seed, err = d.o.Keys.Open(dev.Sealed, boundTo(account, dev.ID)); err != nil {
			return Device{}, false, unavailable(errors.New("the seed of a device does not open"))
		}
		defer clear(seed)
	}
	sum := hmac.New(sha1.New, seed)
	sum.Write(message)
	if right := hmac.Equal(sum.Sum(nil), mac); !right || found.ID == "" {
		return Device{}, false, nil
	}
	return found, true, nil
}
