package boltstore

import (
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// commit is a group of requests being carried out. The writer has one, and uses it again for the next group.
type commit struct {
	store   *Store
	tx      *bbolt.Tx           // to read in, and to write in when a request of the group asks for the file
	touched map[string]*touched // by account key
	group   []*touched          // all of them, in the order in which they were touched
	wrote   bool                // to the file
	err     error               // the first failure; the group is given up

	// Of groups before, for this one.
	spare   []*touched
	key     []byte   // of an account
	keys    []string // of all accounts that a request is about
	ends    []int    // of keys in key
	encoded []byte   // a state
}

// touched is an account that this group looked at.
type touched struct {
	entry   *entry // of the index; nil: it has none
	image   image  // what was found; when the group has run, what it is now
	record  record
	changed bool  // it is not what was found
	devices bool  // its devices are not
	err     error // it cannot be read
}

const (
	maxSpare = 256      // accounts whose room is kept for groups to come
	maxRoom  = 16 << 10 // octets of a state, or of devices, beyond which it is not
	maxGroup = 1 << 10  // accounts of a group, beyond which its room is not
)

// end gives up what the group had, and keeps its room.
func (c *commit) end() {
	for _, t := range c.group {
		if len(c.spare) < maxSpare && max(len(t.image.state), len(t.image.devices)) <= maxRoom {
			t.entry, t.image = nil, image{}
			c.spare = append(c.spare, t)
		}
	}
	group := c.group
	clear(group)
	clear(c.touched)
	if len(group) > maxGroup {
		c.touched, group = make(map[string]*touched), nil
	}
	*c = commit{store: c.store, touched: c.touched, group: group[:0], spare: c.spare, key: c.key, keys: c.keys, ends: c.ends, encoded: c.encoded}
}

func (c *commit) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *commit) put(b *bbolt.Bucket, key, value []byte) {
	c.wrote = true
	if err := b.Put(key, value); err != nil {
		c.fail(err)
	}
}

func (c *commit) delete(b *bbolt.Bucket, key []byte) {
	c.wrote = true
	if err := b.Delete(key); err != nil {
		c.fail(err)
	}
}

// encode makes the images of what has changed.
func (c *commit) encode(number uint64) {
	for _, t := range c.group {
		if !t.changed {
			continue
		}
		t.record.number = number
		c.encoded = t.record.appendState(c.encoded[:0])
		t.image.state = string(c.encoded)
		if t.devices {
			t.image.devices = string(t.record.appendDevices(nil))
		}
	}
}

// file writes what has changed to the buckets, when there is something that cannot go to the journal.
func (c *commit) file() (filed bool) {
	filed = c.wrote || slices.ContainsFunc(c.group, func(t *touched) bool { return t.devices })
	if !filed {
		return false
	}
	// In the order of the file, which is cheaper for it than any other.
	for _, t := range slices.SortedFunc(slices.Values(c.group), func(a, b *touched) int { return strings.Compare(a.image.key, b.image.key) }) {
		if !t.changed {
			continue
		}
		key := []byte(t.image.key)
		if t.devices {
			c.put(c.tx.Bucket(devicesBucket), key, []byte(t.image.devices))
		}
		c.put(c.tx.Bucket(statesBucket), key, []byte(t.image.state))
	}
	if err := c.store.journal.write(c.tx); err != nil {
		c.fail(err)
	}
	return true
}

// appendEntry appends the states that have changed, as an entry of the journal has them.
func (c *commit) appendEntry(b []byte) []byte {
	for _, t := range c.group {
		if t.changed {
			b = appendString(appendString(b, t.image.key), t.image.state)
		}
	}
	return b
}

// expect has the index know of which accounts the next claims are.
func (c *commit) expect(claims []otp.Claim) {
	if len(claims) == 1 { // whom nobody could wait together with
		return
	}
	c.key, c.ends = c.key[:0], c.ends[:0]
	for i := range claims {
		c.key = appendAccountKey(c.key, claims[i].Account)
		c.ends = append(c.ends, len(c.key))
	}
	all, begin := string(c.key), 0 // one piece of memory for all of them
	for _, end := range c.ends {
		c.keys = append(c.keys, all[begin:end])
		begin = end
	}
	c.store.index.expect(c.keys)
	clear(c.keys)
	c.keys = c.keys[:0]
}

// account returns the account's record, to be changed by this group only. A damaged one
// (err is set) is nobody's trouble but its account's.
func (c *commit) account(account string) *touched {
	c.key = appendAccountKey(c.key[:0], account)
	if t := c.touched[string(c.key)]; t != nil {
		return t
	}
	t := c.room()
	t.entry, t.err = c.store.index.entry(c.key)
	switch {
	case t.err != nil:
	case t.entry != nil:
		t.image = t.entry.image
		t.err = t.record.decode(t.image.devices, t.image.state)
	default:
		t.err = guarded(func() error {
			t.image = load(c.tx, c.key)
			return t.record.decode(t.image.devices, t.image.state)
		})
	}
	if t.err != nil {
		c.store.notice(slices.Clone(c.key), t.err)
		t.err = unavailable(t.err)
		return t
	}
	c.touched[t.image.key] = t
	c.group = append(c.group, t)
	return t
}

// room is an account of nothing, made of one that a group before has left if there is one. What its record was is
// there until decode, which begins anew.
func (c *commit) room() *touched {
	n := len(c.spare)
	if n == 0 {
		return new(touched)
	}
	t := c.spare[n-1]
	c.spare = c.spare[:n-1]
	*t = touched{record: t.record}
	return t
}

func (c *commit) claim(claim *otp.Claim) otp.Receipt {
	t := c.account(claim.Account)
	if t.err != nil {
		return otp.Receipt{Err: t.err}
	}
	receipt, changed := t.record.apply(claim)
	t.changed = t.changed || changed
	return receipt
}
