package enroll

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// What sealed tokens are for, bound to each: none is taken for another, and nothing else that the
// keyset sealed is taken for one.
const (
	revocationPurpose = "otpgate enroll revocation v1"
	offerPurpose      = "otpgate enroll offer v1"
	linkPurpose       = "otpgate enroll link v1"
	sessionPurpose    = "otpgate enroll session v1"
)

// seal makes a token that holds v, which nobody else can read or change.
func (s *Server) seal(purpose string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sealed, err := s.o.Keys.Seal(plain, []byte(purpose))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// open reads a token into v, and reports false for anything that is not one. Whether it is too old,
// the caller sees from v.
func (s *Server) open(purpose, token string, v any) bool {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") { // which the decoder passes over
		return false
	}
	plain, err := s.o.Keys.Open(sealed, []byte(purpose))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// past reports whether a moment that a token holds, in Unix seconds, has come.
func (s *Server) past(unix int64) bool { return s.o.Now().Unix() >= unix }
