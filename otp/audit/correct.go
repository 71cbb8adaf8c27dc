package audit

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// What can become of a record that somebody waits for.
const (
	queued    int32 = iota
	begun           // the writer has it
	takenBack       // the writer passes it over
)

// waiter is who waits until a record is on disk.
type waiter struct {
	done  chan error
	state atomic.Int32
}

// lateError is that of events that were not on disk when somebody's time had run out.
type lateError struct {
	log    *Log
	waiter *waiter
	cause  error
}

func (e *lateError) Error() string {
	return fmt.Sprintf("%v: not on disk yet: %v", ErrUnavailable, e.cause)
}

func (e *lateError) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// Correct is for whoever did not do, or has undone, what could not be recorded in time. err is what Record
// or Keep said of it, events say what became of it. When the first events may still get on record, they are
// never written, if the writer has not begun, and events follow behind: those are not lost, unless there is
// no room for what follows, which is counted then. Of any other error it is known that nothing is on record, and nothing is done.
//
// It does not wait. A node that dies before the disk moves again may leave what it was writing, and no
// correction.
func Correct(err error, events ...Event) {
	var late *lateError
	if !errors.As(err, &late) {
		return
	}
	back := late.waiter.state.CompareAndSwap(queued, takenBack)
	_ = late.log.enqueue(late.log.record(events), !back) // counted
}

// begin makes the writer of a batch known to who waits for it, and leaves out what was taken back.
func begin(batch []record) []record {
	return slices.DeleteFunc(batch, func(r record) bool {
		return r.waiter != nil && !r.waiter.state.CompareAndSwap(queued, begun)
	})
}
