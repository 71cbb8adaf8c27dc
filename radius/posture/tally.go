package posture

import (
	"encoding/json"
	"math/bits"
	"time"

	"otpgate/otp"
)

// A client's notes: one by each node's name, and that it is proven.
const (
	kindPosture = "posture"
	fieldProven = "!proven"
)

// saveEvery is how much of a time in which nothing came may be lost by a crash.
const saveEvery = 5 * time.Minute

// tally is what a node has counted of a client.
type tally struct {
	Signed       uint64    `json:"signed"`            // since the first packet
	Total        uint64    `json:"total"`             // the same, and those without
	Refused      uint64    `json:"refused,omitempty"` // those without that came after it was proven
	Since        time.Time `json:"since,omitzero"`
	LastUnsigned time.Time `json:"last_unsigned,omitzero"`

	Epoch   uint64        `json:"epoch"`   // raised by each Flush that finds a packet without
	Run     uint64        `json:"run"`     // packets with it in this epoch
	Watched time.Duration `json:"watched"` // for how long, in this epoch
	Days    uint64        `json:"days"`    // bit n: some came on day n, 64+n, … of Watched
}

// restart begins an epoch that others have watched for so long.
func (t *tally) restart(epoch uint64, watched time.Duration) {
	t.Epoch, t.Run, t.Watched, t.Days = epoch, 0, watched, 0
}

// plus is what all nodes have counted together. Of an older epoch than the newest only totals count.
func (t tally) plus(others []tally) tally {
	for _, o := range others {
		t.Signed, t.Total, t.Refused = t.Signed+o.Signed, t.Total+o.Total, t.Refused+o.Refused
		if !o.Since.IsZero() && (t.Since.IsZero() || o.Since.Before(t.Since)) {
			t.Since = o.Since
		}
		if o.LastUnsigned.After(t.LastUnsigned) {
			t.LastUnsigned = o.LastUnsigned
		}
		switch {
		case o.Epoch > t.Epoch:
			t.Epoch, t.Run, t.Watched, t.Days = o.Epoch, o.Run, o.Watched, o.Days
		case o.Epoch == t.Epoch:
			t.Run, t.Watched, t.Days = t.Run+o.Run, max(t.Watched, o.Watched), t.Days|o.Days
		}
	}
	return t
}

// proves reports whether t is enough.
func (t tally) proves() bool {
	return t.Run >= ProvenPackets && t.Watched >= ProvenTime && bits.OnesCount64(t.Days) >= int(ProvenTime/(24*time.Hour))
}

// latch is the note that a client is proven; or that it was, and has to prove it again, which other
// nodes would not learn from there being none.
type latch struct {
	At        time.Time `json:"at"`
	Forgotten bool      `json:"forgotten,omitempty"`
}

// stored is what the store has about a client.
type stored struct {
	node         string
	own          tally
	saved        bool // there is a note of this node
	others       []tally
	latch        latch
	hasLatch     bool
	latchExpires time.Time
	unsure       bool // there is something that cannot be read
}

// read reads the notes of a client for a node. It calls odd for each that it cannot read.
func read(notes []otp.Note, node string, odd func(otp.Note, error)) stored {
	s := stored{node: node}
	for _, n := range notes {
		var err error
		var t tally
		switch n.Field {
		case fieldProven:
			if err = json.Unmarshal(n.Value, &s.latch); err == nil {
				s.hasLatch, s.latchExpires = true, n.Expires
			}
		case node:
			if err = json.Unmarshal(n.Value, &s.own); err == nil {
				s.saved = true
			}
		default:
			if err = json.Unmarshal(n.Value, &t); err == nil {
				s.others = append(s.others, t)
			}
		}
		if err != nil {
			s.unsure = true
			odd(n, err)
		}
	}
	return s
}

func note(key, field string, v any, expires time.Time) otp.Note {
	value, _ := json.Marshal(v) // numbers, and times of our own clock
	return otp.Note{Kind: kindPosture, Key: key, Field: field, Value: value, Expires: expires}
}
