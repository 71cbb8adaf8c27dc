package agreement

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

var context = Context{Account: "0b000000-0000-4000-8000-000000000002", Device: "abcdefghijklmnop", Code: "7ZX8K2QD"}

func TestBothSidesAgree(t *testing.T) {
	phone, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs, server, err := Serve(phone.PublicKey(), context, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Accept(phone, server, context)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(theirs, ours) || len(ours) != 20 {
		t.Errorf("%x and %x", theirs, ours)
	}
	again, _, err := Serve(phone.PublicKey(), context, rand.Reader)
	if err != nil || bytes.Equal(again, theirs) {
		t.Error("the server's key is not a new one")
	}
}

func TestSeedIsBoundToEverything(t *testing.T) {
	phone, _ := ecdh.P256().GenerateKey(rand.Reader)
	server, _ := ecdh.P256().GenerateKey(rand.Reader)
	other, _ := ecdh.P256().GenerateKey(rand.Reader)
	right, err := Accept(phone, server.PublicKey(), context)
	if err != nil {
		t.Fatal(err)
	}
	for name, seed := range map[string]func() ([]byte, error){
		"account": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{"another", context.Device, context.Code, nil})
		},
		"device": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account, "another", context.Code, nil})
		},
		"code": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account, context.Device, "00000000", nil})
		},
		"a boundary between fields": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account + "a", context.Device[1:], context.Code, nil})
		},
		"the lock": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account, context.Device, context.Code, bytes.Repeat([]byte{1}, 32)})
		},
		"the server's key": func() ([]byte, error) { return Accept(phone, other.PublicKey(), context) },
		"the phone's key":  func() ([]byte, error) { return Accept(other, server.PublicKey(), context) },
		"the public key of the phone alone": func() ([]byte, error) {
			return derive(phone, server.PublicKey(), other.PublicKey(), server.PublicKey(), context)
		},
		"the public key of the server alone": func() ([]byte, error) {
			return derive(phone, server.PublicKey(), phone.PublicKey(), other.PublicKey(), context)
		},
	} {
		got, err := seed()
		if err != nil || bytes.Equal(got, right) {
			t.Errorf("not bound to %s (%v)", name, err)
		}
	}
}

// TestEveryBitOfTheLockCounts, and whoever has it in the end gets the same seed on both sides.
func TestEveryBitOfTheLockCounts(t *testing.T) {
	phone, _ := ecdh.P256().GenerateKey(rand.Reader)
	locked := context
	locked.Lock = bytes.Repeat([]byte{0x5a}, 32)
	theirs, server, err := Serve(phone.PublicKey(), locked, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := Accept(phone, server, locked); err != nil || !bytes.Equal(ours, theirs) {
		t.Fatalf("%x and %x, %v", ours, theirs, err)
	}
	if without, err := Accept(phone, server, context); err != nil || bytes.Equal(without, theirs) {
		t.Error("the key is made without the lock")
	}
	for bit := range 8 * len(locked.Lock) {
		flipped := locked
		flipped.Lock = bytes.Clone(locked.Lock)
		flipped.Lock[bit/8] ^= 1 << (bit % 8)
		if seed, err := Accept(phone, server, flipped); err != nil || bytes.Equal(seed, theirs) {
			t.Errorf("bit %d does not count", bit)
		}
	}
}

// TestLocksThatAreNone: above all not zeros, of which HKDF makes what it makes of nothing.
func TestLocksThatAreNone(t *testing.T) {
	good := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32))
	if l, err := ParseLock(good); err != nil || len(l) != 32 {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "a word": "webauthn", "too short": good[:40], "too long": good + "AAAA", "padded": good + "=", "a line break": good + "\n",
		"base64": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32)), "bits left over": good[:42] + "9", "zeros": strings.Repeat("A", 43),
	} {
		if l, err := ParseLock(text); !errors.Is(err, ErrLock) || l != nil {
			t.Errorf("%s: taken, %v", name, err)
		}
	}
	l, _ := ParseLock(good)
	if printed := fmt.Sprintf("%v %s %+v %#v", l, l, Context{Lock: l}, Context{Lock: l}); strings.Contains(printed, "251") || strings.Contains(printed, "fb") {
		t.Errorf("printed: %s", printed)
	}
	phone, _ := ecdh.P256().GenerateKey(rand.Reader)
	server, _ := ecdh.P256().GenerateKey(rand.Reader)
	none, _ := Accept(phone, server.PublicKey(), context)
	zeros := context
	zeros.Lock = make([]byte, 32)
	if same, _ := Accept(phone, server.PublicKey(), zeros); !bytes.Equal(same, none) {
		t.Error("zeros are another salt than none: then they need not be refused")
	}
}

