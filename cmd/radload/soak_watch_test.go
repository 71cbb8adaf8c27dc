//go:build soak

package main

import (
	"fmt"
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

// stillness is how long something has to take to count as an event: after half a second without an answer one client has
// all places at a node that it can have, 3,072 of 4,096. While the other node is ended all comes to one, and 270 ms would
// do, of which who asks every 100 ms may see 170: that is for whoever reads of hitches to see, and no reason for a line.
const stillness = 300 * time.Millisecond

// hitch is what is told of beside a line that nobody expects, and explains none.
const hitch = 50 * time.Millisecond

// watch looks for what hinders a soak from outside: a host that gives this machine no processor, and a disk that Redis
// waits for.
type watch struct {
	ended chan struct{}
	all   sync.WaitGroup

	mu      sync.Mutex
	hitches []event // of stillness or more too
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
	if now.Sub(began) < hitch {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hitches = append(w.hitches, event{at: began, over: now, name: name})
}

// end stops to look, and returns what was seen.
func (w *watch) end() []event {
	close(w.ended)
	w.all.Wait()
	return w.hitches
}

// took is how long it went on.
func (e *event) took() time.Duration { return e.over.Sub(e.at) }

// still is what of it was long.
func still(hitches []event) (long []event) {
	for _, e := range hitches {
		if e.took() >= stillness {
			long = append(long, e)
		}
	}
	return long
}

// longest says what took longest of what was seen in the seconds before; "" when nothing was.
func longest(hitches []event, before time.Time) string {
	const near = 5 * time.Second
	var most event
	for _, e := range hitches {
		if e.at.Before(before) && e.over.After(before.Add(-near)) && e.took() > most.took() {
			most = e
		}
	}
	if most.at.IsZero() {
		return ""
	}
	return fmt.Sprintf(", %s after %s for %s", before.Sub(most.at).Round(time.Millisecond), most.name, most.took().Round(time.Millisecond))
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
		return slices.ContainsFunc(still(w.hitches), func(e event) bool { return e.name == redisSlow })
	})
	hitches := w.end()
	for _, e := range still(hitches) {
		if e.name == redisSlow && e.at.After(began.Add(stillness)) {
			t.Errorf("%s from %s to %s, and it began at %s", e.name, e.at, e.over, began)
		}
	}
	if told := longest(hitches, time.Now()); !strings.Contains(told, redisSlow) {
		t.Errorf("what took longest: %q", told)
	}
	if told := longest(hitches, time.Now().Add(time.Hour)); told != "" {
		t.Errorf("an hour later: %q", told)
	}
}
