package enroll_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"otpgate/enroll"
)

func TestCodesAreRandomAndReadable(t *testing.T) {
	seen, counts := map[string]bool{}, map[rune]int{}
	const n = 20_000
	for range n {
		c := enroll.RandomCode(8)
		if seen[c] {
			t.Fatal("the same code twice")
		}
		seen[c] = true
		for _, r := range c {
			counts[r]++
		}
		if back, ok := enroll.Normalise(enroll.Display(c), 8); !ok || back != c {
			t.Fatalf("%s reads as %s", c, back)
		}
	}
	if len(counts) != 32 || strings.ContainsAny(keysOf(counts), "ILOU") {
		t.Errorf("characters %s", keysOf(counts))
	}
	for r, got := range counts { // each n*8/32 times, give or take; 6 standard deviations
		if want := n * 8 / 32; got < want-430 || got > want+430 {
			t.Errorf("%c: %d times, want about %d", r, got, want)
		}
	}
}

func keysOf(m map[rune]int) string {
	var b strings.Builder
	for r := range m {
		b.WriteRune(r)
	}
	return b.String()
}

func TestNormalise(t *testing.T) {
	for typed, want := range map[string]string{
		"abcd-efgh": "ABCDEFGH", " ABCD EFGH ": "ABCDEFGH", "abcd–efgh": "ABCDEFGH", "oOiIlL00": "00111100", "a-b-c-d-e-f-g-h": "ABCDEFGH",
	} {
		if got, ok := enroll.Normalise(typed, 8); !ok || got != want {
			t.Errorf("%q: %q", typed, got)
		}
	}
	for _, typed := range []string{"", "abcd-efg", "abcd-efghj", "abcd-efgu", "abcd-efg!", "ABCD\nEFGH", "ABCDEFG\u212a", "ＡＢＣＤＥＦＧＨ", strings.Repeat("A", 1000)} {
		if got, ok := enroll.Normalise(typed, 8); ok {
			t.Errorf("%q: %q", typed, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("abcd-efgh")
	f.Add("ABCDEFG\u017f")
	f.Fuzz(func(t *testing.T, typed string) {
		for _, length := range []int{8, 10} { // enrollment codes, invitations
			code, ok := enroll.Normalise(typed, length)
			if !ok {
				continue
			}
			if again, ok := enroll.Normalise(code, length); !ok || again != code || len(code) != length || strings.Trim(code, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
				t.Fatalf("%q: %q, then %q", typed, code, again)
			}
		}
	})
}

// certificate makes a self-signed one.
func certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
