package bench

import (
	"context"
	"slices"
	"time"
)

// group is what is measured with the same servers, one case after the other.
type group struct {
	name     string
	cases    []benchCase
	done     func(run int) bool // all of it is in the record
	measure  func(ctx context.Context, run int) error
	estimate time.Duration
}

// Guesses of how fast this goes, until it was seen.
const (
	guessStart  = 3 * time.Second
	guessImport = 4000  // accounts per second, with all that belongs to them
	guessKnown  = 12000 // accounts per second that log in for the first time
)

// plan says which groups are measured in every run, and which once, after these.
func (b *bench) plan(cases []benchCase) (each, once []*group) {
	by := map[string]*group{}
	for _, c := range cases {
		g := by[c.group]
		if g == nil {
			g = &group{name: c.group}
			by[c.group] = g
			switch c.group {
			case groupNodes, groupScale, groupCurves:
				once = append(once, g)
			default:
				each = append(each, g)
			}
		}
		g.cases = append(g.cases, c)
	}
	for _, g := range by {
		switch g.name {
		case groupNodes:
			b.planNodes(g)
		case groupScale:
			b.planScale(g)
		case groupCurves:
			b.planCurves(g)
		default:
			b.planCompared(g)
		}
	}
	b.pace.plan(each, once, b.Runs, time.Duration(float64(b.Accounts)/guessImport*float64(time.Second)))
	return each, once
}

// recorded reports whether every case of a group was measured so often.
func (b *bench) recorded(g *group, count int) bool {
	return !slices.ContainsFunc(g.cases, func(c benchCase) bool { return len(b.report.Cases[c.name]) < count })
}

// seconds is how long so many take at a rate.
func seconds(count int, perSecond float64) time.Duration {
	return time.Duration(float64(count) / perSecond * float64(time.Second))
}

// pace knows how long all that is planned takes: as long as it took before, or else as it was guessed.
type pace struct {
	times    map[*group]int // that a group is still to be measured
	lasted   map[*group]time.Duration
	overhead time.Duration
}

func (p *pace) plan(each, once []*group, runs int, overhead time.Duration) {
	p.times, p.lasted, p.overhead = map[*group]int{}, map[*group]time.Duration{}, overhead
	for _, g := range each {
		p.times[g] = runs
	}
	for _, g := range once {
		p.times[g] = 1
	}
}

func (p *pace) skip(g *group) { p.times[g]-- }

func (p *pace) took(g *group, d time.Duration) {
	p.times[g]--
	p.lasted[g] = d
	p.overhead = 0 // what is made once is made
}

func (p *pace) remaining() time.Duration {
	sum := p.overhead
	for g, n := range p.times {
		each := g.estimate
		if d, ok := p.lasted[g]; ok {
			each = min(each*2, d) // the first time may have had more to do
		}
		sum += time.Duration(n) * each
	}
	return sum.Round(time.Minute / 4)
}
