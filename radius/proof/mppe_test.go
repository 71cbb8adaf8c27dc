package proof_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"testing"

	"otpgate/radius/proof"
)

// shown is what a gateway makes of a hidden key: RFC 2548 section 2.4.2, read from the other end.
func shown(t *testing.T, value, secret []byte, authenticator [16]byte) []byte {
	t.Helper()
	if len(value) < 18 || (len(value)-2)%16 != 0 || value[0]&0x80 == 0 {
		t.Fatalf("not a hidden key: %x", value)
	}
	var clear []byte
	before := append(authenticator[:], value[:2]...)
	for c := value[2:]; len(c) > 0; c = c[16:] {
		b := md5.Sum(append(bytes.Clone(secret), before...))
		for i := range b {
			clear = append(clear, b[i]^c[i])
		}
		before = c[:16]
	}
	n := int(clear[0])
	if n > len(clear)-1 || len(bytes.Trim(clear[1+n:], "\x00")) > 0 || len(clear)-1-n > 15 {
		t.Fatalf("length %d, padding wrong: %x", n, clear)
	}
	return clear[1 : 1+n]
}

func TestAGatewayGetsTheKeysThatWereHidden(t *testing.T) {
	secret, authenticator := []byte("secret of the gateway, longer than a block of MD5, that is, than 64 octets"), [16]byte{1, 2, 3}
	for n := 1; n <= 239; n++ {
		key := bytes.Repeat([]byte{byte(n), 0x5a}, 120)[:n]
		value, err := proof.HideKey(key, secret, authenticator, [2]byte{0x80, byte(n)})
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, value, secret, authenticator); !bytes.Equal(got, key) {
			t.Fatalf("%d octets: %x became %x", n, key, got)
		}
		if len(value) > 245 {
			t.Fatalf("%d octets do not fit", len(value))
		}
	}
}

func TestKeysAreNotHiddenInAnotherWay(t *testing.T) {
	secret, salt := []byte("s"), [2]byte{0x80, 0}
	for name, err := range map[string]error{
		"no key":       second(proof.HideKey(nil, secret, [16]byte{}, salt)),
		"a long key":   second(proof.HideKey(make([]byte, 240), secret, [16]byte{}, salt)),
		"no secret":    second(proof.HideKey(make([]byte, 16), nil, [16]byte{}, salt)),
		"a plain salt": second(proof.HideKey(make([]byte, 16), secret, [16]byte{}, [2]byte{0x7f, 0xff})),
	} {
		if !errors.Is(err, proof.ErrNotHidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := mschapv2(t, rfcName)
	p.Match([]byte(rfcPassword))
	if _, err := p.MPPE(nil, [16]byte{}); !errors.Is(err, proof.ErrNotHidden) {
		t.Errorf("%v", err)
	}
}

func second(_ []byte, err error) error { return err }

func TestMPPEOfTheRFCsExchange(t *testing.T) {
	secret, authenticator := []byte("testing123"), [16]byte{9, 8, 7}
	p := mschapv2(t, rfcName)
	p.Match([]byte(rfcPassword))
	salts := map[[2]byte]int{}
	for range 64 {
		m, err := p.MPPE(secret, authenticator)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, m.SendKey, secret, authenticator); !bytes.Equal(got, octets(t, rfcSend)) {
			t.Fatalf("send key %X", got)
		}
		if got := shown(t, m.RecvKey, secret, authenticator); !bytes.Equal(got, octets(t, rfcRecv)) {
			t.Fatalf("receive key %X", got)
		}
		if bytes.Equal(m.SendKey[:2], m.RecvKey[:2]) {
			t.Fatal("both keys have one salt")
		}
		if !bytes.Equal(m.Policy, []byte{0, 0, 0, 1}) || !bytes.Equal(m.Types, []byte{0, 0, 0, 4}) {
			t.Fatalf("policy %x, types %x", m.Policy, m.Types)
		}
		salts[[2]byte(m.SendKey)]++
	}
	if len(salts) < 32 {
		t.Errorf("%d salts in 64 packets", len(salts))
	}
}
