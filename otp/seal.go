package otp

import "encoding/binary"

// Keys seals seeds and makes HMACs; [otpgate/otp/keyset] has them.
type Keys interface {
	// Seal encrypts plain and binds it to ad.
	Seal(plain, ad []byte) ([]byte, error)
	// Open decrypts what Seal made with the same ad, and fails for everything else.
	Open(sealed, ad []byte) ([]byte, error)
	// MAC is an HMAC over parts that is of no use for another purpose.
	MAC(purpose string, parts ...[]byte) [32]byte
}

// boundTo is the associated data of a sealed seed. A seed that somebody with access to the store
// copies to another device or account does not open there.
func boundTo(account, device string) []byte {
	ad := []byte("otpgate seed\x00")
	ad = binary.BigEndian.AppendUint32(ad, uint32(len(account)))
	ad = append(ad, account...)
	return append(ad, device...)
}
