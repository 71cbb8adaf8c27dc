package radsec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
)

// slices of a stream, as reads return them.
type sliced struct {
	octets []byte
	cuts   []byte // how long each is, less one; after the last they begin anew
	next   int
}

func (s *sliced) Read(b []byte) (int, error) {
	if len(s.octets) == 0 {
		return 0, io.EOF
	}
	n := len(s.octets)
	if len(s.cuts) > 0 {
		n = min(n, int(s.cuts[s.next%len(s.cuts)])+1)
		s.next++
	}
	n = copy(b, s.octets[:n])
	s.octets = s.octets[n:]
	return n, nil
}

// reference cuts a stream that is all there.
func reference(stream []byte) (packets [][]byte, err error) {
	for len(stream) >= 4 {
		switch n := int(stream[2])<<8 | int(stream[3]); {
		case n < 20:
			return packets, errShort
		case n > 4096:
			return packets, errLong
		case n > len(stream):
			return packets, io.EOF
		default:
			packets, stream = append(packets, stream[:n]), stream[n:]
		}
	}
	return packets, io.EOF
}

// cutAll is what frames makes of a stream.
func cutAll(tb testing.TB, r io.Reader, most int) (packets [][]byte, err error) {
	f := new(frames)
	for {
		got, err := f.take(most)
		if len(got) > most || f.waiting() > bufferSize {
			tb.Fatalf("%d packets at once, %d octets wait", len(got), f.waiting())
		}
		size := 0
		for _, p := range got {
			if cap(p) != len(p) {
				tb.Fatal("a packet reaches into the next one")
			}
			size += len(p)
		}
		if size > bufferSize {
			tb.Fatalf("%d octets at once", size)
		}
		packets = append(packets, got...)
		if err != nil {
			return packets, err
		}
		if len(got) == most {
			continue
		}
		if err := f.fill(r); err != nil {
			return packets, err
		}
	}
}

// FuzzFrames: any stream in any slices gives the packets that the reference gives, and ends where
// it does. The memory is that of the buffer and of what one take returns. The stream comes several
// times over, so that a short one fills the buffer too.
func FuzzFrames(f *testing.F) {
	some := slices.Concat(packet(1, 20), packet(2, 21), packet(3, 60))
	for _, cuts := range [][]byte{nil, {0}, {6}, {255, 3, 0, 17}} {
		f.Add(some, byte(200), cuts, byte(3))
		f.Add(some, byte(0), cuts, byte(0))
	}
	f.Add(packet(1, 4096), byte(3), []byte{254}, byte(9))
	for _, n := range []uint16{0, 19, 20, 4096, 4097, 65535} {
		head := binary.BigEndian.AppendUint16([]byte{1, 2}, n)
		f.Add(slices.Concat(packet(1, 20), head), byte(0), []byte{1}, byte(1))
		f.Add(head, byte(200), []byte(nil), byte(1))
	}
	f.Fuzz(func(t *testing.T, part []byte, times byte, cuts []byte, most byte) {
		if len(part) > bufferSize {
			return
		}
		stream := bytes.Repeat(part, int(times)+1)
		expected, wrong := reference(stream)
		got, err := cutAll(t, &sliced{octets: slices.Clone(stream), cuts: cuts}, int(most)+1)
		if !errors.Is(err, wrong) || !slices.EqualFunc(got, expected, bytes.Equal) {
			t.Errorf("%d packets and %v, want %d and %v", len(got), err, len(expected), wrong)
		}
	})
}

// TestSlicesCostNothing: an octet at a time, and a Length that promises much, allocate nothing.
func TestSlicesCostNothing(t *testing.T) {
	head := binary.BigEndian.AppendUint16([]byte{1, 2}, 4096)
	f, in := new(frames), &sliced{octets: append(head, make([]byte, 2000)...), cuts: []byte{0}}
	if n := testing.AllocsPerRun(1000, func() {
		if err := f.fill(in); err != nil {
			t.Fatal(err)
		}
		if p, err := f.take(1); len(p) > 0 || err != nil {
			t.Fatal(p, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations an octet", n)
	}
}

// BenchmarkFrames is what a packet costs, of those that come many at a time.
func BenchmarkFrames(b *testing.B) {
	var many []byte
	for n := range 80 {
		many = append(many, packet(n, 100)...)
	}
	b.ReportAllocs()
	f := new(frames)
	for range b.N {
		if err := f.fill(bytes.NewReader(many)); err != nil {
			b.Fatal(err)
		}
		if p, err := f.take(256); len(p) != 80 || err != nil {
			b.Fatal(len(p), err)
		}
	}
}
