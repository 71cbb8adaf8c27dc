package roster

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
)

// An Algorithm is the hash of a device's codes.
type Algorithm uint8

// The algorithms of RFC 6238.
const (
	SHA1 Algorithm = iota
	SHA256
	SHA512
)

// String returns its name in an otpauth URI.
func (a Algorithm) String() string { return [...]string{"SHA1", "SHA256", "SHA512"}[a] }

// A Generator computes codes. It is for one goroutine at a time, and allocates nothing.
type Generator struct {
	hashes  [3]hash.Hash
	pad     [sha512.BlockSize]byte
	message [8]byte
	inner   [sha512.Size]byte
	sum     [sha512.Size]byte
	key     [sha512.Size]byte
}

// NewGenerator returns a generator of codes.
func NewGenerator() *Generator {
	return &Generator{hashes: [3]hash.Hash{sha1.New(), sha256.New(), sha512.New()}}
}

// code appends the digits for a step (RFC 4226 section 5.3, RFC 6238 section 4).
func (g *Generator) code(b []byte, a Algorithm, seed []byte, step int64, digits int) []byte {
	binary.BigEndian.PutUint64(g.message[:], uint64(step))
	sum := g.keyed(g.hashes[a], seed)
	at := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	start := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := start + digits - 1; i >= start; i-- {
		b[i] += byte(number % 10)
		number /= 10
	}
	return b
}

// keyed is HMAC of the message (RFC 2104), with a hash that is kept.
func (g *Generator) keyed(h hash.Hash, seed []byte) []byte {
	if len(seed) > h.BlockSize() {
		h.Reset()
		h.Write(seed)
		seed = h.Sum(g.key[:0])
	}
	pad := g.pad[:h.BlockSize()]
	fill(pad, seed, 0x36)
	h.Reset()
	h.Write(pad)
	h.Write(g.message[:])
	inner := h.Sum(g.inner[:0])
	fill(pad, seed, 0x5c)
	h.Reset()
	h.Write(pad)
	h.Write(inner)
	return h.Sum(g.sum[:0])
}

func fill(pad, seed []byte, with byte) {
	for i := range pad {
		pad[i] = with
	}
	for i, s := range seed {
		pad[i] ^= s
	}
}
