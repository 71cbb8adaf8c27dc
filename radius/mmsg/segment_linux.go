package mmsg

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"
)

// canSegment: the kernel cuts a message into datagrams, since Linux 4.18.
const canSegment = true

// udpSegment is UDP_SEGMENT of udp(7), which the standard library has no name for.
const udpSegment = 103

// appendSegment appends the control message that has a message cut into datagrams of so many octets.
func appendSegment(control []byte, octets int) []byte {
	at := len(control)
	control = append(control, make([]byte, syscall.CmsgSpace(2))...)
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&control[at]))
	h.Level, h.Type = syscall.IPPROTO_UDP, udpSegment
	h.SetLen(syscall.CmsgLen(2))
	binary.NativeEndian.PutUint16(control[at+syscall.CmsgLen(0):], uint16(octets))
	return control
}

// Unsegmented reports whether an error may be because of the message's being cut: an older kernel does not know
// that, some ways do not take it (EIO: nobody computes the checksums), and some are too narrow.
// It may also be because of a datagram of it, which then does not go by itself either.
func Unsegmented(err error) bool {
	for _, e := range []syscall.Errno{syscall.EIO, syscall.EINVAL, syscall.EMSGSIZE, syscall.EOPNOTSUPP, syscall.ENOPROTOOPT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
