package boltstore

import (
	"slices"
	"time"

	"otpgate/otp"
)

// record is what the store knows of an account, for whoever has decoded it: what is kept is an [image].
type record struct {
	number  uint64 // of the change that made this state
	version uint64
	devices []device
	claims  []claim  // answered Claimed within ClaimLifetime of the last claim, oldest first
	places  []place  // known places, the one used longest ago first
	others  failures // of all places that are not known

	challenges []challenge // the one that changed longest ago first
	shares     []share     // oldest first

	list []enrolled // of use to decode alone
}

// image is an account as the buckets have it, and as it is kept in memory: there are so many that what a record
// is made of would keep the garbage collector busy. It is never changed.
type image struct {
	key            string // of the account
	devices, state string
}

// record is the record that it is the image of.
func (m image) record() (*record, error) {
	r := new(record)
	return r, r.decode(m.devices, m.state)
}

// device is one device: what enrollment fixed, and what logins change.
type device struct {
	enrolled
	lastUsed int64 // Unix milliseconds; 0: never
	lastStep int64
	drift    int
	floor    int64 // steps at or below it are used up, whatever wrong says
	wrong    []wrongStep
}

// enrolled is the part of a device that no login changes.
type enrolled struct {
	id, label string
	sealed    string
	algorithm otp.Algorithm
	digits    int
	period    time.Duration
	created   int64
}

// wrongStep is a matched step whose password was refused.
type wrongStep struct {
	step   int64
	tokens []otp.Token
}

// claim is a token that was answered Claimed.
type claim struct {
	token  otp.Token
	device string
	at     int64
}

// place is a place from which the account has logged in.
type place struct {
	id otp.Place
	failures
}

// failures are the wrong codes that count against a place.
type failures struct {
	count  int
	last   int64
	until  int64
	misses []otp.Miss // oldest first
}

// reset makes it a record of nothing, with room for another one.
func (r *record) reset() {
	*r = record{
		devices: r.devices[:0], claims: r.claims[:0], places: r.places[:0],
		challenges: r.challenges[:0], shares: r.shares[:0], list: r.list[:0],
	}
}

// device returns the device with this id, or nil. The pointer is into r.
func (r *record) device(id string) *device {
	for i := range r.devices {
		if r.devices[i].id == id {
			return &r.devices[i]
		}
	}
	return nil
}

// remove forgets a device, every token that claimed a step of it, and which of its steps are shared.
func (r *record) remove(id string) {
	r.devices = slices.DeleteFunc(r.devices, func(d device) bool { return d.id == id })
	r.claims = slices.DeleteFunc(r.claims, func(c claim) bool { return c.device == id })
	r.shares = slices.DeleteFunc(r.shares, func(s share) bool { return s.device == id })
}

// snapshot is the record as the rest of the program sees it: devices by age, then by id.
func (r *record) snapshot(account string) otp.Snapshot {
	s := otp.Snapshot{Account: account, Version: r.version}
	for _, d := range r.devices {
		s.Devices = append(s.Devices, otp.Device{
			Account: account, ID: d.id, Label: d.label, Sealed: []byte(d.sealed),
			Algorithm: d.algorithm, Digits: d.digits, Period: d.period, Created: fromMillis(d.created),
			LastUsed: fromMillis(d.lastUsed), LastStep: d.lastStep, Drift: d.drift,
		})
	}
	slices.SortFunc(s.Devices, func(a, b otp.Device) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return s
}

// millis and fromMillis keep the zero time zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
