// Package pace holds somebody back for less than a millisecond.
//
// A timer of the runtime does not: where the processor has nothing else to do, it waits in epoll_wait(2), which counts
// in milliseconds. One of the kernel's, asked for by timerfd_create(2), ends to the tenth of one, and nobody's
// processor is taken meanwhile.
package pace
