package keyset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever is in the file, reading it ends in keys or in an error that tells nothing of it.
func FuzzParse(f *testing.F) {
	good, err := generate()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"sealing":{"primaryKeyId":1,"key":[]},"prf":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := parse(data)
		if err == nil {
			_, err = newKeys(parsed)
		}
		if err == nil {
			return
		}
		if s := string(data); len(s) >= 16 && strings.Contains(err.Error(), s) {
			t.Errorf("the error holds the file: %v", err)
		}
	})
}

// A keyset that an older otpgate wrote, and a seed that it sealed, mean the same to this one.
func TestTheFingerprintStaysWhatItIs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKeys(f)
	if err != nil {
		t.Fatal(err)
	}
	const want = "4c37fd6738f41836312e399a26a66dd1"
	if k.Fingerprint() != want {
		t.Errorf("%s, want %s: every store would refuse its nodes", k.Fingerprint(), want)
	}
	ad := []byte("account and device")
	sealed, err := os.ReadFile(filepath.Join("testdata", "sealed"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(sealed, ad); err != nil || string(plain) != "12345678901234567890" {
		t.Errorf("what was sealed before does not open: %v", err)
	}
}
