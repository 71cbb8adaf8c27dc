package terminal

import (
	"os"

	"golang.org/x/sys/unix"
)

// Hide has a terminal not show what is typed, until restore. It reports whether it does: what is no terminal shows
// nothing anyway.
func Hide(f *os.File) (restore func(), ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return func() {}, false
	}
	var before *unix.Termios
	_ = raw.Control(func(fd uintptr) {
		if before, err = unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
			hidden := *before
			hidden.Lflag &^= unix.ECHO
			err = unix.IoctlSetTermios(int(fd), unix.TCSETS, &hidden)
		}
	})
	if before == nil || err != nil {
		return func() {}, false
	}
	return func() {
		_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetTermios(int(fd), unix.TCSETS, before) })
	}, true
}
