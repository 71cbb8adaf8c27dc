package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrDamaged: the file is not a log of this store and generation, or something is missing within it.
var ErrDamaged = errors.New("the journal is damaged")

// An ID says whose log it is: chosen at random, once for each store.
type ID [16]byte

const (
	sector   = 512       // what entries begin at a multiple of
	stride   = 256 << 10 // what the file grows by
	headSize = 32        // of an entry's own header
	maxEntry = 1 << 30   // octets
)

// magic begins a file, and mark an entry.
var (
	magic = []byte("otpgate journal\x01")
	mark  = uint32(0x6f747031)
)

// castagnoli is CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A File is a generation that is being written. It is for one goroutine.
type File struct {
	handle *os.File
	seal   seal
	end    int64  // where the next entry begins
	size   int64  // of the file
	buffer []byte // reused
	failed error  // the first failure
}

// seal is what the checksums of a generation begin with.
type seal struct {
	generation uint64
	sum        uint32
}

func sealOf(id ID, generation uint64) seal {
	b := binary.LittleEndian.AppendUint64(id[:], generation)
	return seal{generation: generation, sum: crc32.Checksum(b, castagnoli)}
}

func (s seal) of(b []byte) uint32 { return crc32.Update(s.sum, castagnoli, b) }

// head is the first sector of a file.
func head(id ID, generation uint64) []byte {
	b := make([]byte, 0, sector)
	b = append(b, magic...)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, generation)
	b = binary.LittleEndian.AppendUint32(b, sealOf(id, generation).of(b))
	return b[:sector]
}

// Create makes an empty log for its owner only, and is sure that it is on disk, name and all. What is in its
// place is overwritten.
func Create(path string, id ID, generation uint64) (*File, error) {
	handle, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	f := &File{handle: handle, seal: sealOf(id, generation), end: sector, size: stride}
	first := make([]byte, stride)
	copy(first, head(id, generation))
	if _, err = handle.WriteAt(first, 0); err == nil {
		err = handle.Sync()
	}
	if err == nil {
		err = syncDirectory(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, handle.Close(), os.Remove(path))
	}
	return f, nil
}

// Of tells whose log a file is; false: it is nobody's, as far as its head tells.
func Of(path string) (ID, bool) {
	f, err := os.Open(path)
	if err != nil {
		return ID{}, false
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, sector)
	if _, err := io.ReadFull(f, b); err != nil {
		return ID{}, false
	}
	id := ID(b[len(magic):])
	return id, bytes.Equal(b, head(id, binary.LittleEndian.Uint64(b[len(magic)+len(id):])))
}

// Remove removes a file, if it is there, and is sure that it does not come back.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append writes an entry behind the last one, and returns when it is on disk. After an error every other call
// fails too.
func (f *File) Append(sequence uint64, payload []byte) error {
	if f.failed != nil {
		return f.failed
	}
	f.failed = f.append(sequence, payload)
	return f.failed
}

func (f *File) append(sequence uint64, payload []byte) error {
	if err := f.whole(); err != nil {
		return err
	}
	if len(payload) > maxEntry {
		return fmt.Errorf("an entry of %d octets", len(payload))
	}
	end := f.end + aligned(headSize+len(payload))
	size := f.size
	if end > size {
		size = (end + stride - 1) / stride * stride
	}
	f.buffer = append(f.seal.header(f.buffer[:0], sequence, payload), payload...)
	written := end - f.end
	if size > f.size { // zeros up to the new end
		written = size - f.end
	}
	f.buffer = padded(f.buffer, int(written))
	if _, err := f.handle.WriteAt(f.buffer, f.end); err != nil {
		return err
	}
	if err := fdatasync(f.handle); err != nil {
		return err
	}
	f.end, f.size = end, size
	return nil
}

// whole refuses a file that somebody has cut off or removed: what is written there is written to nowhere.
func (f *File) whole() error {
	var s syscall.Stat_t
	if err := syscall.Fstat(int(f.handle.Fd()), &s); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if s.Size < f.size || s.Nlink == 0 {
		return fmt.Errorf("%w: %s was cut off or removed", ErrDamaged, f.handle.Name())
	}
	return nil
}

// fdatasync needs no metadata but what is needed to find the data again: fdatasync(2).
func fdatasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Size is how many octets the entries take.
func (f *File) Size() int64 { return f.end - sector }

// Close leaves the file where it is.
func (f *File) Close() error { return f.handle.Close() }

