// Package crew runs functions in goroutines that stay for the next one: a goroutine that was just made has a
// small stack, and what a login needs would be copied into a larger one time and again.
package crew

import (
	"sync"
	"time"
)

const (
	// most is how many wait for work at most. More are made when there is work for them.
	most = 16
	// idleTime is how long at least one waits that is not needed, and at most twice as long.
	idleTime = 10 * time.Second
)

// A Crew has as many goroutines as there is work for. The zero value is ready.
type Crew struct {
	mu      sync.Mutex
	idle    []*member // the last one was the last to work: its stack is in the cache
	unused  int       // so many of the first have not been needed since the timer was set
	timer   *time.Timer
	dismiss bool // nobody waits any more
}

// member waits for work; nil is the end.
type member struct{ work chan func() }

// Go runs f in a goroutine of its own. It never waits for another: where nobody is idle, one more is made.
// A panic of f is that of the process, as with any goroutine.
func (c *Crew) Go(f func()) {
	c.mu.Lock()
	last := len(c.idle) - 1
	if last < 0 {
		c.mu.Unlock()
		go c.stay(f)
		return
	}
	m := c.idle[last]
	c.idle[last], c.idle = nil, c.idle[:last]
	c.unused = min(c.unused, last)
	c.mu.Unlock()
	m.work <- f // it has room for one
}

// stay works until nobody needs it.
func (c *Crew) stay(f func()) {
	m := &member{work: make(chan func(), 1)}
	for f != nil {
		f()
		f = nil // it may hold much while this one waits
		if !c.wait(m) {
			return
		}
		f = <-m.work
	}
}

// wait is false when enough wait already.
func (c *Crew) wait(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dismiss || len(c.idle) >= most {
		return false
	}
	if c.idle = append(c.idle, m); len(c.idle) == 1 && c.timer == nil {
		c.unused, c.timer = 0, time.AfterFunc(idleTime, c.thin)
	}
	return true
}

// thin sends those away who were not needed for as long as the timer took.
func (c *Crew) thin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dismiss {
		return
	}
	c.send(c.unused)
	c.unused = len(c.idle)
	if c.unused == 0 {
		c.timer = nil
		return
	}
	c.timer = time.AfterFunc(idleTime, c.thin)
}

// send sends the first ones away. It is called with the mutex held.
func (c *Crew) send(number int) {
	for _, m := range c.idle[:number] {
		m.work <- nil
	}
	left := copy(c.idle, c.idle[number:])
	clear(c.idle[left:])
	c.idle = c.idle[:left]
}

// Dismiss sends those away who are idle, and the others when they have done their work. What is to be run
// after it is run.
func (c *Crew) Dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismiss = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.send(len(c.idle))
}
