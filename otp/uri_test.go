package otp

import (
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzURI: whatever somebody is called, an authenticator reads back the seed, the issuer and the parameters that it
// was given, and nothing else.
func FuzzURI(f *testing.F) {
	f.Add("Example", "alice", []byte("a seed of 20 octets."))
	f.Add("A&secret=AAAA", "x?secret=BBBB#%41", []byte("0123456789"))
	f.Add("", "\xff\x00/:", []byte{0})
	f.Fuzz(func(t *testing.T, issuer, name string, seed []byte) {
		d := &Devices{o: DevicesOptions{Issuer: issuer}}
		text := d.URI(Device{Account: "account", Algorithm: SHA256, Digits: 8, Period: 30 * time.Second}, seed, name)
		if text == "" {
			return // a name or an issuer that no URI has room for
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" {
			t.Fatalf("%q: %v", text, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q["secret"]) != 1 || q.Get("digits") != "8" || q.Get("period") != "30" || q.Get("algorithm") != "SHA256" {
			t.Fatalf("%q: %v", text, err)
		}
		if secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(seed); q.Get("secret") != secret {
			t.Fatalf("%q has another seed", text)
		}
		if got := q.Get("issuer"); got != strings.ReplaceAll(issuer, ":", " ") {
			t.Fatalf("%q has the issuer %q", text, got)
		}
	})
}
