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
	dirty map[string]image // newer than the bucket of states
	// Folded records, in two generations: what was not used while the younger one filled up
	// goes with the older one.
	young, old map[string]image
	capacity   int // of a generation
}

func newIndex(remembered int) *index {
	x := &index{capacity: max(remembered/2, 1)}
	x.reset(nil)
	return x
}

// reset forgets everything but the dirty images given.
func (x *index) reset(dirty map[string]image) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if dirty == nil {
		dirty = make(map[string]image)
	}
	x.dirty, x.young, x.old = dirty, make(map[string]image), nil
}

// get returns the image; when there is none, the buckets have the newest.
func (x *index) get(key []byte) (m image, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if m, ok = x.dirty[string(key)]; ok {
		return m, true
	}
	if m, ok = x.young[string(key)]; ok {
		return m, true
	}
	m, ok = x.old[string(key)]
	return m, ok
}

func (x *index) dirtyImage(key string) (image, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	m, ok := x.dirty[key]
	return m, ok
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
func (x *index) publish(group []*touched, filed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range group {
		switch key := t.image.key; {
		case !t.changed:
			if _, dirty := x.dirty[key]; !dirty {
				x.remember(t.image)
			}
		case filed:
			delete(x.dirty, key)
			x.remember(t.image)
		default:
			x.dirty[key] = t.image
			delete(x.young, key)
			delete(x.old, key)
		}
	}
}

// folded takes over that the buckets have the states of these accounts. When a fold is over, few are dirty, and there
// may have been many: a map does not give back its room.
func (x *index) folded(keys []string, over bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, key := range keys {
		if m, dirty := x.dirty[key]; dirty {
			delete(x.dirty, key)
			x.remember(m)
		}
	}
	if over {
		few := make(map[string]image, len(x.dirty))
		maps.Copy(few, x.dirty)
		x.dirty = few
	}
}

// remember keeps an image that the buckets have too.
func (x *index) remember(m image) {
	delete(x.old, m.key)
	x.young[m.key] = m
	if len(x.young) >= x.capacity {
		x.old, x.young = x.young, make(map[string]image)
	}
}
