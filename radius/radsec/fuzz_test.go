package radsec

import (
	"crypto/x509"
	"strings"
	"testing"
)

// FuzzNames: a certificate is somebody's by a name that is the same but for the case of ASCII, and by no wildcard.
func FuzzNames(f *testing.F) {
	f.Add("VPN.example", "vpn.example")
	f.Add("*.example", "vpn.example")
	f.Add("\u212aelvin.example", "kelvin.example")
	f.Add("\u00c9.example", "\u00e9.example")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, in, want string) {
		same := len(in) == len(want) && in != "" && !strings.Contains(in, "*")
		for i := 0; same && i < len(in); i++ {
			a, b := in[i], want[i]
			letter := 'a' <= a|0x20 && a|0x20 <= 'z'
			same = a == b || letter && a|0x20 == b|0x20
		}
		if got := Match(Names(&x509.Certificate{DNSNames: []string{in}}), want); got != same {
			t.Fatalf("%q is taken for %q: %v, want %v", in, want, got, same)
		}
	})
}
