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

	"otpgate/enroll"
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
	if status, _ := w.device(members); status != http.StatusCreated {
		t.Error(status)
	}
}

// TestLockIsTheSalt: whoever has the phone's half, but not the lock, has another key; and it is kept nowhere.
func TestLockIsTheSalt(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.Policy = enroll.Anyone })
	lock := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0x9c}, 32))
	p, answer := w.register("alice@corp.example", "phone", map[string]string{"lock": lock})
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: alice, Proof: otp.TypedCode(p.code(w.clock.now())), Token: otp.Token{1}}); !r.OK {
		t.Errorf("the locked phone's code is refused: %s", r.Reason)
	}
	if strings.Contains(w.logged.String(), lock) || strings.Contains(fmt.Sprint(answer, w.trail.all()), lock) {
		t.Error("the lock is in an answer, in the log or on record")
	}
	// A lock that gives no octets is no salt.
	p, _ = w.register("wang@corp.example", "phone", map[string]string{"lock": "webauthn"})
	if r := w.verifier.Verify(context.Background(), otp.Attempt{Account: wang, Proof: otp.TypedCode(p.code(w.clock.now())), Token: otp.Token{1}}); !r.OK {
		t.Errorf("refused: %s", r.Reason)
	}
	code, _ := w.request("alice@corp.example")
	for what, bad := range map[string]string{"a word": "yes", "too short": lock[:42], "zeros": strings.Repeat("A", 43), "padded": lock + "="} {
		if _, status, answer := w.tryRegister("alice@corp.example", code, "x", map[string]string{"lock": bad}); status != http.StatusBadRequest || strings.Contains(fmt.Sprint(answer), bad) {
			t.Errorf("%s: %d %v", what, status, answer)
		}
	}
	if status, _ := w.post("/v1/devices", map[string]string{"email": "alice@corp.example", "code": code, "label": "x", "lock": lock}); status != http.StatusBadRequest {
		t.Errorf("without a public key: %d", status)
	}
	if _, status, _ := w.tryRegister("alice@corp.example", code, "x", nil); status != http.StatusCreated {
		t.Errorf("none of it spent the code, but: %d", status)
	}
}

// TestLockRequired: neither another authenticator nor an app without a lock, whoever asks.
func TestLockRequired(t *testing.T) {
	w := start(t, func(_ *world, o *enroll.Options) { o.AppLock = enroll.LockRequired })
	code, _ := w.request("alice@corp.example")
	for _, email := range []string{"alice@corp.example", "nobody@corp.example"} {
		for what, more := range map[string]map[string]string{
			"no lock": {"public_key": publicKey(t)}, "an empty one": {"public_key": publicKey(t), "lock": ""},
			"another authenticator": {}, "with a lock": {"lock": "webauthn"},
		} {
			more["email"], more["code"], more["label"] = email, code, "x"
			if status, answer := w.post("/v1/devices", more); status != http.StatusBadRequest || answer["type"] != "urn:otpgate:lock-required" {
				t.Errorf("%s: %d %v", what, status, answer)
			}
		}
	}
	// Nor the first code of another authenticator that was offered before locks were asked for.
	if status, answer := w.post("/v1/confirmations", map[string]string{"token": "x", "code": "000000"}); status != http.StatusBadRequest || answer["type"] != "urn:otpgate:lock-required" {
		t.Errorf("a first code: %d %v", status, answer)
	}
	if _, status, _ := w.tryRegister("alice@corp.example", code, "x", map[string]string{"lock": "webauthn"}); status != http.StatusCreated {
		t.Error(status)
	}
}
