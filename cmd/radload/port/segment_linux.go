package port

import (
	"errors"
	"net"
	"syscall"
)

// udpSegment is UDP_SEGMENT of udp(7), which the standard library has no name for.
const udpSegment = 103

func segment(conn *net.UDPConn, octets int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_UDP, udpSegment, octets) })
	return errors.Join(err, set)
}
