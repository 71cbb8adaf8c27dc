package otp

import (
	"bytes"
	"net/url"
	"strings"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// URI returns what a QR code for authenticator apps holds: otpauth://totp/Issuer:name?secret=….
// It gives the seed away. An empty name becomes the account's id.
func (d *Devices) URI(dev Device, seed []byte, name string) string {
	algorithm := map[Algorithm]pquerna.Algorithm{
		SHA1: pquerna.AlgorithmSHA1, SHA256: pquerna.AlgorithmSHA256, SHA512: pquerna.AlgorithmSHA512,
	}[dev.Algorithm]
	if name == "" {
		name = dev.Account
	}
	issuer := strings.ReplaceAll(d.o.Issuer, ":", " ") // a colon separates issuer and name
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer:      issuer,
		AccountName: strings.ReplaceAll(name, ":", " "),
		Period:      uint(dev.Period.Seconds()),
		Digits:      pquerna.Digits(dev.Digits),
		Algorithm:   algorithm,
		SecretSize:  uint(len(seed)),
		Rand:        bytes.NewReader(seed), // the seed is there already
	})
	if err != nil {
		return ""
	}
	// The library escapes the issuer as a path is escaped: the & in it would begin another parameter.
	label, query, _ := strings.Cut(key.URL(), "?")
	return label + "?" + strings.Replace(query, "issuer="+url.PathEscape(issuer), "issuer="+strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20"), 1)
}
