package proof_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"otpgate/radius/proof"
)

// The example of RFC 2759 section 9.2, from which RFC 3079 section 3.5.3 goes on.
const (
	rfcName      = "User"
	rfcPassword  = "clientPass"
	rfcChallenge = "5B5D7C7D7B3F2F3E3C2C602132262628"
	rfcPeer      = "21402324255E262A28295F2B3A337C7E"
	rfcNT        = "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"
	rfcSuccess   = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
	rfcSend      = "8B7CDC149B993A1BA118CB153F56DCCB"
	// Not in the RFC, which has the key of one direction only. Android's tests of EAP-MSCHAPv2 have it,
	// as the first half of the MSK of the same exchange.
	rfcRecv = "D5F0E9521E3EA9589645E86051C82226"
)

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rfcResponse is a MS-CHAP2-Response with identifier 7.
func rfcResponse(t testing.TB) []byte {
	return octets(t, "07 00"+rfcPeer+"0000000000000000"+rfcNT)
}

func mschapv2(t testing.TB, name string) *proof.MSCHAPv2 {
	t.Helper()
	p, err := proof.NewMSCHAPv2([]byte(name), octets(t, rfcChallenge), rfcResponse(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMSCHAPv2GivesTheVectorsOfItsRFCs(t *testing.T) {
	for _, name := range []string{rfcName, `CORP\User`, `A\B\User`} {
		p := mschapv2(t, name)
		if p.Success() != nil {
			t.Fatal("a success before a code has matched")
		}
		if _, _, ok := p.Keys(); ok {
			t.Fatal("keys before a code has matched")
		}
		if _, err := p.MPPE([]byte("s"), [16]byte{}); !errors.Is(err, proof.ErrNoMatch) {
			t.Fatalf("hidden keys before a code has matched: %v", err)
		}
		if !p.Match([]byte(rfcPassword)) {
			t.Fatalf("%s: no match", name)
		}
		if got := p.Success(); string(got) != "\x07"+rfcSuccess {
			t.Errorf("%s: %q", name, got)
		}
		send, recv, ok := p.Keys()
		if !ok || !bytes.Equal(send[:], octets(t, rfcSend)) || !bytes.Equal(recv[:], octets(t, rfcRecv)) {
			t.Errorf("%s: send %X, recv %X, %v", name, send, recv, ok)
		}
		if p.Match([]byte("clientPasS")) || string(p.Success()) != "\x07"+rfcSuccess {
			t.Error("another code after it changed what has matched")
		}
	}
}

func TestMSCHAPv2IsBoundToWhatWasHashed(t *testing.T) {
	for _, name := range []string{"user", "User@corp.example", `User\`, "CORP/User", "Use"} {
		if mschapv2(t, name).Match([]byte(rfcPassword)) {
			t.Errorf("%s: it matches", name)
		}
	}
	challenge, response := octets(t, rfcChallenge), rfcResponse(t)
	for bit := range 8 * (len(challenge) + len(response)) {
		c, r := bytes.Clone(challenge), bytes.Clone(response)
		if at := bit / 8; at < len(c) {
			c[at] ^= 1 << (bit % 8)
		} else {
			r[at-len(c)] ^= 1 << (bit % 8)
		}
		p, err := proof.NewMSCHAPv2([]byte(rfcName), c, r)
		if err != nil {
			t.Fatal(err)
		}
		at := bit/8 - len(c)
		free := at == 0 || at == 1 || at >= 18 && at < 26 // identifier, flags, reserved
		if p.Match([]byte(rfcPassword)) != free {
			t.Errorf("octet %d of the response, bit %d: match is %v", at, bit%8, !free)
		}
		if !free && (p.Success() != nil) {
			t.Error("a success without a match")
		}
		if bytes.Equal(p.Octets(), mschapv2(t, rfcName).Octets()) {
			t.Errorf("bit %d is not among the octets", bit)
		}
	}
	if bytes.Equal(mschapv2(t, "a").Octets(), mschapv2(t, "b").Octets()) {
		t.Error("the name is not among the octets")
	}
	for _, code := range []string{"", "clientPas", "clientPass0", "123456"} {
		if mschapv2(t, rfcName).Match([]byte(code)) {
			t.Errorf("%q matches", code)
		}
	}
	if new(proof.MSCHAPv2).Match(nil) || new(proof.MSCHAPv2).Match([]byte("123456")) {
		t.Error("the zero value matches")
	}
}

func TestMSCHAPv2OfOtherLengthsIsGarbled(t *testing.T) {
	for _, n := range [][3]int{
		{4, 15, 50}, {4, 17, 50}, {4, 8, 50}, {4, 0, 50}, {4, 16, 49}, {4, 16, 51}, {4, 16, 0}, {0, 16, 50}, {254, 16, 50},
	} {
		_, err := proof.NewMSCHAPv2(make([]byte, n[0]), make([]byte, n[1]), make([]byte, n[2]))
		if !errors.Is(err, proof.ErrGarbled) {
			t.Errorf("%v: %v", n, err)
		}
	}
}

// What the caller does with its packet afterwards must not change the proof.
func TestMSCHAPv2KeepsItsOwnOctets(t *testing.T) {
	name, challenge, response := []byte(rfcName), octets(t, rfcChallenge), rfcResponse(t)
	p, err := proof.NewMSCHAPv2(name, challenge, response)
	if err != nil {
		t.Fatal(err)
	}
	clear(name)
	clear(challenge)
	clear(response)
	code := []byte(rfcPassword)
	if !p.Match(code) {
		t.Fatal("no match")
	}
	clear(code)
	if string(p.Success()) != "\x07"+rfcSuccess {
		t.Error("the success is another")
	}
}

func TestFailuresSayTheSameWithAFreshChallenge(t *testing.T) {
	p := mschapv2(t, rfcName)
	form := regexp.MustCompile(`^\x07E=691 R=0 C=([0-9A-F]{32}) V=3 M=[A-Za-z ]+$`)
	first, second := form.FindSubmatch(p.Failure()), form.FindSubmatch(p.Failure())
	if first == nil || second == nil {
		t.Fatalf("%q", p.Failure())
	}
	if bytes.Equal(first[1], second[1]) {
		t.Error("the challenge is the same twice")
	}
	p.Match([]byte(rfcPassword))
	if form.Find(p.Failure()) == nil {
		t.Error("a failure tells whether the code has matched")
	}
}

// The cost of one code, all of which is paid per code: the challenge is hashed once.
func BenchmarkMSCHAPv2(b *testing.B) {
	p, code := mschapv2(b, rfcName), []byte("123456")
	b.ReportAllocs()
	for b.Loop() {
		p.Match(code)
	}
}
