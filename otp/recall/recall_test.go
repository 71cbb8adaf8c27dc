package recall

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// TestItIsAMap as long as nothing has to go: whatever is put, replaced, deleted and put again.
func TestItIsAMap(t *testing.T) {
	c, model := New[int](1<<20, nil, nil), map[string]int{}
	lot := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		name := fmt.Sprint(lot.IntN(5_000))
		switch lot.IntN(3) {
		case 0:
			c.Delete(name)
			delete(model, name)
		default:
			if got := c.Put(name, 1, i, nil); *got != i {
				t.Fatalf("%d was put, and it is %d", i, *got)
			}
			model[name] = i
		}
		other := fmt.Sprint(lot.IntN(6_000))
		want, is := model[other]
		for what, got := range map[string]*int{"Get": c.Get(other), "GetBytes": c.GetBytes([]byte(other))} {
			if is != (got != nil) || is && *got != want {
				t.Fatalf("%s of %s: %v, want %d, %t", what, other, got, want, is)
			}
		}
	}
	if c.Len() != len(model) || int(c.weight.Load()) != len(model) {
		t.Errorf("%d values, of weight %d, want %d", c.Len(), c.weight.Load(), len(model))
	}
}

// TestTablesDoNotGrowByWhatIsGone: names come and go, and no shard has more slots than what is there needs.
func TestTablesDoNotGrowByWhatIsGone(t *testing.T) {
	c := New[int](1000, nil, nil)
	for i := range 300_000 {
		c.Put(fmt.Sprint(i), 1, i, nil)
	}
	slots := 0
	for i := range c.shards {
		slots += len(c.shards[i].table.Load().slots)
	}
	if slots > 8*1000 {
		t.Errorf("%d slots for 1,000 values", slots)
	}
}

func TestKeepDecidesWhatStays(t *testing.T) {
	c := New[int](10, nil, nil)
	higher := func(than int) func(*int) bool { return func(before *int) bool { return *before > than } }
	for _, step := range []struct{ put, want int }{{3, 3}, {2, 3}, {4, 4}, {1, 4}} {
		if got := *c.Put("a", 1, step.put, higher(step.put)); got != step.want || *c.Get("a") != step.want {
			t.Errorf("%d was put: %d, then %d, want %d", step.put, got, *c.Get("a"), step.want)
		}
	}
}

// TestNoMoreThanMayBe: by weight, in whichever shard, and whoever had to go is told of once.
func TestNoMoreThanMayBe(t *testing.T) {
	gone := map[int]int{}
	c := New(100, nil, func(v *int) { gone[*v]++ })
	for i := range 500 {
		c.Put(fmt.Sprint(i), int32(1+i%3), i, nil)
		if w := c.weight.Load(); w > 100 {
			t.Fatalf("a weight of %d", w)
		}
	}
	if c.weight.Load() < 97 || len(gone)+c.Len() != 500 {
		t.Errorf("a weight of %d; %d are there, and %d gone", c.weight.Load(), c.Len(), len(gone))
	}
	for v, times := range gone {
		if times != 1 || c.Get(fmt.Sprint(v)) != nil {
			t.Errorf("%d went %d times, and is there: %t", v, times, c.Get(fmt.Sprint(v)) != nil)
		}
	}
	before := c.Len()
	for i := range 500 {
		c.Delete(fmt.Sprint(i))
	}
	if len(gone)+before != 500 || c.Len() != 0 || c.weight.Load() != 0 {
		t.Errorf("after all were deleted: %d gone, %d there, of weight %d", len(gone), c.Len(), c.weight.Load())
	}
	c.Put("heavy", 101, -1, nil)
	if c.Len() != 0 || gone[-1] != 1 {
		t.Error("what is heavier than all that may be stays")
	}
}

// TestNobodyGoesWhileThereIsRoom, however the names fall into shards.
func TestNobodyGoesWhileThereIsRoom(t *testing.T) {
	for _, size := range []int{1, 10, 1000} {
		c := New(size, nil, func(v *int) { t.Errorf("%d of %d went", *v, size) })
		for i := range size {
			c.Put(fmt.Sprint(i), 1, i, nil)
		}
		if c.Len() != size {
			t.Errorf("%d of %d are there", c.Len(), size)
		}
	}
}

// TestWhoIsAskedForStays while others, whom nobody asks for, come and go.
func TestWhoIsAskedForStays(t *testing.T) {
	c := New[int](10_000, nil, nil)
	for i := range 5_000 {
		c.Put(fmt.Sprint("regular", i), 1, i, nil)
	}
	for i := range 100_000 {
		c.Put(fmt.Sprint("passer-by", i), 1, i, nil)
		if i%10 == 0 {
			for n := range 50 {
				c.Get(fmt.Sprint("regular", (5*i+n)%5_000))
			}
		}
	}
	left := 0
	for i := range 5_000 {
		if c.Get(fmt.Sprint("regular", i)) != nil {
			left++
		}
	}
	if left < 4_400 { // some go in the first round, in which everybody is new
		t.Errorf("%d of 5,000 are left", left)
	}
}

