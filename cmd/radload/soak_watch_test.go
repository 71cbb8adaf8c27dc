//go:build soak

package main

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/otp/redisstore/redistest"
)

// Names of events that nobody has brought about, and that have the consequences of a failover: what came meanwhile has to
// be done at once.
const (
	stoodStill = "machine stood still"
	redisSlow  = "redis slow to answer"
)

// stillness is how long something has to take to be told of: after half a second without an answer one client has all
// places at a node that it can have.
const stillness = 300 * time.Millisecond

// watch looks for what hinders a soak from outside: a host that gives this machine no processor, and a disk that Redis
// waits for.
type watch struct {
	ended chan struct{}
	all   sync.WaitGroup

	mu   sync.Mutex
	seen []event
}

// newWatch begins to look, at these servers of Redis among others.
func newWatch(redis ...string) *watch {
	w := &watch{ended: make(chan struct{})}
	w.all.Go(func() {
		last := time.Now()
		w.every(20*time.Millisecond, func() {
			w.note(stoodStill, last)
			last = time.Now()
		})
	})
	for _, addr := range redis {
		w.all.Go(func() {
			w.every(100*time.Millisecond, func() {
				began := time.Now()
				if strings.Contains(ask(addr, "ROLE"), "master") { // nobody waits for a replica, or for one that is gone
					w.note(redisSlow, began)
				}
			})
		})
	}
	return w
}

func (w *watch) every(period time.Duration, do func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-w.ended:
			return
		case <-tick.C:
			do()
		}
	}
}

// note keeps what began then and is over, if it was long.
func (w *watch) note(name string, began time.Time) {
	now := time.Now()
	if now.Sub(began) < stillness {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, event{at: began, over: now, name: name})
}

// end stops to look, and returns what was seen.
func (w *watch) end() []event {
	close(w.ended)
	w.all.Wait()
	return w.seen
}

// TestWatchSoak sees that a master does not answer for a while.
func TestWatchSoak(t *testing.T) {
	master := redistest.Start(t)
	w := newWatch(master.Addr)
	master.Freeze()
	began := time.Now()
	<-time.After(2 * stillness)
	master.Thaw()
	await(t, "the watch to see it", nil, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.seen, func(e event) bool { return e.name == redisSlow })
	})
	for _, e := range w.end() {
		if e.name == redisSlow && (e.at.After(began.Add(stillness)) || e.over.Sub(e.at) < stillness) {
			t.Errorf("%s from %s to %s, and it began at %s", e.name, e.at, e.over, began)
		}
	}
}
