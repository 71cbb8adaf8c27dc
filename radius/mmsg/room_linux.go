package mmsg

import "syscall"

// Room is how many octets wait for conn to be read at most, as SetReadBuffer counts them, and not as it was asked for
// but as it is; 0: the kernel does not say.
func Room(conn syscall.Conn) (octets int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	failed := raw.Control(func(fd uintptr) {
		octets, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
	})
	if failed != nil || err != nil {
		return 0
	}
	return octets / 2 // it counts twice what was asked for (socket(7))
}
