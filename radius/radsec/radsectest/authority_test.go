package radsectest_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"otpgate/radius/radsec/radsectest"
)

// TestWhatIsIssued: a certificate verifies by its authority, for its names, while it lasts, and by
// no other authority; also from files.
func TestWhatIsIssued(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	first, err := radsectest.New("first")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Save(at("ca.pem"), at("ca.key")); err != nil {
		t.Fatal(err)
	}
	again, err := radsectest.Load(at("ca.pem"), at("ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := again.Write(at("nas.pem"), at("nas.key"), radsectest.Leaf{DNS: []string{"nas.example"}, NotAfter: end}); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(at("nas.pem"), at("nas.key"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := radsectest.New("first")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		o    x509.VerifyOptions
		ok   bool
	}{
		{"right", x509.VerifyOptions{Roots: first.Pool(), DNSName: "nas.example", CurrentTime: end.Add(-time.Hour)}, true},
		{"too late", x509.VerifyOptions{Roots: first.Pool(), CurrentTime: end.Add(time.Hour)}, false},
		{"another name", x509.VerifyOptions{Roots: first.Pool(), DNSName: "x.example", CurrentTime: end.Add(-time.Hour)}, false},
		{"another authority", x509.VerifyOptions{Roots: other.Pool(), CurrentTime: end.Add(-time.Hour)}, false},
	} {
		if _, err := pair.Leaf.Verify(c.o); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if info, err := os.Stat(at("ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}
