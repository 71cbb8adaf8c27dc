package overload

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// The pace is that of the last second, which is looked at in spans.
const (
	span  = 125 * time.Millisecond
	spans = int64(time.Second / span)
)

// recent is how many of the last ones count for how long they took.
const recent = 16

// Parts of patience: what things have to take before anybody is turned away for it, and what they may take. That is
// much less than the whole, because peers have timeouts of their own, and several of them are asked one after the
// other.
const (
	slowness = 16
	enough   = 6
)

// pace is how fast things are done.
type pace struct {
	rate atomic.Int64 // done in a second
	took atomic.Int64 // nanoseconds that each of the last took
	upTo atomic.Int64 // the number of the span in which that was last found out

	mu   sync.Mutex
	ring [spans]tally
}

// tally is what was done in one span.
type tally struct {
	number int64 // of the span
	done   int64
}

// spanOf numbers spans, from the zero time on.
func spanOf(now time.Time) int64 { return now.UnixNano() / int64(span) }

// done notes that something is done, and took so long.
func (p *pace) done(took time.Duration, now time.Time) {
	number := spanOf(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.ring[uint64(number)%uint64(spans)]
	if t.number != number {
		*t = tally{number: number}
	}
	t.done++
	p.took.Add((int64(took) - p.took.Load()) / recent)
	if p.upTo.Load() != number {
		p.sum(number)
	}
}

// sum publishes the pace of the second before a span, or of the part of it since something was done. The mutex is
// held.
func (p *pace) sum(number int64) {
	// The span itself is not over yet. A clock that was set back leaves numbers that are yet to come.
	counts := func(t *tally) bool { return t.number < number && number-t.number < spans }
	done, since := int64(0), number
	for i := range p.ring {
		if t := &p.ring[i]; counts(t) {
			since = min(since, t.number)
		}
	}
	for i := range p.ring {
		if t := &p.ring[i]; counts(t) && t.number > since { // it may have begun in the middle of that one
			done += t.done
		}
	}
	rate := int64(math.MaxInt64) // as fast as it may be
	if whole := number - since - 1; whole > 0 {
		rate = done * spans / whole
	}
	p.rate.Store(rate)
	p.upTo.Store(number)
}

// late reports whether what comes in behind so many others will be done too late to be of use within patience. What
// is not known does not count: nothing is late before something has been slow within the last second.
func (p *pace) late(ahead int64, patience time.Duration, now time.Time) bool {
	if age := spanOf(now) - p.upTo.Load(); age < 0 || age >= spans {
		return false
	}
	if time.Duration(p.took.Load()) < patience/slowness {
		return false
	}
	wait := float64(ahead) / float64(max(p.rate.Load(), 1)) // seconds
	return wait > (patience / enough).Seconds()
}
