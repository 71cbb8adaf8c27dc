package crew

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// waiting is how many are idle.
func (c *Crew) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

// together has so many work at the same time.
func together(c *Crew, number int) {
	var begun, all sync.WaitGroup
	begun.Add(number)
	all.Add(number)
	for range number {
		c.Go(func() {
			defer all.Done()
			begun.Done()
			begun.Wait() // which takes all of them
		})
	}
	all.Wait()
	synctest.Wait()
}

func TestNobodyWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		hanging := make(chan struct{})
		c.Go(func() { <-hanging })
		together(&c, 3*most)
		if n := c.waiting(); n != most {
			t.Errorf("%d wait, want %d", n, most)
		}
		together(&c, 3)
		if n := c.waiting(); n != most {
			t.Errorf("%d wait after others have worked, want %d", n, most)
		}
		close(hanging)
		c.Dismiss()
		together(&c, 2) // still done; the bubble ends only when nobody is left
		if n := c.waiting(); n != 0 {
			t.Errorf("%d wait after the end", n)
		}
	})
}

func TestWhoIsNotNeededLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Crew
		together(&c, 5)
		for range 20 { // two of them are needed all the time
			<-time.After(idleTime / 4)
			together(&c, 2)
		}
		if n := c.waiting(); n != 2 {
			t.Errorf("%d wait, want the two that are needed", n)
		}
		<-time.After(2*idleTime + time.Second)
		synctest.Wait()
		if n := c.waiting(); n != 0 {
			t.Errorf("%d wait for nothing", n)
		}
		together(&c, 1)
		if n := c.waiting(); n != 1 {
			t.Errorf("%d wait after a pause, want 1", n)
		}
		<-time.After(2*idleTime + time.Second) // without Dismiss: they leave by themselves
	})
}

// TestWorkIsDoneOnce has many give work at once.
func TestWorkIsDoneOnce(t *testing.T) {
	var c Crew
	defer c.Dismiss()
	var givers, work sync.WaitGroup
	var mu sync.Mutex
	done := map[int]int{}
	for giver := range 8 {
		givers.Go(func() {
			for i := range 500 {
				work.Add(1)
				c.Go(func() {
					defer work.Done()
					mu.Lock()
					defer mu.Unlock()
					done[giver*500+i]++
				})
			}
		})
	}
	givers.Wait()
	work.Wait()
	for i := range 4000 {
		if done[i] != 1 {
			t.Fatalf("%d was done %d times", i, done[i])
		}
	}
}
