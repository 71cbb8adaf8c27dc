package proof_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"otpgate/radius/proof"
)

func static(password, code string) string {
	return "SCRV1:" + base64.StdEncoding.EncodeToString([]byte(password)) + ":" + base64.StdEncoding.EncodeToString([]byte(code))
}

func TestTheStaticChallengeIsSplit(t *testing.T) {
	for _, c := range [][2]string{
		{"geheim", "123456"}, {"", "123456"}, {"a:b", "12345678"}, {"pässwörd", "1"}, {"m\xfcller", "123456"},
		{strings.Repeat("x", 78), "12345678"},
	} {
		password, code, ok := proof.StaticChallenge([]byte(static(c[0], c[1])))
		if !ok || string(password) != c[0] || string(code) != c[1] {
			t.Errorf("%q became %q, %q, %v", c, password, code, ok)
		}
	}
}

func TestWhatIsNoStaticChallengeIsNotSplit(t *testing.T) {
	for _, text := range []string{
		"", "123456", "geheim123456", "SCRV1", "SCRV1:", "SCRV1::", "SCRV1:Z2VoZWlt", "SCRV1:Z2VoZWlt:",
		"scrv1:Z2VoZWlt:MTIzNDU2", " SCRV1:Z2VoZWlt:MTIzNDU2", "SCRV2:Z2VoZWlt:MTIzNDU2", "CRV1:Z2VoZWlt:MTIzNDU2",
		"SCRV1:Z2VoZWlt:MTIzNDU2:", "SCRV1:Z2VoZWlt:MTIzNDU2:MTIzNDU2", "SCRV1:Z2VoZWlt:MTIzNDU2\n", "SCRV1:Z2VoZW\r\nlt:MTIzNDU2",
		"SCRV1:Z2VoZWlt:MTIzNDU", "SCRV1:YQ:MTIzNDU2", "SCRV1:YR==:MTIzNDU2", "SCRV1:YQ==x:MTIzNDU2", "SCRV1:__8=:MTIzNDU2",
		static("a\x00b", "123456"), static("geheim", "123456\x00"), static(strings.Repeat("x", 85), "123456"), static("geheim", ""),
	} {
		if password, code, ok := proof.StaticChallenge([]byte(text)); ok || password != nil || code != nil {
			t.Errorf("%q became %q, %q", text, password, code)
		}
	}
}

func TestASplitProofMatchesTheWholeCode(t *testing.T) {
	p := proof.NewSplit([]byte("geheim"), []byte("123456"))
	for code, want := range map[string]bool{"123456": true, "23456": false, "123457": false, "m123456": false, "1234567": false, "": false} {
		if p.Match([]byte(code)) != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
	if p.Password(6) != "geheim" || p.Password(8) != "geheim" {
		t.Errorf("%q, %q", p.Password(6), p.Password(8))
	}
	if bytes.Equal(p.Octets(), proof.NewSplit([]byte("geheim1"), []byte("23456")).Octets()) {
		t.Error("where the password ends is not among the octets")
	}
	if (proof.Split{}).Match(nil) || proof.NewSplit([]byte("geheim"), nil).Match(nil) {
		t.Error("no code matches")
	}
}

// FuzzStaticChallenge: only one text has these parts, and they are what a person can have typed.
func FuzzStaticChallenge(f *testing.F) {
	for _, text := range []string{
		static("geheim", "123456"), static("", "1"), "SCRV1::", "SCRV1:YQ==:MTIzNDU2", "SCRV1:Z2VoZW\nlt:MTIzNDU2",
		"SCRV1:YR==:MTIzNDU2", "123456", static(strings.Repeat("x", 85), "123456"), static("a\x00", "1"),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		password, code, ok := proof.StaticChallenge(text)
		if !ok {
			if password != nil || code != nil {
				t.Fatalf("%q gives parts", text)
			}
			return
		}
		if again := static(string(password), string(code)); again != string(text) || len(text) > 128 {
			t.Fatalf("%q is taken for %q", text, again)
		}
		if len(code) == 0 || bytes.IndexByte(password, 0) >= 0 || bytes.IndexByte(code, 0) >= 0 {
			t.Fatalf("%q: parts %q, %q", text, password, code)
		}
		p := proof.NewSplit(password, code)
		if !p.Match(code) || p.Match(code[1:]) || p.Match(append(bytes.Clone(code), '0')) || p.Match(append([]byte{'0'}, code...)) {
			t.Fatalf("%q matches another code than its own", text)
		}
	})
}