// TestDerivationByHand spells RFC 5869 out, so that the documentation and the code are held to
// each other by something else than the same library call.
func TestDerivationByHand(t *testing.T) {
	phone, _ := ecdh.P256().GenerateKey(rand.Reader)
	server, _ := ecdh.P256().GenerateKey(rand.Reader)
	z, err := phone.ECDH(server.PublicKey())
	if err != nil || len(z) != 32 {
		t.Fatal(err, len(z))
	}
	var info []byte
	for _, f := range []string{
		"otpgate device key v1", string(phone.PublicKey().Bytes()), string(server.PublicKey().Bytes()), context.Account, context.Device, context.Code,
	} {
		info = append(info, byte(len(f)>>8), byte(len(f)))
		info = append(info, f...)
	}
	for _, salt := range [][]byte{nil, bytes.Repeat([]byte{7}, 32)} {
		extract := hmac.New(sha256.New, append(make([]byte, 32-len(salt)), salt...))
		extract.Write(z)
		expand := hmac.New(sha256.New, extract.Sum(nil))
		expand.Write(info)
		expand.Write([]byte{1})
		want := expand.Sum(nil)[:20]
		locked := context
		locked.Lock = salt
		if got, err := Accept(phone, server.PublicKey(), locked); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x, want %x (%v)", got, want, err)
		}
	}
}

func TestPublicKeysThatAreNone(t *testing.T) {
	key, _ := ecdh.P256().GenerateKey(rand.Reader)
	raw := key.PublicKey().Bytes()
	if _, err := ParsePublicKey(FormatPublicKey(key.PublicKey())); err != nil {
		t.Error(err)
	}
	offCurve := bytes.Clone(raw)
	offCurve[64] ^= 1
	for name, b := range map[string][]byte{
		"nothing": {}, "the identity": {0}, "too short": raw[:64], "too long": append(bytes.Clone(raw), 0), "not on the curve": offCurve,
		"compressed": append([]byte{2}, raw[1:33]...), "zeros": append([]byte{4}, make([]byte, 64)...),
	} {
		if _, err := ParsePublicKey(base64.RawURLEncoding.EncodeToString(b)); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := FormatPublicKey(key.PublicKey())
	for _, text := range []string{good + "=", good + "\n", " " + good, base64.StdEncoding.EncodeToString(raw), "ö"} {
		if _, err := ParsePublicKey(text); !errors.Is(err, ErrPublicKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// vector is one exchange; keys are hexadecimal: private ones as a number, public ones raw.
type vector struct {
	PhonePrivate  string `json:"phone_private"`
	PhonePublic   string `json:"phone_public"`
	ServerPrivate string `json:"server_private"`
	ServerPublic  string `json:"server_public"`
	Account       string `json:"account"`
	Device        string `json:"device"`
	Code          string `json:"code"`
	Lock          string `json:"lock"` // as in the request; "": none
	Info          string `json:"info"`
	Seed          string `json:"seed"`
}

func TestVectors(t *testing.T) {
	octets, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(octets, &vectors); err != nil || len(vectors) < 2 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	locked := 0
	private := func(text string) *ecdh.PrivateKey {
		t.Helper()
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ecdh.P256().NewPrivateKey(b)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for i, v := range vectors {
		phone, server := private(v.PhonePrivate), private(v.ServerPrivate)
		c := Context{Account: v.Account, Device: v.Device, Code: v.Code}
		if v.Lock != "" {
			var err error
			if c.Lock, err = ParseLock(v.Lock); err != nil {
				t.Fatal(err)
			}
			locked++
		}
		seed, err := Accept(phone, server.PublicKey(), c)
		if err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string][2]string{
			"phone_public":  {hex.EncodeToString(phone.PublicKey().Bytes()), v.PhonePublic},
			"server_public": {hex.EncodeToString(server.PublicKey().Bytes()), v.ServerPublic},
			"info":          {hex.EncodeToString(info(phone.PublicKey(), server.PublicKey(), c)), v.Info},
			"seed":          {hex.EncodeToString(seed), v.Seed},
		} {
			if pair[0] != pair[1] {
				t.Errorf("vector %d: %s is %s, want %s", i, what, pair[0], pair[1])
			}
		}
	}
	if locked == 0 || locked == len(vectors) {
		t.Errorf("%d of %d vectors have a lock", locked, len(vectors))
	}
}

// FuzzParseLock: what is taken is 32 octets, written in one way, and never those that do nothing.
func FuzzParseLock(f *testing.F) {
	f.Add(base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 32)))
	f.Add(strings.Repeat("A", 43))
	f.Add("webauthn")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLock(text)
		if err != nil {
			if !errors.Is(err, ErrLock) || l != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if len(l) != 32 || base64.RawURLEncoding.EncodeToString(l) != text || bytes.Equal(l, make([]byte, 32)) {
			t.Fatalf("%q is taken", text)
		}
	})
}

// FuzzParsePublicKey: what is taken is one point, written in one way, and can be agreed with.
func FuzzParsePublicKey(f *testing.F) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(FormatPublicKey(own.PublicKey()))
	f.Add("BAAA")
	f.Add(FormatPublicKey(own.PublicKey()) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParsePublicKey(text)
		if err != nil {
			if !errors.Is(err, ErrPublicKey) || (len(text) > 8 && strings.Contains(err.Error(), text)) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if FormatPublicKey(key) != text {
			t.Fatalf("%q is written %q", text, FormatPublicKey(key))
		}
		if seed, _, err := Serve(key, Context{}, rand.Reader); err != nil || len(seed) != 20 {
			t.Fatalf("%q: %d octets, %v", text, len(seed), err)
		}
	})
}
