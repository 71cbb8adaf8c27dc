// Package latency counts how long something took, in little memory and without allocating: a histogram
// with buckets that grow with what they count, as HdrHistogram has them.
package latency

import (
	"math/bits"
	"time"
)

// A value is counted exactly below 2^precision nanoseconds, and with an error of at most one part in
// 2^(precision-1) above: 0.8 %.
const (
	precision = 8
	largest   = 40 // bits of the longest time: 18 minutes; what is longer is counted as that
	buckets   = (largest-precision+1)<<(precision-1) + 1<<(precision-1)
)

// A Histogram counts durations. The zero one is empty. It is for one goroutine at a time.
type Histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    uint64 // nanoseconds
	most   time.Duration
}

// Record counts d. Less than nothing counts as nothing.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.count++
	h.sum += uint64(d)
	h.most = max(h.most, d)
}

func bucket(v uint64) int {
	v = min(v, 1<<largest-1)
	shift := max(bits.Len64(v)-precision, 0)
	return shift<<(precision-1) + int(v>>shift)
}

// upper is the largest value that a bucket counts.
func upper(bucket int) uint64 {
	shift := max(bucket>>(precision-1)-1, 0)
	return (uint64(bucket-shift<<(precision-1))+1)<<shift - 1
}

// Add counts all that another has counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.count += o.count
	h.sum += o.sum
	h.most = max(h.most, o.most)
}

// Reset forgets everything.
func (h *Histogram) Reset() { *h = Histogram{} }

// Count is how many durations were counted.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the longest of them, exactly.
func (h *Histogram) Max() time.Duration { return h.most }

// Mean is their mean; 0 when there are none.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return time.Duration(h.sum / h.count)
}

// Quantile is a duration that this share of all, from 0 to 1, did not exceed; 0 when there are none.
func (h *Histogram) Quantile(share float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := max(uint64(share*float64(h.count)+0.5), 1)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(upper(i)), h.most)
		}
	}
	return h.most
}
