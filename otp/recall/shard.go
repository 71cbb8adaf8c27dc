package recall

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	fewest     = 8  // slots of a table
	maxChances = 64 // how many that were used the hand passes before it takes one that was
)

// A shard has the items of some hashes.
type shard[V any] struct {
	mu    sync.Mutex // of who changes it
	table atomic.Pointer[table[V]]
	live  int // slots with an item
	taken int // slots that are not free
	hand  int

	weight int64 // of all items
}

// A table is read while it is changed: a slot that is taken keeps its hash, with another item, or none. When too many
// slots are taken, another table takes its place.
type table[V any] struct {
	slots []slot[V] // a power of two, of which at least a quarter is free; in the order of the hashes, about
	shift int
}

func newTable[V any](slots int) *table[V] {
	return &table[V]{make([]slot[V], slots), 64 - bits.TrailingZeros(uint(slots))}
}

type slot[V any] struct {
	hash atomic.Uint64 // 0: it is free; written after the item
	item atomic.Pointer[item[V]]
}

type item[V any] struct {
	name   string
	weight int32
	used   atomic.Bool // since the hand came by
	value  V
}

// use marks the item as used. To write it each time would cost those who read it beside us.
func (it *item[V]) use() {
	if !it.used.Load() {
		it.used.Store(true)
	}
}

// from is the slot from which on one with the hash is looked for: by the highest bits but the first, which all have.
func (t *table[V]) from(hash uint64) int { return int(hash << 1 >> t.shift) }

func find[V any, N string | []byte](t *table[V], hash uint64, name N) *item[V] {
	for i := t.from(hash); ; i++ {
		switch s := &t.slots[i&(len(t.slots)-1)]; s.hash.Load() {
		case 0:
			return nil
		case hash:
			if it := s.item.Load(); it != nil && it.name == string(name) {
				return it
			}
		}
	}
}

// likely is the item with the hash, whatever its name; nil: there is none.
func (t *table[V]) likely(hash uint64) *item[V] {
	for i := t.from(hash); ; i++ {
		switch s := &t.slots[i&(len(t.slots)-1)]; s.hash.Load() {
		case 0:
			return nil
		case hash:
			if it := s.item.Load(); it != nil {
				return it
			}
		}
	}
}

// place is the slot of the item; of one that is not there, the one for it.
func (t *table[V]) place(hash uint64, name string) *slot[V] {
	var left *slot[V]
	for i := t.from(hash); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		switch s.hash.Load() {
		case 0:
			if left != nil {
				return left
			}
			return s
		case hash:
			if it := s.item.Load(); it == nil {
				left = s
			} else if it.name == name {
				return s
			}
		}
	}
}

func (s *shard[V]) reset() {
	s.live, s.taken, s.hand = 0, 0, 0
	s.table.Store(newTable[V](fewest))
}

func (s *shard[V]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// put has an item take the place of the one of its name, if there is one, and returns what that weighs more. It needs the
// lock, as all that follow.
func (s *shard[V]) put(hash uint64, it *item[V]) (more int64) {
	if t := s.table.Load(); (s.taken+1)*4 > len(t.slots)*3 {
		s.rebuild()
	}
	into := s.table.Load().place(hash, it.name)
	more = int64(it.weight)
	if before := into.item.Load(); before != nil {
		more -= int64(before.weight)
	} else {
		s.live++
	}
	into.item.Store(it)
	if into.hash.Load() == 0 {
		s.taken++
		into.hash.Store(hash)
	}
	s.weight += more
	return more
}

// rebuild makes room: half of the slots of the new table are free, and none is taken for nothing. The hand stays where it
// is among the items, or those that it comes to first would have no chance.
func (s *shard[V]) rebuild() {
	before := s.table.Load()
	t := newTable[V](max(fewest, 1<<bits.Len(uint(2*s.live))))
	for i := range before.slots {
		it := before.slots[i].item.Load()
		if it == nil {
			continue
		}
		hash := before.slots[i].hash.Load()
		j := t.from(hash)
		for t.slots[j].hash.Load() != 0 {
			j = (j + 1) & (len(t.slots) - 1)
		}
		t.slots[j].item.Store(it)
		t.slots[j].hash.Store(hash)
	}
	s.taken, s.hand = s.live, s.hand%len(before.slots)*len(t.slots)/len(before.slots)
	s.table.Store(t)
}

// remove returns what that weighs more, which is less.
func (s *shard[V]) remove(hash uint64, name string) (more int64) {
	from := s.table.Load().place(hash, name)
	if it := from.item.Load(); it != nil {
		s.empty(from, it)
		return -int64(it.weight)
	}
	return 0
}

// evict removes an item whose turn it is, and returns it. There MUST be one.
func (s *shard[V]) evict() *item[V] {
	t := s.table.Load()
	for chances := min(maxChances, s.live); ; {
		from := &t.slots[s.hand&(len(t.slots)-1)]
		s.hand++
		it := from.item.Load()
		switch {
		case it == nil:
		case chances > 0 && it.used.Load():
			chances--
			it.used.Store(false)
		default:
			s.empty(from, it)
			return it
		}
	}
}

func (s *shard[V]) empty(from *slot[V], it *item[V]) {
	from.item.Store(nil)
	s.live--
	s.weight -= int64(it.weight)
}
