// Package pace sleeps exactly: the timers of the runtime may come a millisecond late, which is longer
// than what is measured here.
package pace
