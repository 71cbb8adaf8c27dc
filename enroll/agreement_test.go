package enroll_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"otpgate/enroll/agreement"
	"otpgate/otp"
)

// TestKeyAgreement enrolls as the phone does, and computes codes that the server takes.
func TestKeyAgreement(t *testing.T) {
	w := start(t, nil)
	phone, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	code, _ := w.request("alice@corp.example")
	status, answer := w.post("/v1/devices", map[string]string{
		"email": "alice@corp.example", "code": strings.ToLower(code), "label": "phone", "public_key": agreement.FormatPublicKey(phone.PublicKey()),
	})
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, answer)
	}
	if answer["algorithm"] != "SHA1" || answer["digits"] != 6.0 || answer["period"] != 60.0 || answer["issuer"] != "Example" ||
		answer["unix_ms"] != float64(w.clock.now().UnixMilli()) || answer["otpauth"] != nil {
		t.Errorf("answer %v", answer)
	}
	server, err := agreement.ParsePublicKey(answer["public_key"].(string))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := agreement.Accept(phone, server, agreement.Context{
		Account: answer["account"].(string), Device: answer["device"].(string), Code: strings.ReplaceAll(code, "-", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	// The seed is in nothing that was sent or written.
	for _, form := range []string{string(seed), hex.EncodeToString(seed), base64.RawURLEncoding.EncodeToString(seed), base64.StdEncoding.EncodeToString(seed)} {
		if strings.Contains(fmt.Sprint(answer), form) || strings.Contains(w.logged.String(), form) {
			t.Error("the seed travels")
		}
	}
	typed := hotp(seed, uint64(w.clock.now().Unix()/60))
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(typed), Token: otp.Token{1}}); !r.OK {
		t.Errorf("the phone's code is refused: %s", r.Reason)
	}
	stranger := bytes.Clone(seed)
	stranger[0] ^= 1
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(hotp(stranger, uint64(w.clock.now().Unix()/60))), Token: otp.Token{2}}); r.OK {
		t.Error("another key's code is taken")
	}
}

// hotp is RFC 4226 section 5.3, as the app does it.
func hotp(key []byte, counter uint64) string {
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := h.Sum(nil)
	offset := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}

// TestBadPublicKeySpendsNothing: it is refused before anything is looked up.
func TestBadPublicKeySpendsNothing(t *testing.T) {
	w := start(t, nil)
	code, _ := w.request("alice@corp.example")
	members := map[string]string{"email": "alice@corp.example", "code": code, "label": "phone", "public_key": "BAAA"}
	for range 10 {
		if status, answer := w.post("/v1/devices", members); status != http.StatusBadRequest || strings.Contains(fmt.Sprint(answer), code) {
			t.Fatalf("%d %v", status, answer)
		}
	}
	delete(members, "public_key")
	if status, _ := w.post("/v1/devices", members); status != http.StatusCreated {
		t.Error(status)
	}
}
