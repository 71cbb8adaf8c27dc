package pace

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// open makes a timer of the kernel's, and what arms it; nil when there is none to be had. It is read through the
// runtime's poller, so that whoever waits takes no thread.
func open() (*os.File, func(time.Duration) error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	var once unix.ItimerSpec
	return file, func(d time.Duration) error {
		once.Value = unix.NsecToTimespec(int64(d))
		return unix.TimerfdSettime(fd, 0, &once, nil)
	}
}
