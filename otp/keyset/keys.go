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
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keys seals, opens and makes HMACs. It is safe for concurrent use, and prints as nothing.
type Keys struct {
	sealing tink.AEAD
	macs    sync.Pool // of *mac, keyed with the MAC key
	print   string
}

// mac is an HMAC-SHA256 that is keyed once, because keying it costs as much as using it.
type mac struct {
	hash   hash.Hash
	length [8]byte
	sum    [sha256.Size]byte
}

func newKeys(f *file) (*Keys, error) {
	sealing, err := aead.New(f.sealing)
	if err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	key := f.macKey
	k := &Keys{sealing: sealing}
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
	sum := k.MAC("fingerprint")
	k.print = hex.EncodeToString(sum[:16])
	return k, nil
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

// MAC returns an HMAC-SHA256 over parts. What was made for one purpose is of no use for another,
// and no two lists of parts look the same: each part is preceded by its length.
func (k *Keys) MAC(purpose string, parts ...[]byte) (sum [32]byte) {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.hash.Reset()
	m.begin(len(purpose))
	m.hash.Write([]byte(purpose))
	for _, part := range parts {
		m.begin(len(part))
		m.hash.Write(part)
	}
	return [32]byte(m.hash.Sum(m.sum[:0]))
}

func (m *mac) begin(length int) {
	binary.BigEndian.PutUint64(m.length[:], uint64(length))
	m.hash.Write(m.length[:])
}

// Fingerprint names the keyset without telling anything about its keys. Rotating the sealing keys
// does not change it.
func (k *Keys) Fingerprint() string { return k.print }

// String keeps the keys out of anything that is printed.
func (k *Keys) String() string { return "keyset " + k.print }

// GoString keeps the keys out of anything that is printed.
func (k *Keys) GoString() string { return k.String() }
