package recall

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	shardBits = 6
	shards    = 1 << shardBits
)

// A Cache remembers values by name. It is safe for concurrent use, in which nobody changes a value that is remembered: whoever
// does has to keep everybody else from it.
type Cache[V any] struct {
	seed    maphash.Seed
	shards  [shards]shard[V]
	weight  atomic.Int64 // of all items
	maximum atomic.Int64
	turn    atomic.Uint32 // the shard that forgot one last
	near    func(value *V) Near
	evicted func(value *V)
}

// Near are texts that are read with a value: as much of them as is needed to know where they lie.
type Near [2]string

// New returns a cache of values that weigh so much together, at most. near says what will be read with a value, so that
// [Cache.Expect] reads that too; nil: nothing. evicted is told of each value that was forgotten because there was too
// much, by whoever brought more; nil: nobody is. It MUST NOT block.
func New[V any](maximum int, near func(value *V) Near, evicted func(value *V)) *Cache[V] {
	if near == nil {
		near = func(*V) (none Near) { return none }
	}
	c := &Cache[V]{seed: maphash.MakeSeed(), near: near, evicted: evicted}
	c.maximum.Store(int64(maximum))
	for i := range c.shards {
		c.shards[i].reset()
	}
	return c
}

// Get returns what is remembered; nil: nothing.
func (c *Cache[V]) Get(name string) *V {
	hash := c.hash(name)
	it := find(c.of(hash).table.Load(), hash, name)
	if it == nil {
		return nil
	}
	it.use()
	return &it.value
}

// GetBytes is Get of a name that is not a string. It does not keep it.
func (c *Cache[V]) GetBytes(name []byte) *V {
	hash := c.hashOf(maphash.Bytes(c.seed, name))
	it := find(c.of(hash).table.Load(), hash, name)
	if it == nil {
		return nil
	}
	it.use()
	return &it.value
}

// Put remembers a value that weighs so much, and returns what is remembered now: what was there, if keep says so of it.
// keep may be nil. The name is not copied: it should not be a part of something longer that nobody else needs.
func (c *Cache[V]) Put(name string, weight int32, value V, keep func(before *V) bool) *V {
	it := &item[V]{name: name, weight: weight, value: value}
	it.used.Store(true) // it stays for a round
	now := c.put(c.hash(name), it, keep)
	c.trim()
	return now
}

func (c *Cache[V]) put(hash uint64, it *item[V], keep func(before *V) bool) *V {
	s := c.of(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := find(s.table.Load(), hash, it.name)
	if before != nil && keep != nil && keep(&before.value) {
		return &before.value
	}
	c.weight.Add(s.put(hash, it))
	return &it.value
}

// Delete forgets a value.
func (c *Cache[V]) Delete(name string) {
	hash := c.hash(name)
	s := c.of(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.weight.Add(s.remove(hash, name))
}

// Resize has the values weigh so much together, at most.
func (c *Cache[V]) Resize(maximum int) {
	c.maximum.Store(int64(maximum))
	c.trim()
}

// Len is how many values are remembered.
func (c *Cache[V]) Len() (n int) {
	for i := range c.shards {
		n += c.shards[i].len()
	}
	return n
}

// trim forgets values until there is no more than may be: of one shard after the other, where more is than its share, which
// is somewhere. So each has what names happen to fall into it, and what it keeps depends on no other one.
func (c *Cache[V]) trim() {
	for maximum := c.maximum.Load(); c.weight.Load() > maximum; maximum = c.maximum.Load() {
		it := c.evict(&c.shards[c.turn.Add(1)%shards], maximum/shards)
		if it != nil && c.evicted != nil {
			c.evicted(&it.value)
		}
	}
}

func (c *Cache[V]) evict(s *shard[V], share int64) *item[V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.weight <= share {
		return nil
	}
	it := s.evict()
	c.weight.Add(-int64(it.weight))
	return it
}

func (c *Cache[V]) hash(name string) uint64 { return c.hashOf(maphash.String(c.seed, name)) }

// hashOf is never 0, which is that of a free slot.
func (c *Cache[V]) hashOf(sum uint64) uint64 { return sum | 1<<63 }

func (c *Cache[V]) of(hash uint64) *shard[V] { return &c.shards[hash%shards] }
