package boltstore

import (
	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// commit is one transaction under way.
type commit struct {
	store   *Store
	tx      *bbolt.Tx
	touched map[string]*touched // by account key
	wrote   bool
	err     error // the first failure; the transaction is given up
}

// touched is an account that this transaction looked at.
type touched struct {
	record  *record // a clone
	changed bool    // states differ: to the journal
	devices bool    // devices differ: to the buckets
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

// account returns the account's record, to be changed by this transaction only. A damaged one
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
