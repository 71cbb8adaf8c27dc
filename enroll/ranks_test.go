package enroll_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// ranked is one measurement among those of both kinds.
type ranked struct {
	value float64
	first bool
}

// together sorts the measurements of two kinds.
func together(a, b []float64) []ranked {
	all := make([]ranked, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, ranked{v, true})
	}
	for _, v := range b {
		all = append(all, ranked{v, false})
	}
	slices.SortFunc(all, func(x, y ranked) int { return cmp.Compare(x.value, y.value) })
	return all
}

// mannWhitney is the statistic of Mann and Whitney (1947) as a multiple of its standard deviation,
// corrected for ties: how much larger a tends to be than b. It sees that one kind is later.
func mannWhitney(a, b []float64) float64 {
	all := together(a, b)
	var ranks, ties float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		rank, n := float64(i+j+1)/2, float64(j-i) // ranks begin at 1; equals share theirs
		for _, r := range all[i:j] {
			if r.first {
				ranks += rank
			}
		}
		ties += n*n*n - n
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u, total := ranks-n*(n+1)/2, n+m
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 0
	}
	return (u - n*m/2) / math.Sqrt(variance)
}

// kolmogorovSmirnov is the largest distance of the two empirical distributions, as a multiple of
// what makes its limit the one of Kolmogorov (1933). It sees any difference, such as that one kind
// is late more often and otherwise the same.
func kolmogorovSmirnov(a, b []float64) float64 {
	all := together(a, b)
	n, m := float64(len(a)), float64(len(b))
	var x, y, d float64
	for i, r := range all {
		if r.first {
			x++
		} else {
			y++
		}
		if i+1 == len(all) || all[i+1].value != r.value {
			d = max(d, math.Abs(x/n-y/m))
		}
	}
	return d * math.Sqrt(n*m/(n+m))
}

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		z, d float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, -4.5 / math.Sqrt(9*7.0/12), math.Sqrt(1.5)},
		{[]float64{4, 5, 6}, []float64{1, 2, 3}, 4.5 / math.Sqrt(9*7.0/12), math.Sqrt(1.5)},
		{[]float64{1, 2, 2}, []float64{2, 3, 4}, -3.5 / math.Sqrt(9.0/12*(7-24.0/30)), 2 / 3.0 * math.Sqrt(1.5)},
		{[]float64{1, 2, 3, 4}, []float64{3, 4, 5, 6}, -6 / math.Sqrt(16.0/12*(9-12.0/56)), 0.5 * math.Sqrt2},
		{[]float64{7, 7, 7}, []float64{7, 7}, 0, 0},
	} {
		if z := mannWhitney(c.a, c.b); math.Abs(z-c.z) > 1e-9 {
			t.Errorf("%v, %v: z %v, want %v", c.a, c.b, z, c.z)
		}
		if d := kolmogorovSmirnov(c.a, c.b); math.Abs(d-c.d) > 1e-9 {
			t.Errorf("%v, %v: d %v, want %v", c.a, c.b, d, c.d)
		}
	}
	// Of one distribution they stay below the bounds; of two that differ a little they do not. The
	// numbers are the same at every run.
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(shift, late float64) []float64 {
		v := make([]float64, perKind)
		for i := range v {
			if v[i] = r.NormFloat64() + shift; r.Float64() < late {
				v[i] += 100
			}
		}
		return v
	}
	for range 50 {
		if a, b := draw(0, 0.02), draw(0, 0.02); tell(a, b) != "" {
			t.Errorf("told apart: %s", tell(a, b))
		}
	}
	if tell(draw(0.25, 0), draw(0, 0)) == "" {
		t.Error("a quarter of a standard deviation is not seen")
	}
	if tell(draw(0, 0.12), draw(0, 0)) == "" {
		t.Error("that one in eight is late is not seen")
	}
}
