package audit

import (
	"sync"
	"time"
)

// lost counts events that are not in the trail, until the trail itself says so.
type lost struct {
	mu    sync.Mutex
	count int64
	since time.Time
	cause error // of the newest one
}

func (l *lost) add(n int64, at time.Time, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		l.since = at
	}
	l.count, l.cause = l.count+n, cause
}

func (l *lost) all() (n int64, since time.Time, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.since, l.cause
}

// told takes away those that the trail knows of now.
func (l *lost) told(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count -= n
}

// moment is when something was last complained of.
type moment struct{ at time.Time }

// due reports whether a minute has passed since it last was, or the clock went back.
func (m *moment) due(now time.Time) bool {
	if since := now.Sub(m.at); since >= 0 && since < complainEvery {
		return false
	}
	m.at = now
	return true
}
