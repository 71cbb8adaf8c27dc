package bench

import (
	"context"
	"fmt"
	"time"
)

// A Point is what logins took at a rate.
type Point struct {
	Offered   float64 `json:"offered_per_second"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_seconds"`
	P99       float64 `json:"p99_seconds"`
}

// curved are the cases whose latency is measured over the rate.
func curved() []string { return []string{baseline, "redis"} }

// shares are the rates that are offered, of what the closed loop reached.
func shares() []float64 { return []float64{0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.2} }

// leastLong is how long a rate is offered at least; where the accounts do not suffice for it, it is not.
const leastLong = time.Second

// curves measures latency over the rate, of the cases whose closed loop was measured.
func (b *bench) curves(ctx context.Context, r *Report) error {
	for _, name := range curved() {
		if len(r.Cases[name]) == 0 {
			continue
		}
		all, err := chosen([]string{name})
		if err != nil {
			return err
		}
		most := median(r.Cases[name], func(m Measurement) float64 { return m.PerSecond })
		if err := b.curve(ctx, r, all[0], most); err != nil {
			return fmt.Errorf("%s over the rate: %w", name, err)
		}
	}
	return nil
}

// curve offers one server one rate after the other.
func (b *bench) curve(ctx context.Context, r *Report, c benchCase, most float64) error {
	s, err := b.begin(ctx, c)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := b.warmUp(ctx, c, s); err != nil {
		return err
	}
	for _, share := range shares() {
		rate := float64(int(most*share) + 1)
		long := min(b.Duration, time.Duration(float64(b.Accounts)/rate*float64(time.Second))*9/10)
		if long < leastLong {
			b.say("%s at %.0f/s: too few accounts", c.name, rate)
			continue
		}
		// What is not answered within a second is given up, so that there are Identifiers for the rest.
		l, _, err := b.load(ctx, c, s, "--duration", long.String(), "--rate", fmt.Sprint(rate), "--new-step",
			"--timeout", "1s", "--tries", "1", "--max-lost", "-1", "--ports", fmt.Sprint(min(1024, int(rate)/200+1)))
		if err != nil {
			return err
		}
		p := Point{Offered: rate, PerSecond: l.Load.PerSecond, P50: l.Latency["accepted"].P50, P99: l.Latency["accepted"].P99}
		b.say("%s at %.0f/s: %.0f/s, p50 %.2f ms, p99 %.2f ms", c.name, rate, p.PerSecond, p.P50*1e3, p.P99*1e3)
		r.Curves[c.name] = append(r.Curves[c.name], p)
	}
	return nil
}
