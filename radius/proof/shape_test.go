package proof_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"otpgate/radius/proof"
)

func TestShapes(t *testing.T) {
	for text, want := range map[string][3]bool{ // code, password and code, password
		"":                       {false, false, false},
		"12345":                  {false, false, true},
		"123456":                 {true, true, true},
		"12345678":               {true, true, true},
		"123456789":              {false, true, true},
		"geheim123456":           {false, true, true},
		"geheim12345":            {false, false, true},
		"geheim12345 ":           {false, false, true},
		"müller123456":           {false, true, true},
		"m\xfcller123456":        {false, true, true},
		"m\x9cller123456":        {false, false, false}, // a control character in ISO 8859-1
		"m\u009cller123456":      {false, false, false},
		"a\x00b123456":           {false, false, false},
		"\t123456":               {false, false, false},
		"123456\n":               {false, false, false},
		"geheim\x7f123456":       {false, false, false},
		"１２３４５６":                 {false, false, true}, // digits, but not ASCII
		"+12345":                 {false, false, true},
		"-123456":                {false, true, true},
		static("a", "1"):         {false, false, true},
		strings.Repeat("x", 128): {false, false, true},
	} {
		got := [3]bool{
			proof.LooksLikeCode([]byte(text)), proof.LooksLikePasswordAndCode([]byte(text)), proof.LooksLikePassword([]byte(text)),
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// With another secret a password reveals to anything. The shapes hold what their comment says.
func TestGarbageHasNoShape(t *testing.T) {
	const tries = 100_000
	r := rand.New(rand.NewPCG(1, 2))
	var codes, both, passwords int
	for range tries {
		var octets [16]byte
		for i := range octets {
			octets[i] = byte(r.Uint32())
		}
		text := proof.Reveal(octets[:], []byte("not the secret"), [16]byte{})
		if proof.LooksLikeCode(text) {
			codes++
		}
		if proof.LooksLikePasswordAndCode(text) {
			both++
		}
		if proof.LooksLikePassword(text) {
			passwords++
		}
	}
	if codes > 0 || both > 0 || passwords > tries/50 {
		t.Errorf("of %d: %d codes, %d with a code, %d passwords", tries, codes, both, passwords)
	}
}
