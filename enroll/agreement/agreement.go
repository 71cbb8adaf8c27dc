package agreement

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	label      = "otpgate device key v1"
	seedLength = 20 // octets: HMAC-SHA1
	lockLength = 32 // octets: what WebAuthn's PRF extension gives
)

var (
	// ErrPublicKey: not a point of P-256 in uncompressed form, base64url without padding.
	ErrPublicKey = errors.New("not a P-256 public key")
	// ErrLock: not 32 octets, base64url without padding, of which one is not zero.
	ErrLock = errors.New("not the octets of a lock")
)

// Context is what a seed is bound to, besides both public keys.
type Context struct {
	Account string // the account's id
	Device  string // the device's id
	Code    string // the enrollment code: 8 upper-case characters
	Lock    Lock   // the salt; nil: none
}

// Lock is what the phone's own authenticator gives to whoever opened it: without it the key is not
// made again. It is secret.
type Lock []byte

// String keeps the octets out of anything that is printed.
func (Lock) String() string { return "[redacted]" }

// GoString keeps the octets out of anything that is printed.
func (Lock) GoString() string { return "[redacted]" }

// ParseLock reads a lock as it comes in JSON. The error wraps [ErrLock] and repeats nothing. Zeros
// are refused: HKDF makes the same of them as of no salt (RFC 5869 section 2.2).
func ParseLock(text string) (Lock, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != text { // the decoder passes over line breaks
		return nil, ErrLock
	}
	if len(raw) != lockLength || subtle.ConstantTimeCompare(raw, make([]byte, lockLength)) == 1 {
		return nil, ErrLock
	}
	return raw, nil
}

// ParsePublicKey reads a public key as it comes in JSON. The error wraps [ErrPublicKey].
func ParsePublicKey(text string) (*ecdh.PublicKey, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrPublicKey)
	}
	key, err := ecdh.P256().NewPublicKey(raw)
	if err != nil || FormatPublicKey(key) != text { // the decoder passes over line breaks
		return nil, ErrPublicKey
	}
	return key, nil
}

// FormatPublicKey writes a public key as it goes into JSON.
func FormatPublicKey(key *ecdh.PublicKey) string {
	return base64.RawURLEncoding.EncodeToString(key.Bytes())
}

// Serve is the server's side: with a key of its own, from random, it returns the seed and the
// public key to answer with.
func Serve(phone *ecdh.PublicKey, c Context, random io.Reader) (seed []byte, public *ecdh.PublicKey, err error) {
	own, err := ecdh.P256().GenerateKey(random)
	if err != nil {
		return nil, nil, err
	}
	seed, err = derive(own, phone, phone, own.PublicKey(), c)
	return seed, own.PublicKey(), err
}

// Accept is the phone's side: the seed, from its own private key and the server's answer.
func Accept(own *ecdh.PrivateKey, server *ecdh.PublicKey, c Context) (seed []byte, err error) {
	return derive(own, server, own.PublicKey(), server, c)
}

func derive(own *ecdh.PrivateKey, other, phone, server *ecdh.PublicKey, c Context) ([]byte, error) {
	z, err := own.ECDH(other)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, z, c.Lock, string(info(phone, server, c)), seedLength)
}

// info is what the seed is bound to: each field with its length before it.
func info(phone, server *ecdh.PublicKey, c Context) []byte {
	var b []byte
	for _, field := range [][]byte{
		[]byte(label), phone.Bytes(), server.Bytes(), []byte(c.Account), []byte(c.Device), []byte(c.Code),
	} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b
}
