package proof_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"otpgate/otp"
	"otpgate/radius/proof"
)

func TestTheCodeIsAtTheEnd(t *testing.T) {
	p := proof.CodeAtEnd("geheim123456")
	for code, want := range map[string]bool{
		"123456": true, "654321": false, "23456": true, "geheim123456": true, "xgeheim123456": false, "m123456": true, "": false,
	} {
		if p.Match([]byte(code)) != want {
			t.Errorf("code %q: %v", code, !want)
		}
	}
	for digits, want := range map[int]string{6: "geheim", 8: "gehe", 12: "", 13: ""} {
		if got := p.Password(digits); got != want {
			t.Errorf("%d digits leave %q, want %q", digits, got, want)
		}
	}
	if !bytes.Equal(p.Octets(), []byte("geheim123456")) {
		t.Error("Octets is not the whole proof")
	}
	if proof.CodeAtEnd(nil).Match(nil) {
		t.Error("the zero value matches")
	}
}

func TestTextIsUTF8OrLatin1(t *testing.T) {
	for octets, want := range map[string]string{"": "", "abc": "abc", "müller": "müller", "m\xfcller": "müller", "\xff": "ÿ"} {
		if got := proof.Text([]byte(octets)); got != want {
			t.Errorf("%q became %q, want %q", octets, got, want)
		}
	}
	if got := proof.Latin1([]byte("ü")); got != "Ã¼" {
		t.Errorf("%q", got)
	}
}

// hide is what a gateway does with a password (RFC 2865 section 5.2).
func hide(password, secret []byte, authenticator [16]byte) []byte {
	padded := append(bytes.Clone(password), make([]byte, (16-len(password)%16)%16)...)
	if len(padded) == 0 {
		padded = make([]byte, 16)
	}
	before := authenticator[:]
	for at := 0; at < len(padded); at += 16 {
		b := md5.Sum(append(bytes.Clone(secret), before...))
		for i := range b {
			padded[at+i] ^= b[i]
		}
		before = padded[at : at+16]
	}
	return padded
}

func TestRevealedIsWhatWasTyped(t *testing.T) {
	secret, authenticator := []byte("testing123"), [16]byte{3, 1, 4, 1, 5}
	for n := 1; n <= 128; n++ {
		typed := bytes.Repeat([]byte("0123456789abcdef"), 8)[:n]
		if got := proof.Reveal(hide(typed, secret, authenticator), secret, authenticator); !bytes.Equal(got, typed) {
			t.Errorf("%q became %q", typed, got)
		}
	}
	for _, typed := range []string{"", "\x00", "a\x00b", strings.Repeat("x", 129)} {
		if got := proof.Reveal(hide([]byte(typed), secret, authenticator), secret, authenticator); got != nil {
			t.Errorf("%q became %q", typed, got)
		}
	}
	for _, n := range []int{0, 1, 15, 17, 127, 129, 144, 253} {
		if got := proof.Reveal(make([]byte, n), secret, authenticator); got != nil {
			t.Errorf("%d octets became %q", n, got)
		}
	}
}

// all are one of each proof, with the texts that nobody may see.
func all(t *testing.T) map[string]any {
	t.Helper()
	chap, err := proof.NewCHAP(chapValue(1, "123456", make([]byte, 16)), make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	ms := mschapv2(t, rfcName)
	if !ms.Match([]byte(rfcPassword)) {
		t.Fatal("no match")
	}
	mppe, err := ms.MPPE([]byte("secret"), [16]byte{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"CodeAtEnd": proof.CodeAtEnd("geheim123456"), "Split": proof.NewSplit([]byte("geheim"), []byte("123456")),
		"CHAP": chap, "MSCHAPv2": ms, "MSCHAPv2 by value": *ms, "MPPE": mppe,
	}
}

func TestNothingOfAProofIsPrinted(t *testing.T) {
	for name, p := range all(t) {
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if got := strings.Trim(fmt.Sprintf(form, p), `"`); got != "[redacted]" {
				t.Errorf("%s by %s: %s", name, form, got)
			}
		}
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "p", p)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "p", p)
		if name == "MPPE" {
			continue // its fields are for the packet, and hidden
		}
		if err := json.NewEncoder(&out).Encode(p); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"geheim", "123456", rfcPassword, base64.StdEncoding.EncodeToString([]byte("geheim123456"))} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s is logged: %s", name, out.String())
			}
		}
	}
	attempt := otp.Attempt{Proof: proof.NewSplit([]byte("geheim"), []byte("123456"))}
	if s := fmt.Sprintf("%+v", attempt); strings.Contains(s, "123456") || strings.Contains(s, "49 50") {
		t.Error(s)
	}
}
