package redisstore

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"otpgate/otp"
)

// keyAccount is the longest account, as written in a key.
const keyAccount = 200

// tag writes the account so that it can stand within a hash tag: no two accounts are written the
// same, and none contains a brace. The empty one must be written as something, because an empty
// tag is no tag.
func tag(account string) string { return string(appendTag(nil, account)) }

func appendTag(b []byte, account string) []byte {
	if account == "" {
		return append(b, '%')
	}
	if len(account) <= keyAccount {
		from, plain := len(b), true
		for i := 0; i < len(account) && plain; i++ {
			plain = safe(account[i])
		}
		if plain {
			return append(b, account...)
		}
		for i := range len(account) {
			if safe(account[i]) {
				b = append(b, account[i])
			} else {
				b = hex.AppendEncode(append(b, '%'), []byte{account[i]})
			}
		}
		if len(b)-from <= keyAccount {
			return b
		}
		b = b[:from]
	}
	sum := sha256.Sum256([]byte(account))
	return hex.AppendEncode(append(b, '~'), sum[:])
}

func safe(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || c == '-' || c == '_' || c == '.'
}

func (s *Store) accountKey(account string) string {
	return string(appendAccountKey(nil, s.prefix, account))
}

func appendAccountKey(b []byte, prefix, account string) []byte {
	return append(appendTag(append(append(b, prefix...), '{'), account), "}:a"...)
}

// noteKey is in the slot of the account that key may be.
func (s *Store) noteKey(kind, key string) string {
	return s.prefix + "{" + tag(key) + "}:n:" + tag(kind)
}

func (s *Store) ticketKey(kind otp.TicketKind, account string) string {
	return s.prefix + "{" + tag(account) + "}:t" + strconv.Itoa(int(kind))
}
