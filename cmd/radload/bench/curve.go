package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A Point is what logins took at a rate.
type Point struct {
	Share      float64 `json:"share"` // of what the closed loop reached
	Offered    float64 `json:"offered_per_second"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_seconds"` // of those who were answered
	P99        float64 `json:"p99_seconds"`
	Unanswered float64 `json:"unanswered"` // share of those who were due: given up after curvePatience, or not begun by the end
}

// curved are the cases whose latency is measured over the rate.
func curved() []string { return []string{baseline, "redis"} }

// shares are the rates that are offered, of what the closed loop reached.
func shares() []float64 { return []float64{0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.2} }

// Each rate is offered for so long, so often. Where the accounts do not suffice for leastLong, it is not.
const (
	curvePasses = 3
	curveLong   = 3 * time.Second
	leastLong   = time.Second
	// curvePatience is how long an answer is waited for: what has none by then is given up, so that there are Identifiers
	// for the rest.
	curvePatience = time.Second
)

// due is a quantile of all who were due, by that of those who were answered: the others took longer than patience, however
// long.
func (p Point) due(quantile, answered float64) float64 {
	if p.Unanswered > 1-quantile {
		return max(answered, curvePatience.Seconds())
	}
	return answered
}

// planCurves is latency over the rate, of the cases whose closed loop was measured.
func (b *bench) planCurves(g *group) {
	for _, name := range curved() {
		c, _ := caseOf(name)
		p := b.Period
		if c.server == "freeradius" {
			p = freeRADIUSPeriod
		} else {
			g.estimate += seconds(b.Accounts, guessKnown)
		}
		g.estimate += guessStart + curvePasses*2*p // in one step is room for half of the rates
	}
	g.done = func(int) bool {
		return !slices.ContainsFunc(curved(), func(name string) bool { return !b.curveDone(name) })
	}
	g.measure = func(ctx context.Context, _ int) error {
		for _, name := range curved() {
			if b.curveDone(name) {
				continue
			}
			if len(b.report.Cases[name]) == 0 {
				b.say("no curve of %s: its closed loop was not measured", name)
				continue
			}
			c, _ := caseOf(name)
			if err := b.curve(ctx, c); err != nil {
				return fmt.Errorf("%s over the rate: %w", name, err)
			}
		}
		return nil
	}
}

func (b *bench) curveDone(name string) bool {
	return len(b.report.Curves[name]) >= curvePasses*len(shares())
}

// curve offers one server one rate after the other.
func (b *bench) curve(ctx context.Context, c benchCase) error {
	most := median(b.report.Cases[c.name], func(m Measurement) float64 { return m.PerSecond })
	s := b.kept[c.group]
	if s == nil {
		var err error
		if s, err = b.begin(ctx, &group{name: c.group, cases: []benchCase{c}}); err != nil {
			return err
		}
		defer s.stop()
	}
	b.report.Curves[c.name] = nil
	for range curvePasses {
		for _, share := range shares() {
			rate := float64(int(most*share) + 1)
			long := min(b.Duration, curveLong, seconds(b.Accounts*9/10, rate))
			if long < leastLong {
				b.say("%s at %.0f/s: too few accounts", c.name, rate)
				continue
			}
			m, err := b.perform(ctx, job{
				servers: []*server{s.server}, codes: s.codes, count: int(rate*long.Seconds()) + 1, long: long,
				args: []string{"--rate", fmt.Sprint(rate), "--timeout", curvePatience.String(), "--tries", "1", "--max-lost", "-1",
					"--ports", fmt.Sprint(min(1024, int(rate)/200+1))},
			})
			if err != nil {
				return err
			}
			b.say("  %s at %.0f/s: %s", c.name, rate, m)
			b.report.Curves[c.name] = append(b.report.Curves[c.name], Point{share, rate, m.PerSecond, m.P50, m.P99, m.Unanswered})
			if err := b.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// points are the medians of a curve, by the rate that was offered. Their latencies are of all who were due.
func (r *Report) points(name string) (all []Point) {
	for _, share := range shares() {
		var same []Point
		for _, p := range r.Curves[name] {
			if p.Share == share && p.P50+p.Unanswered > 0 {
				same = append(same, p)
			}
		}
		if len(same) > 0 {
			of := func(f func(Point) float64) float64 { return median(same, f) }
			all = append(all, Point{
				share, of(func(p Point) float64 { return p.Offered }), of(func(p Point) float64 { return p.PerSecond }),
				of(func(p Point) float64 { return p.due(0.5, p.P50) }), of(func(p Point) float64 { return p.due(0.99, p.P99) }),
				of(func(p Point) float64 { return p.Unanswered }),
			})
		}
	}
	return all
}
