package gateway

import "time"

// progress sums up what the lanes have counted so far.
func (r *run) progress() Progress {
	p := Progress{Since: time.Duration(r.since())}
	var times Times
	for _, n := range r.lanes {
		n.mu.Lock()
		p.Tally.Add(&n.warmup)
		p.Tally.Add(&n.measured)
		p.Outstanding += n.outstanding()
		times.Accepted.Add(&n.times.Accepted)
		n.mu.Unlock()
	}
	p.P50, p.P99 = times.Accepted.Quantile(0.5), times.Accepted.Quantile(0.99)
	return p
}

// result sums up the run. It is for the time after all ports were closed.
func (r *run) result(interrupted bool) *Result {
	o := &r.options
	r.quiet(r.end.Load() - r.lastAccept.Load())
	result := &Result{
		Silence: time.Duration(r.silence.Load()),
		Elapsed: max(0, time.Duration(r.end.Load())-o.Warmup), Lanes: len(r.lanes),
		UsedUp: r.usedUp.Load(), Interrupted: interrupted, Unfinished: r.outstanding(), Mistakes: r.mistakes(),
	}
	for _, n := range r.lanes {
		result.Warmup.Add(&n.warmup)
		result.Measured.Add(&n.measured)
		result.Times.Add(&n.times)
	}
	return result
}
