package gateway

import (
	"context"
	"math"
	"time"

	"otpgate/cmd/radload/port"
	"otpgate/radius/pace"
)

// starved is how long an open loop waits for a free Identifier before it looks again.
const starved = 200 * time.Microsecond

// longestNap is how long it takes at most to see that the run was interrupted.
const longestNap = 50 * time.Millisecond

// grace is how long after the end what was due before it may begin still: as long as a machine with other work may keep a
// generator waiting that keeps up otherwise. One that does not is behind by more, unless it is nearly fast enough. How late
// a login began is part of its time.
const grace = 250 * time.Millisecond

// arrive begins logins at their times, whatever becomes of those before. What is due at a time goes out
// as one batch from one lane, and the next batch from the next one.
func (r *run) arrive(ctx context.Context) {
	nap := pace.New()
	defer nap.Close()
	at, lane, idle := 0.0, 0, 0
	for ctx.Err() == nil && !r.all.Load() && int64(at) < r.end.Load() && r.since() < r.end.Load()+int64(grace) {
		if wait := time.Duration(int64(at) - r.since()); wait > 0 {
			nap.For(min(wait, longestNap))
			continue
		}
		begun := r.due(r.lanes[lane], &at)
		lane = (lane + 1) % len(r.lanes)
		if begun > 0 {
			idle = 0
		} else if idle++; idle >= len(r.lanes) {
			idle = 0
			nap.For(starved)
		}
	}
	if ctx.Err() != nil {
		r.finish()
	}
	if !r.all.Load() {
		r.omit(at)
	}
}

// omit counts the logins that should have begun by the end.
func (r *run) omit(at float64) {
	n := r.lanes[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; int64(at) < r.end.Load(); at += r.interval(n) {
		n.measured.Omitted++
	}
}

// due begins what is due at a lane, moves the time on, and returns how many logins that were.
func (r *run) due(n *lane, at *float64) (begun int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := r.since()
	for ; begun < port.BatchSize && int64(*at) <= now; begun++ {
		if n.free.count == 0 {
			n.measured.Waited++
			break
		}
		l, ok := r.next(n, int64(*at))
		if !ok {
			break
		}
		n.begin(l, nil, now)
		*at += r.interval(n)
	}
	n.flush()
	return begun
}

// interval is the time from one arrival to the next, in nanoseconds.
func (r *run) interval(n *lane) float64 {
	mean := float64(time.Second) / r.options.Rate
	if !r.options.Poisson {
		return mean
	}
	uniform := (float64(n.random.Uint64()>>11) + 1) / (1 << 53) // above 0, up to 1
	return -math.Log(uniform) * mean
}
