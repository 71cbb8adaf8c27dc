package boltstore

import (
	"math"
	"sync"

	"otpgate/otp/recall"
)

// index holds the records that were used last, and all that are not folded yet. The writer
// changes it; others may look.
type index struct {
	mu      sync.RWMutex
	entries *recall.Cache[entry] // of which none goes but when this index says so
	list    []*entry             // what the next fold has to look at, each once; some went to the file since
	dirty   int                  // entries that are
	// Entries that were in the buckets too when they came here. When there are more than capacity, the first go.
	queue    []*entry
	capacity int
	// unreadable are accounts of which the journal has a state that the file's cannot be compared with.
	unreadable map[string]unreadable
}

// entry is an account in the index. Its key never changes.
type entry struct {
	image
	dirty  bool // newer than the bucket of states, as far as the writer knows
	listed bool // it is on the list, or of a fold: what a slice has missed comes on the list when the slice is over
	queued bool
	used   bool // since it came into the queue
}

// near is what a claim reads of it.
func (e *entry) near() recall.Near { return recall.Near{e.state, e.devices} }

// maxChances bounds how many entries that were used stay for another round when a group makes others go.
const maxChances = 256

func newIndex(remembered int) *index {
	x := &index{capacity: max(remembered, 1)}
	x.reset(replayed{})
	return x
}

// reset forgets everything but what was found in the journal, and returns the entries that are dirty.
func (x *index) reset(found replayed) []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	dirty := found.dirty
	x.entries = recall.New(math.MaxInt, (*entry).near, nil)
	x.dirty, x.list, x.queue = len(dirty), nil, nil
	x.unreadable = found.unreadable
	listed := make([]*entry, 0, len(dirty))
	for key, m := range dirty {
		listed = append(listed, x.entries.Put(key, 1, entry{image: m, dirty: true, listed: true}, nil))
	}
	return listed
}

// get returns the image; when there is none, the buckets have the newest, unless nobody knows.
func (x *index) get(key []byte) (m image, ok bool, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.entries.GetBytes(key); e != nil {
		return e.image, true, nil
	}
	return image{}, false, x.trouble(key)
}

// entry returns the entry, or nil; or why nobody knows which record of the account is the newest. It is for the writer,
// and stays in the index until the writer publishes, folds, or looks at the disk anew.
func (x *index) entry(key []byte) (*entry, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.entries.GetBytes(key), x.trouble(key)
}

// expect is told of keys whose entries will be asked for.
func (x *index) expect(keys []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.entries.Expect(keys)
}

// trouble needs the lock.
func (x *index) trouble(key []byte) error {
	if len(x.unreadable) == 0 {
		return nil
	}
	return x.unreadable[string(key)].err
}

// troubles are the accounts of which that is not known.
func (x *index) troubles() map[string]unreadable {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.unreadable // which nobody changes
}

func (x *index) dirtyCount() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.dirty
}

// take takes the list, for a fold that looks at each of them.
func (x *index) take() []*entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := x.list
	x.list = nil
	return list
}

// publish takes over what a group has written: states that went to the journal are dirty, those that went to
// the buckets are not.
func (x *index) publish(group []*touched, filed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range group {
		e := t.entry
		switch {
		case e == nil:
			e = x.entries.Put(t.image.key, 1, entry{image: t.image}, nil)
		case t.changed:
			e.devices, e.state = t.image.devices, t.image.state
		}
		switch {
		case t.changed && !filed:
			x.soil(e)
		case t.changed || !e.dirty:
			x.clean(e)
		}
	}
	x.forget() // not before all of the group are as they are: one that had gone could not be brought back
}

// folded takes over that the buckets have these states of these entries; "": what they had. Entries that have changed
// since are for the next fold.
func (x *index) folded(entries []*entry, states []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, e := range entries {
		e.listed = false
		switch {
		case !e.dirty: // it went to the file since, perhaps from the index, and another may have its place
		case e.state == states[i]:
			x.clean(e)
		default:
			x.soil(e)
		}
	}
	x.forget()
}

// soil has the next fold look at an entry, unless it is listed.
func (x *index) soil(e *entry) {
	if !e.dirty {
		e.dirty = true
		x.dirty++
	}
	if !e.listed {
		e.listed = true
		x.list = append(x.list, e)
	}
}

// clean keeps an entry that the buckets have too.
func (x *index) clean(e *entry) {
	if e.dirty {
		e.dirty = false
		x.dirty--
	}
	if e.queued {
		e.used = true
		return
	}
	e.queued, e.used = true, false
	x.queue = append(x.queue, e)
}

// forget has the first of the queue go until it is as long as it may be.
func (x *index) forget() {
	for chances := maxChances; len(x.queue) > x.capacity; {
		e := x.queue[0]
		x.queue[0], x.queue = nil, x.queue[1:]
		switch {
		case e.dirty: // it comes back when it is folded
			e.queued = false
		case e.used && chances > 0:
			chances--
			e.used = false
			x.queue = append(x.queue, e)
		default:
			e.queued = false
			x.entries.Delete(e.key)
		}
	}
}
