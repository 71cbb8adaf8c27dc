//go:build linux && (amd64 || arm64)

package mmsg

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
)

// A Reader reads datagrams from a socket. It is for one goroutine.
type Reader struct {
	raw syscall.RawConn

	headers []messageHeader
	vectors []syscall.Iovec
	names   []syscall.RawSockaddrAny
	senders []sender

	// Of one call.
	read   func(fd uintptr) bool // receive, made once
	count  int
	flags  int
	got    int
	failed syscall.Errno
}

// messageHeader is struct mmsghdr (recvmmsg(2)).
type messageHeader struct {
	syscall.Msghdr
	length uint32
	_      [4]byte
}

// sender is an address with the memory that it needs.
type sender struct {
	net.UDPAddr
	octets [net.IPv6len]byte
	zone   uint32 // whose name is in Zone
}

// NewReader returns a reader of conn, of at most so many datagrams at a time; nil where the system is not known.
func NewReader(conn syscall.Conn, most int) (*Reader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("mmsg: %w", err)
	}
	r := &Reader{
		raw: raw, headers: make([]messageHeader, most), vectors: make([]syscall.Iovec, most),
		names: make([]syscall.RawSockaddrAny, most), senders: make([]sender, most),
	}
	r.read = r.receive
	return r, nil
}

// ReadBatch is that of [ipv4.PacketConn], with one buffer for each message. The addresses are good until the
// next call.
func (r *Reader) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	ms = ms[:min(len(ms), len(r.headers))]
	for i := range ms {
		h := &r.headers[i]
		r.vectors[i].Base = unsafe.SliceData(ms[i].Buffers[0])
		r.vectors[i].SetLen(len(ms[i].Buffers[0]))
		h.Msghdr = syscall.Msghdr{
			Name: (*byte)(unsafe.Pointer(&r.names[i])), Namelen: uint32(unsafe.Sizeof(r.names[i])),
			Iov: &r.vectors[i], Iovlen: 1, Control: unsafe.SliceData(ms[i].OOB),
		}
		h.SetControllen(len(ms[i].OOB))
	}
	r.count, r.flags, r.got, r.failed = len(ms), flags, 0, 0
	if err := r.raw.Read(r.read); err != nil {
		return 0, err
	}
	if r.failed != 0 {
		return 0, os.NewSyscallError("recvmmsg", r.failed)
	}
	for i := range r.got {
		h, m := &r.headers[i], &ms[i]
		m.N, m.NN, m.Flags = int(h.length), int(h.Controllen), int(h.Flags)
		m.Addr = r.senders[i].set(&r.names[i])
	}
	return r.got, nil
}

// receive is false when there is nothing to read, and somebody may wait for it.
func (r *Reader) receive(fd uintptr) bool {
	n, _, failed := syscall.Syscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.headers))),
		uintptr(r.count), uintptr(r.flags), 0, 0)
	if failed == syscall.EAGAIN || failed == syscall.EINTR {
		if r.flags&syscall.MSG_DONTWAIT == 0 {
			return failed == syscall.EINTR && r.receive(fd)
		}
	}
	if r.failed = failed; failed == 0 {
		r.got = int(n)
	}
	return true
}

// set makes an address of what the kernel says; nil when it is of no family that there should be.
func (p *sender) set(name *syscall.RawSockaddrAny) net.Addr {
	var port [2]byte
	var zone uint32
	switch name.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(name))
		p.IP, port = append(p.octets[:0], a.Addr[:]...), *(*[2]byte)(unsafe.Pointer(&a.Port))
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(name))
		p.IP, port = append(p.octets[:0], a.Addr[:]...), *(*[2]byte)(unsafe.Pointer(&a.Port))
		zone = a.Scope_id
	default:
		return nil
	}
	p.Port = int(port[0])<<8 | int(port[1])
	if zone != p.zone { // of a link: what comes from there is from our own network
		p.zone, p.Zone = zone, zoneOf(zone)
	}
	return &p.UDPAddr
}

func zoneOf(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
