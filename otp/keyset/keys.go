package keyset

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf/hmacprf"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keys seals, opens and makes HMACs. It is safe for concurrent use, and prints as its fingerprint.
type Keys struct {
	sealing     tink.AEAD
	macs        sync.Pool // of *mac
	fingerprint string
}

// mac is an HMAC-SHA256 that is keyed once, because keying it costs as much as using it. Tink's
// own PRF keys anew and allocates for each call.
type mac struct {
	hash  hash.Hash
	input []byte
	sum   [sha256.Size]byte
}

// maxInput is how much of a mac's input buffer is kept for the next one. A packet has 4,096 octets.
const maxInput = 8192

func newKeys(f *file) (*Keys, error) {
	sealing, err := aead.New(f.sealing)
	if err != nil {
		return nil, fmt.Errorf("%w: the sealing keys seal nothing", ErrDamaged)
	}
	key, err := prfKey(f.prf)
	if err != nil {
		return nil, err
	}
	k := &Keys{sealing: sealing}
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
	sum := k.MAC("fingerprint")
	k.fingerprint = hex.EncodeToString(sum[:16])
	return k, nil
}

// prfKey is the one key of the PRF keyset.
func prfKey(h *keyset.Handle) ([]byte, error) {
	entry, err := h.Primary()
	if err != nil || h.Len() != 1 {
		return nil, fmt.Errorf("%w: the PRF keyset must have one key", ErrDamaged)
	}
	key, ok := entry.Key().(*hmacprf.Key)
	if !ok {
		return nil, fmt.Errorf("%w: the PRF key is not one for HMAC", ErrDamaged)
	}
	p, ok := key.Parameters().(*hmacprf.Parameters)
	if !ok || p.HashType() != hmacprf.SHA256 || p.KeySizeInBytes() < sha256.Size {
		return nil, fmt.Errorf("%w: the PRF key is not one of 32 octets for HMAC-SHA256", ErrDamaged)
	}
	return key.KeyBytes().Data(insecuresecretdataaccess.Token{}), nil
}

// Seal encrypts plain with the newest sealing key (AES-256-GCM, random nonce) and binds it to ad:
// it opens with the same ad only.
func (k *Keys) Seal(plain, ad []byte) ([]byte, error) {
	b, err := k.sealing.Encrypt(plain, ad)
	if err != nil {
		return nil, fmt.Errorf("keyset: seal: %w", err)
	}
	return b, nil
}

// Open decrypts what Seal made with the same ad and any of the sealing keys. It fails for
// everything else.
func (k *Keys) Open(sealed, ad []byte) ([]byte, error) {
	b, err := k.sealing.Decrypt(sealed, ad)
	if err != nil {
		return nil, fmt.Errorf("keyset: open: %w", err)
	}
	return b, nil
}

// MAC returns the HMAC-SHA256 of purpose and parts, each preceded by its length as 64 bits: what
// was made for one purpose is of no use for another, and no two lists of parts look the same.
func (k *Keys) MAC(purpose string, parts ...[]byte) (sum [32]byte) {
	m := k.macs.Get().(*mac)
	// One buffer, so that what callers hand in need not move to the heap.
	b := appendPart(m.input[:0], purpose)
	for _, part := range parts {
		b = appendPart(b, part)
	}
	m.hash.Reset()
	m.hash.Write(b)
	copy(sum[:], m.hash.Sum(m.sum[:0]))
	clear(b) // it may hold a code or a seed
	clear(m.sum[:])
	if m.input = b; cap(b) > maxInput {
		m.input = nil
	}
	k.macs.Put(m)
	return sum
}

func appendPart[T string | []byte](b []byte, part T) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(part))), part...)
}

// Fingerprint names the keyset without telling anything about its keys: 32 hexadecimal digits.
// Rotating the sealing keys does not change it.
func (k *Keys) Fingerprint() string { return k.fingerprint }

// String keeps the keys out of anything that is printed.
func (k *Keys) String() string { return "keyset " + k.fingerprint }

// GoString keeps the keys out of anything that is printed.
func (k *Keys) GoString() string { return k.String() }
