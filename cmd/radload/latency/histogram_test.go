package latency

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQuantiles compares with the sorted values themselves.
func TestQuantiles(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int64{10, 1000, 1e6, 1e9, 1e12} {
		var h, other Histogram
		values := make([]time.Duration, 10_000)
		for i := range values {
			values[i] = time.Duration(random.Int64N(most))
			if i%2 == 0 {
				h.Record(values[i])
			} else {
				other.Record(values[i])
			}
		}
		h.Add(&other)
		slices.Sort(values)
		if h.Count() != 10_000 || h.Max() != values[len(values)-1] {
			t.Fatalf("%d values, %s at most", h.Count(), h.Max())
		}
		for _, share := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
			exact := values[max(int(share*10_000+0.5), 1)-1]
			if got := h.Quantile(share); got < exact || got > exact+exact/128+1 {
				t.Errorf("up to %d: %v is %d, want %d", most, share, got, exact)
			}
		}
	}
}

// TestBuckets holds that they touch, and that each holds what it is said to hold.
func TestBuckets(t *testing.T) {
	for i := range buckets - 1 {
		if got := bucket(upper(i)); got != i {
			t.Fatalf("%d, the largest of bucket %d, is in bucket %d", upper(i), i, got)
		}
		if got := bucket(upper(i) + 1); got != i+1 {
			t.Fatalf("%d, the next after bucket %d, is in bucket %d", upper(i)+1, i, got)
		}
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 || h.Max() != 0 {
		t.Error("an empty one knows something")
	}
	h.Record(-time.Second)
	h.Record(24 * time.Hour)
	if h.Quantile(0.1) != 0 || h.Max() != 24*time.Hour || h.Count() != 2 || h.Mean() != 12*time.Hour {
		t.Errorf("%v %v %v", h.Quantile(0.1), h.Max(), h.Mean())
	}
	h.Reset()
	if h.Count() != 0 {
		t.Error("not reset")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	h := new(Histogram)
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
