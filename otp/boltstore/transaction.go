package boltstore

import (
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// commit is a group of requests being carried out.
type commit struct {
	store   *Store
	tx      *bbolt.Tx           // to read in, and to write in when a request of the group asks for the file
	touched map[string]*touched // by account key
	wrote   bool                // to the file
	err     error               // the first failure; the group is given up
}

// touched is an account that this group looked at.
type touched struct {
	record  *record // a clone
	changed bool    // it differs
	devices bool    // its devices do
	err     error   // record is nil: it cannot be read
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

// file writes what has changed to the buckets, when there is something that cannot go to the journal.
func (c *commit) file(number uint64) (filed bool) {
	for _, t := range c.touched {
		filed = filed || t.devices
	}
	if filed = filed || c.wrote; !filed {
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(c.touched)) { // which is cheaper for the file than any other order
		t := c.touched[key]
		if !t.changed {
			continue
		}
		t.record.number = number
		if t.devices {
			c.put(c.tx.Bucket(devicesBucket), []byte(key), t.record.appendDevices(nil))
		}
		c.put(c.tx.Bucket(statesBucket), []byte(key), t.record.appendState(nil))
	}
	if err := c.store.journal.write(c.tx); err != nil {
		c.fail(err)
	}
	return true
}

// images are the states that have changed, as the journal has them.
func (c *commit) images(number uint64, b []byte) []byte {
	for key, t := range c.touched {
		if t.changed {
			t.record.number = number
			b = appendString(b, key)
			b = appendString(b, t.record.appendState(nil))
		}
	}
	return b
}

// account returns the account's record, to be changed by this group only. A damaged one
// (err is set) is nobody's trouble but its account's.
func (c *commit) account(account string) *touched {
	key := accountKey(account)
	if t := c.touched[string(key)]; t != nil {
		return t
	}
	t := &touched{}
	r := c.store.index.get(string(key))
	if r == nil {
		if t.err = guarded(func() (err error) { r, err = load(c.tx, key); return err }); t.err != nil {
			c.store.notice(key, t.err)
			t.err = unavailable(t.err)
			return t
		}
	}
	t.record = r.clone()
	c.touched[string(key)] = t
	return t
}

// load reads a record that is not in the index, which has every one that was not folded.
func load(tx *bbolt.Tx, key []byte) (*record, error) {
	list, err := decodeDevices(tx.Bucket(devicesBucket).Get(key))
	if err != nil {
		return nil, err
	}
	return decodeState(tx.Bucket(statesBucket).Get(key), list)
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
