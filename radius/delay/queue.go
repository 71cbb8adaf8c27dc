// Package delay holds things back until they are due.
package delay

import (
	"container/heap"
	"sync"
	"time"
)

// A Queue holds things back until they are due. One goroutine waits for all of them, so that each
// costs an element of a heap, and no more.
type Queue[T any] struct {
	now  func() time.Time
	send func([]T)
	most int

	mu      sync.Mutex
	waiting waiting[T]
	sending int           // taken off the heap, not yet sent
	empty   chan struct{} // not nil: somebody waits for the last one to leave; closed then

	wake chan struct{} // there is a new first element
}

// held is something that is not to be sent before its time.
type held[T any] struct {
	due  time.Time
	what T
}

// New returns a queue in which at most so many may wait. send is called by [Queue.Run] alone.
func New[T any](most int, now func() time.Time, send func([]T)) *Queue[T] {
	return &Queue[T]{now: now, send: send, most: most, wake: make(chan struct{}, 1)}
}

// Add has what sent when it is due. It is false when too many wait already.
func (q *Queue[T]) Add(due time.Time, what T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= q.most {
		return false
	}
	heap.Push(&q.waiting, held[T]{due, what})
	if q.waiting[0].due.Equal(due) {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Len is how many wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Drained returns a channel that is closed when none waits any more and all are sent.
func (q *Queue[T]) Drained() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.empty == nil {
		q.empty = make(chan struct{})
		q.tellEmpty()
	}
	return q.empty
}

// tellEmpty wakes whoever waits for the last one, when that is gone. The mutex is held.
func (q *Queue[T]) tellEmpty() {
	if q.empty == nil || len(q.waiting) > 0 || q.sending > 0 {
		return
	}
	select {
	case <-q.empty:
	default:
		close(q.empty)
	}
}

// Run sends what is due until stop is closed.
func (q *Queue[T]) Run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		first, ok := q.first()
		wait := time.Hour
		if ok {
			wait = max(first.Sub(q.now()), 0)
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-q.wake:
		case <-timer.C:
			if ok {
				// The first one has waited its time by the timer, whatever the clock says.
				q.flush(first)
			}
		}
	}
}

func (q *Queue[T]) first() (time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return time.Time{}, false
	}
	return q.waiting[0].due, true
}

// flush sends everything that is due now or by the given time.
func (q *Queue[T]) flush(by time.Time) {
	if now := q.now(); now.After(by) {
		by = now
	}
	var due []T
	q.mu.Lock()
	for len(q.waiting) > 0 && !q.waiting[0].due.After(by) {
		due = append(due, heap.Pop(&q.waiting).(held[T]).what)
	}
	q.sending += len(due)
	q.mu.Unlock()
	q.send(due)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending -= len(due)
	q.tellEmpty()
}

// waiting is a heap.Interface, the earliest first.
type waiting[T any] []held[T]

func (h waiting[T]) Len() int           { return len(h) }
func (h waiting[T]) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h waiting[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *waiting[T]) Push(x any)        { *h = append(*h, x.(held[T])) }
func (h *waiting[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = held[T]{}
	*h = old[:len(old)-1]
	return last
}
