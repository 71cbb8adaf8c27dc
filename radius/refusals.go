package radius

import (
	"container/heap"
	"sync"
	"time"
)

// maxRefusals is how many refusals may wait at a time.
const maxRefusals = 1 << 16

// refusals holds Access-Rejects back until they are due. One goroutine waits for all of them, so
// that a refusal costs an element of a heap, and no slot.
type refusals struct {
	now  func() time.Time
	send func([]answer)
	most int

	mu      sync.Mutex
	waiting refusalHeap
	sending int           // taken off the heap, not yet sent
	empty   chan struct{} // not nil: somebody waits for the last one to leave; closed then

	wake chan struct{} // there is a new first element
}

// refusal is an answer that is not to be sent before its time.
type refusal struct {
	due time.Time
	answer
}

func newRefusals(most int, now func() time.Time, send func([]answer)) *refusals {
	return &refusals{now: now, send: send, most: most, wake: make(chan struct{}, 1)}
}

// add has an answer sent when it is due. It is false when too many wait already.
func (r *refusals) add(due time.Time, a answer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= r.most {
		return false
	}
	heap.Push(&r.waiting, refusal{due, a})
	if r.waiting[0].due.Equal(due) {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// length is how many wait.
func (r *refusals) length() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// drained returns a channel that is closed when none waits any more and all are sent.
func (r *refusals) drained() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.empty == nil {
		r.empty = make(chan struct{})
		r.tellEmpty()
	}
	return r.empty
}

// tellEmpty wakes whoever waits for the last one, when that is gone. The mutex is held.
func (r *refusals) tellEmpty() {
	if r.empty == nil || len(r.waiting) > 0 || r.sending > 0 {
		return
	}
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// run sends what is due until stop is closed.
func (r *refusals) run(stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		first, ok := r.first()
		wait := time.Hour
		if ok {
			wait = max(first.Sub(r.now()), 0)
		}
		timer.Reset(wait)
		select {
		case <-stop:
			return
		case <-r.wake:
		case <-timer.C:
			if ok {
				// The first one has waited its time by the timer, whatever the clock says.
				r.flush(first)
			}
		}
	}
}

func (r *refusals) first() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return time.Time{}, false
	}
	return r.waiting[0].due, true
}

// flush sends everything that is due now or by the given time.
func (r *refusals) flush(by time.Time) {
	if now := r.now(); now.After(by) {
		by = now
	}
	var due []answer
	r.mu.Lock()
	for len(r.waiting) > 0 && !r.waiting[0].due.After(by) {
		due = append(due, heap.Pop(&r.waiting).(refusal).answer)
	}
	r.sending += len(due)
	r.mu.Unlock()
	r.send(due)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sending -= len(due)
	r.tellEmpty()
}

// refusalHeap is a heap.Interface, the earliest first.
type refusalHeap []refusal

func (h refusalHeap) Len() int           { return len(h) }
func (h refusalHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h refusalHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *refusalHeap) Push(x any)        { *h = append(*h, x.(refusal)) }
func (h *refusalHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = refusal{}
	*h = old[:len(old)-1]
	return last
}
