package recall

import "runtime"

const (
	together = 64 // names that go through the steps together: as many as a batch of packets has
	line     = 64 // octets that a processor reads at once
)

// Expect is told of names that Get will be called for. What that will read it reads in steps, each step for all of
// them: where that is not in the processor's cache it is waited for once for many, and not once for each. A step does
// next to nothing besides, because a processor looks but so many instructions ahead for what else it may read.
func (c *Cache[V]) Expect(names []string) {
	for len(names) > together {
		c.expect(names[:together])
		names = names[together:]
	}
	c.expect(names)
}

func (c *Cache[V]) expect(names []string) {
	var (
		tables [together]*table[V]
		hashes [together]uint64
		items  [together]*item[V]
		texts  [together]string
		near   [2 * together]string
		seen   uint64
	)
	n := min(len(names), together)
	for i, name := range names[:n] {
		hashes[i] = c.hash(name)
		tables[i] = c.of(hashes[i]).table.Load()
	}
	for i, t := range tables[:n] {
		seen |= t.slots[t.from(hashes[i])].hash.Load()
	}
	found := 0
	for i, t := range tables[:n] {
		if it := t.likely(hashes[i]); it != nil {
			items[found] = it
			found++
		}
	}
	for i, it := range items[:found] {
		texts[i] = it.name
	}
	for i, it := range items[:found] {
		texts := c.near(&it.value)
		near[2*i], near[2*i+1] = texts[0], texts[1]
	}
	for _, text := range texts[:found] {
		seen |= first(text)
	}
	for _, text := range near[:2*found] {
		seen |= first(text)
	}
	for _, text := range near[:2*found] {
		for at := line; at < len(text); at += line {
			seen |= uint64(text[at])
		}
		seen |= last(text)
	}
	runtime.KeepAlive(seen) // or the compiler would leave out what is read for nothing
}

func first(text string) uint64 {
	if text == "" {
		return 0
	}
	return uint64(text[0])
}

func last(text string) uint64 {
	if text == "" {
		return 0
	}
	return uint64(text[len(text)-1])
}
