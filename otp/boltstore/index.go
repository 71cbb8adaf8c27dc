package boltstore

import (
	"maps"
	"slices"
	"sync"
)

// index holds the records that were used last, and all that are not folded yet. The writer
// changes it; others may look.
type index struct {
	mu    sync.RWMutex
	dirty map[string]*record // newer than the bucket of states
	// Folded records, in two generations: what was not used while the younger one filled up
	// goes with the older one.
	young, old map[string]*record
	capacity   int // of a generation
}

func newIndex(remembered int) *index {
	x := &index{capacity: max(remembered/2, 1)}
	x.reset(nil)
	return x
}

// reset forgets everything but the dirty records given.
func (x *index) reset(dirty map[string]*record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if dirty == nil {
		dirty = make(map[string]*record)
	}
	x.dirty, x.young, x.old = dirty, make(map[string]*record), nil
}

// get returns the record, or nil: then the buckets have the newest.
func (x *index) get(key string) *record {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if r := x.dirty[key]; r != nil {
		return r
	}
	if r := x.young[key]; r != nil {
		return r
	}
	return x.old[key]
}

func (x *index) dirtyRecord(key string) *record {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.dirty[key]
}

func (x *index) dirtyCount() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.dirty)
}

func (x *index) dirtyKeys() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Collect(maps.Keys(x.dirty))
}

// publish takes over what a group has written: states that went to the journal are dirty, those that went to
// the buckets are not.
func (x *index) publish(touched map[string]*touched, filed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, t := range touched {
		switch {
		case !t.changed:
			if x.dirty[key] == nil {
				x.remember(key, t.record)
			}
		case filed:
			delete(x.dirty, key)
			x.remember(key, t.record)
		default:
			x.dirty[key] = t.record
			delete(x.young, key)
			delete(x.old, key)
		}
	}
}

// folded takes over that the buckets have the states of these accounts.
func (x *index) folded(keys []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, key := range keys {
		if r := x.dirty[key]; r != nil {
			delete(x.dirty, key)
			x.remember(key, r)
		}
	}
}

// remember keeps a record that the buckets have too.
func (x *index) remember(key string, r *record) {
	delete(x.old, key)
	x.young[key] = r
	if len(x.young) >= x.capacity {
		x.old, x.young = x.young, make(map[string]*record)
	}
}
