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
			return Accept(phone, server.PublicKey(), Context{"another", context.Device, context.Code})
		},
		"device": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account, "another", context.Code})
		},
		"code": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account, context.Device, "00000000"})
		},
		"a boundary between fields": func() ([]byte, error) {
			return Accept(phone, server.PublicKey(), Context{context.Account + "a", context.Device[1:], context.Code})
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
	extract := hmac.New(sha256.New, make([]byte, 32))
	extract.Write(z)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write(info)
	expand.Write([]byte{1})
	want := expand.Sum(nil)[:20]
	if got, err := Accept(phone, server.PublicKey(), context); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, want %x (%v)", got, want, err)
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
		c := Context{v.Account, v.Device, v.Code}
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