// aligned is n, and what is missing to the next sector.
func aligned(n int) int64 { return (int64(n) + sector - 1) / sector * sector }

// padded is b with zeros behind it.
func padded(b []byte, n int) []byte {
	if n <= cap(b) {
		from := len(b)
		b = b[:n]
		clear(b[from:])
		return b
	}
	return append(b, make([]byte, n-len(b))...)
}

// header appends an entry's: mark, length, generation, sequence, sum of the payload, sum of the header.
func (s seal) header(b []byte, sequence uint64, payload []byte) []byte {
	from := len(b)
	b = binary.LittleEndian.AppendUint32(b, mark)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, s.generation)
	b = binary.LittleEndian.AppendUint64(b, sequence)
	b = binary.LittleEndian.AppendUint32(b, s.of(payload))
	return binary.LittleEndian.AppendUint32(b, s.of(b[from:]))
}

// entry is what a header says.
type entry struct {
	length   int64
	sequence uint64
	sum      uint32
}

// entry reads a header; false when it is none of this generation.
func (s seal) entry(b []byte) (entry, bool) {
	if binary.LittleEndian.Uint32(b) != mark || binary.LittleEndian.Uint64(b[8:]) != s.generation ||
		binary.LittleEndian.Uint32(b[28:]) != s.of(b[:28]) {
		return entry{}, false
	}
	return entry{
		length: int64(binary.LittleEndian.Uint32(b[4:])), sequence: binary.LittleEndian.Uint64(b[16:]),
		sum: binary.LittleEndian.Uint32(b[24:]),
	}, true
}

// Read gives every entry of a file to take, in the order in which they were appended, and returns how many octets
// they are; the payload may not be kept. It returns an error that wraps [ErrDamaged] for a file that is not a
// whole one of this store and generation, one that wraps [os.ErrNotExist] when there is none, and the first one
// of take.
func Read(path string, id ID, generation uint64, take func(sequence uint64, payload []byte) error) (int64, error) {
	handle, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = handle.Close() }()
	info, err := handle.Stat()
	if err != nil {
		return 0, err
	}
	r := reader{handle: handle, seal: sealOf(id, generation), size: info.Size()}
	first, err := r.at(0, stride) // that much is there before anybody knows the file
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(first[:sector], head(id, generation)) {
		return 0, fmt.Errorf("%w: %s is of another store, or not whole", ErrDamaged, path)
	}
	at, err := r.entries(take)
	if err != nil {
		return 0, err
	}
	return at - sector, r.nothingBehind(at)
}

// reader reads a file from its beginning to its end.
type reader struct {
	handle *os.File
	seal   seal
	size   int64
	last   uint64 // sequence
	buffer []byte
}

// at reads octets that must be there. They are good until the next call.
func (r *reader) at(offset, length int64) ([]byte, error) {
	if offset+length > r.size {
		return nil, fmt.Errorf("%w: %s ends at %d octets", ErrDamaged, r.handle.Name(), r.size)
	}
	if int64(cap(r.buffer)) < length {
		r.buffer = make([]byte, length)
	}
	b := r.buffer[:length]
	if _, err := r.handle.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// entries reads them, and returns where the last one ends.
func (r *reader) entries(take func(uint64, []byte) error) (int64, error) {
	at := int64(sector)
	for at+sector <= r.size {
		b, err := r.at(at, headSize)
		if err != nil {
			return 0, err
		}
		e, ok := r.seal.entry(b)
		if !ok || at+headSize+e.length > r.size || e.sequence <= r.last {
			return at, nil
		}
		if b, err = r.at(at+headSize, e.length); err != nil {
			return 0, err
		}
		if r.seal.of(b) != e.sum {
			return at, nil
		}
		if err := take(e.sequence, b); err != nil {
			return 0, err
		}
		r.last = e.sequence
		at += aligned(headSize + int(e.length))
	}
	return at, nil
}

// nothingBehind makes sure that what was not read is the end: behind it may be what a crash has left of one
// entry, and zeros.
func (r *reader) nothingBehind(at int64) error {
	const chunk = 1 << 20
	for at += sector; at < r.size; at += chunk {
		b, err := r.at(at, min(chunk, r.size-at))
		if err != nil {
			return err
		}
		for ; len(b) >= headSize; b = b[min(sector, len(b)):] {
			if e, ok := r.seal.entry(b); ok && e.sequence > r.last {
				return fmt.Errorf("%w: an entry before the one with number %d in %s cannot be read", ErrDamaged, e.sequence, r.handle.Name())
			}
		}
	}
	return nil
}
