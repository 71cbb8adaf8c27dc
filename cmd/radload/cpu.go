package main

import (
	"syscall"
	"time"
)

// cpuUsed is the processor time of this process so far.
func cpuUsed() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it never fails for the process itself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
