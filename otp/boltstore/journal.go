package boltstore

import (
	"bytes"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"
)

// bounds of what is kept in memory, and of the journal. Tests have small ones.
type bounds struct {
	remembered   int // folded records in the index, about 600 octets each
	foldAccounts int // a fold begins when more records than this are waiting for it,
	foldOctets   int // or when the journal is longer than this
	foldSlice    int // records folded beside the claims of one transaction
}

var usual = bounds{remembered: 65_536, foldAccounts: 50_000, foldOctets: 16 << 20, foldSlice: 512}

var journalPrefix = []byte("journal-")

// journal is what the writer knows of the journal in the file. It is replaced after a commit
// only, so that a failed one leaves it as it was.
type journal struct {
	current []byte   // the bucket that is appended to; nil: the next append makes one
	retired [][]byte // buckets whose states are being folded; they go when all are
	octets  int      // in current
	keys    []string // accounts still to be folded, in the order of the file
	folded  bool     // keys is valid: a fold is under way
}

func (j *journal) folding() bool { return j.folded }

// size is the number of journal buckets.
func (j *journal) size() int {
	n := len(j.retired)
	if j.current != nil {
		n++
	}
	return n
}

// startFold retires the current bucket. Neighbours in the file are folded together, so that they
// share pages.
func (j *journal) startFold(x *index) {
	if j.folded {
		return
	}
	if j.current != nil {
		j.retired = append(j.retired, j.current)
	}
	j.current, j.octets = nil, 0
	j.keys, j.folded = x.dirtyKeys(), true
	slices.Sort(j.keys)
}

// journalName names the bucket that a transaction begins. Names sort by age.
func journalName(tx int) []byte {
	return binary.BigEndian.AppendUint64(slices.Clone(journalPrefix), uint64(tx))
}

// outcome is what becomes of memory once the transaction is on disk.
type outcome struct {
	journal journal
	folded  []string
}

// finish writes what the group has changed, and folds a slice when a fold is under way.
func (c *commit) finish() outcome {
	j := c.store.journal
	if b := &c.store.bounds; !j.folded && (j.octets > b.foldOctets || c.store.index.dirtyCount() > b.foldAccounts) {
		j.startFold(c.store.index)
	}
	var images []byte
	for key, t := range c.touched {
		if !t.changed && !t.devices {
			continue
		}
		t.record.tx = uint64(c.tx.ID())
		if t.devices {
			c.put(c.tx.Bucket(devicesBucket), []byte(key), t.record.appendDevices(nil))
			c.put(c.tx.Bucket(statesBucket), []byte(key), t.record.appendState(nil))
			continue
		}
		images = appendString(images, key)
		images = appendString(images, t.record.appendState(nil))
	}
	if len(images) > 0 {
		c.append(&j, images)
	}
	o := outcome{journal: j}
	if j.folded {
		c.fold(&o)
	}
	return o
}

func (c *commit) append(j *journal, images []byte) {
	if j.current == nil {
		j.current = journalName(c.tx.ID())
	}
	b, err := c.tx.CreateBucketIfNotExists(j.current)
	if err != nil {
		c.fail(err)
		return
	}
	b.FillPercent = 1
	c.put(b, binary.BigEndian.AppendUint64(nil, uint64(c.tx.ID())), images)
	j.octets += len(images)
}

// fold writes the next slice of states to their bucket, and drops the retired journals after
// the last.
func (c *commit) fold(o *outcome) {
	j := &o.journal
	n := min(c.store.bounds.foldSlice, len(j.keys))
	states := c.tx.Bucket(statesBucket)
	for _, key := range j.keys[:n] {
		r := c.store.index.dirtyRecord(key)
		if t := c.touched[key]; t != nil {
			r = t.record
		}
		if r != nil {
			c.put(states, []byte(key), r.appendState(nil))
			o.folded = append(o.folded, key)
		}
	}
	j.keys = j.keys[n:]
	if len(j.keys) > 0 {
		return
	}
	for _, name := range j.retired {
		c.wrote = true
		if err := c.tx.DeleteBucket(name); err != nil {
			c.fail(err)
		}
	}
	j.retired, j.keys, j.folded = nil, nil, false
}

// publish makes memory follow what is on disk now.
func (c *commit) publish(o outcome) {
	c.store.journal = o.journal
	c.store.index.publish(c.touched, o.folded)
}

// replay reads what the last process did not fold: the newest state of each account in the
// journal that is newer than its state in the bucket.
func replay(db *bbolt.DB) (map[string]*record, journal, error) {
	dirty, j := make(map[string]*record), journal{}
	err := db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if !bytes.HasPrefix(name, journalPrefix) {
				return nil
			}
			j.retired = append(j.retired, slices.Clone(name))
			return b.ForEach(func(_, images []byte) error { return replayImages(tx, images, dirty) })
		})
	})
	if len(j.retired) > 0 { // fold at once, beside the first claims
		for key := range dirty {
			j.keys = append(j.keys, key)
		}
		slices.Sort(j.keys)
		j.folded = true
	}
	return dirty, j, err
}

func replayImages(tx *bbolt.Tx, images []byte, dirty map[string]*record) error {
	d := &decoder{b: images}
	for len(d.b) > 0 {
		key, image := d.take(d.uint()), d.take(d.uint())
		if d.err != nil {
			return d.err
		}
		made, err := stateTx(image)
		if err != nil {
			return err
		}
		if bucket := tx.Bucket(statesBucket).Get(key); bucket != nil {
			folded, err := stateTx(bucket)
			if err != nil {
				return err
			}
			if made <= folded {
				continue
			}
		}
		list, err := decodeDevices(tx.Bucket(devicesBucket).Get(key))
		if err != nil {
			return err
		}
		if dirty[string(key)], err = decodeState(image, list); err != nil {
			return err
		}
	}
	return nil
}

// stateTx is the number of the transaction that made the state.
func stateTx(state []byte) (uint64, error) {
	d := &decoder{b: state}
	d.format()
	tx := d.uint()
	return tx, d.err
}
