// Package clocktest sets clocks, without setting the machine's.
package clocktest

import (
	"time"
	"unsafe"
)

// Set returns what time.Now would have returned in place of t if the machine's clock had been set forward by
// a duration before: the reading of the wall clock is another, that of the monotonic clock is the same. No
// function of package time makes such a time. One without a monotonic reading is moved by Add.
func Set(t time.Time, by time.Duration) time.Time {
	// How package time has kept a reading of both since Go 1.9: a one, 33 bits of seconds since 1885 and 30
	// bits of nanoseconds. TestSet fails when that changes.
	const monotonic, nanoseconds = 1 << 63, 1<<30 - 1
	parts := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if parts.wall&monotonic == 0 {
		return t.Add(by)
	}
	at := time.Duration(parts.wall&^monotonic>>30)*time.Second + time.Duration(parts.wall&nanoseconds) + by
	parts.wall = monotonic | uint64(at/time.Second)<<30 | uint64(at%time.Second)
	return t
}
