package radsec

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Names returns the names by which a client is known: the DNS names of the certificate's
// subjectAltName, in lower case (RFC 6614 section 2.3). A certificate without them has no name: the
// common name is not one (RFC 9525 section 2). A wildcard is no name either: it would be every
// gateway of a zone at once.
func Names(certificate *x509.Certificate) []string {
	var names []string
	for _, name := range certificate.DNSNames {
		if name != "" && !strings.Contains(name, "*") {
			names = append(names, lower(name))
		}
	}
	return names
}

// Match reports whether one of the names is the wanted one, without regard to case.
func Match(names []string, want string) bool {
	if want == "" || strings.Contains(want, "*") {
		return false
	}
	want = lower(want)
	return slices.ContainsFunc(names, func(name string) bool { return lower(name) == want })
}

// lower is for DNS names, in which case is a matter of ASCII: strings.ToLower makes an ASCII "k" of
// the sign for kelvin.
func lower(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
