package proof_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"testing"

	"otpgate/radius/proof"
)

// chapValue is the value of CHAP-Password that somebody makes who knows the code.
func chapValue(ident byte, code string, challenge []byte) []byte {
	sum := md5.Sum(append(append([]byte{ident}, code...), challenge...))
	return append([]byte{ident}, sum[:]...)
}

func TestCHAPMatchesTheCodeOfTheResponse(t *testing.T) {
	for _, n := range []int{5, 16, 253} {
		challenge := bytes.Repeat([]byte{0xc5}, n)
		value := chapValue(22, "123456", challenge)
		p, err := proof.NewCHAP(value, challenge)
		if err != nil {
			t.Fatal(err)
		}
		for code, want := range map[string]bool{"123456": true, "123457": false, "12345": false, "1234567": false, "": false} {
			if p.Match([]byte(code)) != want {
				t.Errorf("%d octets of challenge, code %q: %v", n, code, !want)
			}
		}
		for bit := range 8 * (len(value) + n) {
			v, c := bytes.Clone(value), bytes.Clone(challenge)
			if at := bit / 8; at < len(v) {
				v[at] ^= 1 << (bit % 8)
			} else {
				c[at-len(v)] ^= 1 << (bit % 8)
			}
			other, err := proof.NewCHAP(v, c)
			if err != nil {
				t.Fatal(err)
			}
			if other.Match([]byte("123456")) {
				t.Fatalf("bit %d can be flipped", bit)
			}
			if bytes.Equal(other.Octets(), p.Octets()) {
				t.Fatalf("bit %d is not among the octets", bit)
			}
		}
		clear(value)
		clear(challenge)
		if !p.Match([]byte("123456")) {
			t.Error("the proof changed with the packet")
		}
	}
	if (proof.CHAP{}).Match(nil) || (proof.CHAP{}).Match([]byte("123456")) {
		t.Error("the zero value matches")
	}
}

// A response to the empty text is one that the gateway made of a login without a code.
func TestCHAPOfNothingIsNoCode(t *testing.T) {
	p, err := proof.NewCHAP(chapValue(1, "", make([]byte, 16)), make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	if p.Match(nil) || p.Match([]byte{}) {
		t.Error("no code matches")
	}
}

func TestCHAPOfOtherLengthsIsGarbled(t *testing.T) {
	for _, n := range [][2]int{{0, 16}, {16, 16}, {18, 16}, {17, 0}, {17, 4}, {17, 254}} {
		if _, err := proof.NewCHAP(make([]byte, n[0]), make([]byte, n[1])); !errors.Is(err, proof.ErrGarbled) {
			t.Errorf("%v: %v", n, err)
		}
	}
}

func TestCHAPDoesNotAllocate(t *testing.T) {
	challenge := make([]byte, 253)
	p, err := proof.NewCHAP(chapValue(1, "87654321", challenge), challenge)
	if err != nil {
		t.Fatal(err)
	}
	code := []byte("87654321")
	if n := testing.AllocsPerRun(100, func() { p.Match(code) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCHAP(b *testing.B) {
	p, err := proof.NewCHAP(chapValue(1, "123456", make([]byte, 16)), make([]byte, 16))
	if err != nil {
		b.Fatal(err)
	}
	code := []byte("654321")
	b.ReportAllocs()
	for b.Loop() {
		p.Match(code)
	}
}
