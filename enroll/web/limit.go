package web

import (
	"container/list"
	"sync"
	"time"
)

// A Limit lets each key through so often: a bucket of tokens per key, in a table of a fixed size.
// When the table is full, the key seen longest ago makes room: what it had left is forgotten,
// which is in its favour. It is safe for concurrent use.
type Limit[K comparable] struct {
	burst float64
	every time.Duration // one token
	size  int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[K]*list.Element
	recent  *list.List // of *bucket, the last one used first
}

type bucket[K comparable] struct {
	key    K
	tokens float64
	at     time.Time
}

// NewLimit allows burst at once and one more each time every has passed, for size keys.
func NewLimit[K comparable](burst int, every time.Duration, size int, now func() time.Time) *Limit[K] {
	return &Limit[K]{
		burst: float64(burst), every: every, size: size, now: now,
		buckets: map[K]*list.Element{}, recent: list.New(),
	}
}

// Take takes a token of the key's. If there is none it reports how long until there is one.
func (l *Limit[K]) Take(key K) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(key)
	now := l.now()
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(l.burst, b.tokens+float64(passed)/float64(l.every))
	}
	b.at = now // also when the clock was set back: it is what the next ones count from
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) * float64(l.every)), false
	}
	b.tokens--
	return 0, true
}

// Forget has a key begin anew.
func (l *Limit[K]) Forget(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.buckets[key]; ok {
		delete(l.buckets, key)
		l.recent.Remove(e)
	}
}

func (l *Limit[K]) bucket(key K) *bucket[K] {
	if e, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket[K])
	}
	if l.recent.Len() >= l.size {
		oldest := l.recent.Back()
		delete(l.buckets, oldest.Value.(*bucket[K]).key)
		l.recent.Remove(oldest)
	}
	b := &bucket[K]{key: key, tokens: l.burst, at: l.now()}
	l.buckets[key] = l.recent.PushFront(b)
	return b
}
