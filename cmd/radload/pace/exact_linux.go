package pace

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is a timer of the kernel that the runtime polls like a socket: it comes tens of microseconds
// late, and holds no thread meanwhile.
type kernel struct {
	file  *os.File
	fd    int
	ticks [8]byte
}

func exact() (Sleeper, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &kernel{file: os.NewFile(uintptr(fd), "timer"), fd: fd}, nil
}

// Sleep implements Sleeper. It may wake up early, when the kernel will not do it.
func (k *kernel) Sleep(d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	if unix.TimerfdSettime(k.fd, 0, &spec, nil) == nil {
		_, _ = k.file.Read(k.ticks[:])
	}
}

func (k *kernel) Close() { _ = k.file.Close() }
