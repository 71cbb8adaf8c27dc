package radsec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// What a packet may be long (RFC 2865 section 3), and the buffer of a connection: two of the longest,
// so that there is always room to read into once the complete ones have been taken.
const (
	headerLength = 4 // up to and with Length
	minPacket    = 20
	maxPacket    = 4096
	bufferSize   = 2 * maxPacket
)

var (
	errShort = errors.New("a packet's Length is below 20")
	errLong  = errors.New("a packet's Length is above 4096")
)

// frames cuts a stream of octets into packets. It keeps what has been read and not taken, in a
// buffer that never grows. Length is not trusted: it is checked before anything depends on it.
type frames struct {
	buffer     [bufferSize]byte
	start, end int // of what was read and not taken
}

// waiting is how many octets were read and not taken.
func (f *frames) waiting() int { return f.end - f.start }

// fill reads once. There must be no complete packet left to take.
func (f *frames) fill(r io.Reader) error {
	if f.start > 0 {
		f.end = copy(f.buffer[:], f.buffer[f.start:f.end])
		f.start = 0
	}
	n, err := r.Read(f.buffer[f.end:])
	f.end += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// take returns the complete packets, most of them at most, in memory of their own. With an error
// it returns those before the octets that are no packet; what follows these is none either.
func (f *frames) take(most int) ([][]byte, error) {
	count, size := 0, 0
	var wrong error
	for count < most {
		n, err := length(f.buffer[f.start+size : f.end])
		if wrong = err; n == 0 {
			break
		}
		count++
		size += n
	}
	if count == 0 {
		return nil, wrong
	}
	octets := bytes.Clone(f.buffer[f.start : f.start+size])
	f.start += size
	packets := make([][]byte, count)
	for i := range packets {
		n, _ := length(octets)
		packets[i], octets = octets[:n:n], octets[n:]
	}
	return packets, wrong
}

// length returns the length of the packet that b begins with, or 0 if it is not complete.
func length(b []byte) (int, error) {
	if len(b) < headerLength {
		return 0, nil
	}
	switch n := int(binary.BigEndian.Uint16(b[2:])); {
	case n < minPacket:
		return 0, errShort
	case n > maxPacket:
		return 0, errLong
	case n > len(b):
		return 0, nil
	default:
		return n, nil
	}
}
