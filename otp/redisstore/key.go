package redisstore

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"otpgate/otp"
)

// keyAccount is the longest account, as written in a key.
const keyAccount = 200

// tag writes the account so that it can stand within a hash tag: no two accounts are written the
// same, and none contains a brace. The empty one must be written as something, because an empty
// tag is no tag.
func tag(account string) string {
	if account == "" {
		return "%"
	}
	plain := true
	for i := range len(account) {
		plain = plain && safe(account[i])
	}
	if plain && len(account) <= keyAccount {
		return account
	}
	if len(account) <= keyAccount {
		var b strings.Builder
		for i := range len(account) {
			if safe(account[i]) {
				b.WriteByte(account[i])
			} else {
				b.WriteByte('%')
				b.WriteString(hex.EncodeToString([]byte{account[i]}))
			}
		}
		if b.Len() <= keyAccount {
			return b.String()
		}
	}
	sum := sha256.Sum256([]byte(account))
	return "~" + hex.EncodeToString(sum[:])
}

func safe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

func (s *Store) accountKey(account string) string {
	return s.prefix + "{" + tag(account) + "}:a"
}

// noteKey is in the slot of the account that key may be.
func (s *Store) noteKey(kind, key string) string {
	return s.prefix + "{" + tag(key) + "}:n:" + tag(kind)
}

func (s *Store) ticketKey(kind otp.TicketKind, account string) string {
	return s.prefix + "{" + tag(account) + "}:t" + strconv.Itoa(int(kind))
}