// TestAShardKeepsItsShare, however long others come and go: where names fall by chance, what goes may not go by turns.
func TestAShardKeepsItsShare(t *testing.T) {
	const share = 100
	c := New[int](share*shards, nil, nil)
	for i := range 200_000 {
		c.Put(fmt.Sprint(i), 1, i, nil)
	}
	for i := range c.shards {
		if w := c.shards[i].weight; w < share-20 || w > share+20 {
			t.Errorf("shard %d has %d, want about %d", i, w, share)
		}
	}
}

func TestResize(t *testing.T) {
	gone := 0
	c := New(1000, nil, func(*int) { gone++ })
	for i := range 1000 {
		c.Put(fmt.Sprint(i), 1, i, nil)
	}
	c.Resize(10)
	if c.Len() != 10 || gone != 990 {
		t.Errorf("%d are left, %d went", c.Len(), gone)
	}
	c.Resize(20)
	for i := range 15 {
		c.Put(fmt.Sprint("new", i), 1, i, nil)
	}
	if c.Len() != 20 {
		t.Errorf("%d are there, want 20", c.Len())
	}
}

// TestExpectChangesNothing: not for names that are not there, nor for more than go together, nor for texts that are empty.
func TestExpectChangesNothing(t *testing.T) {
	c := New(1000, func(v *string) Near { return Near{*v, ""} }, nil)
	var names []string
	for i := range 3*together + 1 {
		names = append(names, fmt.Sprint(i))
	}
	for _, n := range []int{0, 1, together, together + 1, len(names)} {
		c.Expect(names[:n])
		if c.Len() != 0 {
			t.Fatalf("%d values after %d names were expected", c.Len(), n)
		}
	}
	c.Put("", 1, "", nil)
	for i, name := range names {
		c.Put(name, 1, fmt.Sprintf("%0*d", i, i), nil)
	}
	c.Expect(append(names, ""))
	for i, name := range names {
		if got := c.Get(name); got == nil || *got != fmt.Sprintf("%0*d", i, i) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestReadersSeeWhatWriters do, whole, and never what was deleted before they asked.
func TestReadersSeeWhatWritersDo(t *testing.T) {
	type pair struct{ a, b int }
	c := New[pair](2_000, nil, nil)
	var wg sync.WaitGroup
	var stop atomic.Bool
	for w := range 2 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				name := fmt.Sprint(w, "-", i%1500)
				c.Put(name, 1, pair{i, i}, nil)
				if i%7 == 0 {
					c.Delete(name)
					if c.Get(name) != nil { // each writer has names of its own
						t.Error("what was deleted is there")
						return
					}
				} else if i%5 == 0 {
					c.Resize(1_000 + i%1_000)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			lot := rand.New(rand.NewPCG(3, 4))
			for !stop.Load() {
				name := fmt.Sprint(lot.IntN(2), "-", lot.IntN(1500))
				c.Expect([]string{name})
				if v := c.Get(name); v != nil && v.a != v.b {
					t.Error("half a value")
					return
				}
			}
		})
	}
	lot := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		c.GetBytes(fmt.Appendf(nil, "%d-%d", lot.IntN(2), lot.IntN(1500)))
	}
	stop.Store(true)
	wg.Wait()
	if n := c.Len(); n > 2_000 || int64(n) != c.weight.Load() {
		t.Errorf("%d values of weight %d", n, c.weight.Load())
	}
}

func TestALookUpAllocatesNothing(t *testing.T) {
	c, people := population(1000)
	names := make([]string, together)
	for i := range names {
		names[i] = nameOf(people[i])
	}
	octets := []byte(names[7])
	for what, do := range map[string]func(){
		"Get": func() { c.Get(names[7]) }, "GetBytes": func() { c.GetBytes(octets) }, "Expect": func() { c.Expect(names) },
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

type person struct {
	text string
	more [10]uint64
}

// population is a cache of so many people, and their numbers in an order in which neighbours lie far apart.
func population(n int) (*Cache[person], []int) {
	c := New(n, func(p *person) Near { return Near{p.text} }, nil)
	for i := range n {
		text := fmt.Sprintf("%s%0200d", nameOf(i), i)
		c.Put(text[:8], 1, person{text: text[8:]}, nil)
	}
	return c, rand.New(rand.NewPCG(1, 2)).Perm(n)
}

func nameOf(i int) string { return strconv.Itoa(10_000_000 + i) }

// BenchmarkLookUp is what a look-up costs among few names and among many, one after the other and expected.
func BenchmarkLookUp(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		c, people := population(size)
		for _, expected := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d names, expected %t", size, expected), func(b *testing.B) {
				var batch [together]string
				sum := 0
				for i := 0; i < b.N; i += together {
					for n := range batch {
						batch[n] = nameOf(people[(i+n)%size])
					}
					if expected {
						c.Expect(batch[:])
					}
					for _, name := range batch {
						v := c.Get(name)
						sum += int(v.text[0]) + int(v.text[len(v.text)-1]) + int(v.more[9])
					}
				}
				if sum == 0 {
					b.Error("nothing was read")
				}
			})
		}
	}
}
