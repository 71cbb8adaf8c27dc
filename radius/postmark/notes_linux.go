package postmark

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Ask has the kernel note beside each datagram of a socket what Read reads. Where no socket of the machine has
// asked before, a datagram that comes within the next milliseconds is noted as new when it is read.
func Ask(conn syscall.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("postmark: %w", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for _, option := range [...]int{unix.SO_TIMESTAMPNS, unix.SO_RXQ_OVFL} {
			if e := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1); e != nil {
				failed = e
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("postmark: %w", err)
	}
	return nil
}

// word is the size of the length that a control message begins with; level and type follow, four octets each.
const word = unix.SizeofCmsghdr - 8

// Read reads the control message of one datagram. It allocates nothing, and passes over what it does not know.
func Read(control []byte) (m Mark) {
	for len(control) >= unix.SizeofCmsghdr {
		length := natural(control)
		if length < unix.SizeofCmsghdr || length > uint64(len(control)) {
			return m
		}
		level, kind := binary.NativeEndian.Uint32(control[word:]), binary.NativeEndian.Uint32(control[word+4:])
		if level == unix.SOL_SOCKET {
			m.note(kind, control[unix.SizeofCmsghdr:length])
		}
		control = control[min(unix.CmsgSpace(int(length)-unix.SizeofCmsghdr), len(control)):]
	}
	return m
}

// note takes over one of the notes.
func (m *Mark) note(kind uint32, b []byte) {
	switch {
	case kind == unix.SO_TIMESTAMPNS && len(b) >= 2*word:
		m.Came = time.Unix(int64(natural(b)), int64(natural(b[word:])))
	case kind == unix.SO_RXQ_OVFL && len(b) >= 4:
		m.Dropped, m.Counted = binary.NativeEndian.Uint32(b), true
	}
}

// natural is a number of the machine's own size.
func natural(b []byte) uint64 {
	if word == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}
