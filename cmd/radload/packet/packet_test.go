package packet

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// secretOfTheRFCs is the shared secret of all their examples.
const secretOfTheRFCs = "xyzzy5461"

// TestHiddenAsTheRFCHasIt holds User-Password to RFC 2865 sections 7.1 and 7.3.
func TestHiddenAsTheRFCHasIt(t *testing.T) {
	for _, c := range []struct{ authenticator, password, want string }{
		{"0f403f9473978057bd83d5cb98f4227a", "arctangent", "0212 0dbe708d93d413ce3196e43f782a0aee"},
		{"f3a47a1f6a6d76710b947ab93041a039", "challenge", "0212 33657573778289b570885e15084825c5"},
	} {
		got := NewCodec([]byte(secretOfTheRFCs)).hide(nil, (*[16]byte)(octets(t, c.authenticator)), []byte(c.password))
		if want := octets(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%q is hidden as %x, want %x", c.password, got, want)
		}
	}
}

// TestAnswersOfTheRFCs checks responses of RFC 2865 sections 7.1 and 7.3. They are of a time before
// Message-Authenticator.
func TestAnswersOfTheRFCs(t *testing.T) {
	accept := octets(t, "02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103")
	challenge := octets(t, "0b02004e 36f3c8764ae8c71157403c0c71ff9c45"+
		"1230"+hex.EncodeToString([]byte("Challenge 32769430.  Enter response at prompt."))+
		"180a"+hex.EncodeToString([]byte("32769430")))
	for _, c := range []struct {
		name, request string
		response      []byte
		want          Signature
		code          byte
		state         string
		fault         Fault
	}{
		{name: "accept", request: "01000038 0f403f9473978057bd83d5cb98f4227a", response: accept, want: SignedMaybe, code: AccessAccept},
		{name: "accept without a signature", request: "01000038 0f403f9473978057bd83d5cb98f4227a", response: accept, code: AccessAccept, fault: Unsigned},
		{name: "accept of another", request: "01000038 0f403f9473978057bd83d5cb98f4227b", response: accept, want: SignedMaybe, code: AccessAccept, fault: Unauthentic},
		{name: "another number", request: "01010038 0f403f9473978057bd83d5cb98f4227a", response: accept, want: SignedMaybe, code: AccessAccept, fault: Misnumbered},
		{name: "challenge", request: "01020039 f3a47a1f6a6d76710b947ab93041a039", response: challenge, want: SignedMaybe, code: AccessChallenge, state: "32769430"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, fault := NewCodec([]byte(secretOfTheRFCs)).Check(octets(t, c.request), c.response, c.want)
			if fault != c.fault || a.Code != c.code || string(a.State) != c.state {
				t.Errorf("code %d, State %q, %s; want code %d, State %q, %s", a.Code, a.State, fault, c.code, c.state, c.fault)
			}
		})
	}
}

// TestSignedAsTheRFCHasIt holds Message-Authenticator to RFC 5997 section 6, whose Status-Server is the
// one example there is.
func TestSignedAsTheRFCHasIt(t *testing.T) {
	p := octets(t, "0cda0026 8a54f4686fb394c52866e302185d0623 5012 5a665e2e1e8411f3e243822097c84fa3")
	if !NewCodec([]byte(secretOfTheRFCs)).signedRightly(p, p, HeaderLength) {
		t.Error("the Message-Authenticator of the RFC is wrong")
	}
	p[21+3] ^= 1
	if NewCodec([]byte(secretOfTheRFCs)).signedRightly(p, p, HeaderLength) {
		t.Error("a changed one is right")
	}
}

// answer makes a response with these attributes; every Message-Authenticator of zeros gets its value.
func answer(request []byte, code byte, secret string, attributes ...[]byte) []byte {
	b := append([]byte{code, request[1], 0, 0}, request[4:HeaderLength]...)
	for _, a := range attributes {
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write(b)
	sum := mac.Sum(nil)
	for at := HeaderLength; at+1 < len(b) && b[at+1] >= 2; at += int(b[at+1]) {
		if b[at] == messageAuthenticator && at+signedLength <= len(b) {
			copy(b[at+2:], sum)
		}
	}
	whole := md5.Sum(append(bytes.Clone(b), secret...))
	copy(b[4:], whole[:])
	return b
}

func blank() []byte {
	return append([]byte{messageAuthenticator, signedLength}, make([]byte, md5.Size)...)
}

func someRequest(t testing.TB, c *Codec) []byte {
	t.Helper()
	b, err := c.Request(nil, 7, &[16]byte{1, 2, 3}, &Login{Name: []byte("alice"), Password: []byte("123456"), NAS: []byte("vpn"), CallingStation: []byte("10.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFaultsAreFound shows every fault to the check, and one response without.
func TestFaultsAreFound(t *testing.T) {
	const secret = "a-secret"
	c := NewCodec([]byte(secret))
	request := someRequest(t, c)
	class := []byte{25, 5, 'a', 'b', 'c'}
	unsigned := func(b []byte) []byte { // signed, and not by the secret
		b[HeaderLength+2] ^= 1
		whole := md5.Sum(append(append(append(bytes.Clone(b[:4]), request[4:HeaderLength]...), b[HeaderLength:]...), secret...))
		copy(b[4:], whole[:])
		return b
	}
	good := answer(request, AccessAccept, secret, blank(), class)
	for _, e := range []struct {
		name     string
		response []byte
		want     Signature
		fault    Fault
	}{
		{"right", good, SignedFirst, Right},
		{"right, and not first where that is asked", answer(request, AccessReject, secret, class, blank()), SignedFirst, SignedTooLate},
		{"not first", answer(request, AccessReject, secret, class, blank()), SignedSomewhere, Right},
		{"none", answer(request, AccessReject, secret, class), SignedSomewhere, Unsigned},
		{"none, and none asked for", answer(request, AccessReject, secret, class), SignedMaybe, Right},
		{"two", answer(request, AccessReject, secret, blank(), blank()), SignedMaybe, Resigned},
		{"wrong", unsigned(answer(request, AccessAccept, secret, blank())), SignedMaybe, Missigned},
		{"another secret", answer(request, AccessAccept, "another", blank()), SignedFirst, Unauthentic},
		{"short header", good[:19], SignedFirst, Malformed},
		{"nothing", nil, SignedFirst, Malformed},
		{"more octets than it says", append(bytes.Clone(good), 0), SignedFirst, Malformed},
		{"an attribute of length 1", answer(request, AccessAccept, secret, []byte{25, 1}), SignedMaybe, Malformed},
		{"half an attribute", answer(request, AccessAccept, secret, []byte{25}), SignedMaybe, Malformed},
		{"an attribute beyond the end", answer(request, AccessAccept, secret, []byte{25, 9, 0}), SignedMaybe, Malformed},
		{"a short signature", answer(request, AccessAccept, secret, []byte{80, 4, 0, 0}), SignedMaybe, Malformed},
		{"no answer to a login", answer(request, 5, secret, blank()), SignedFirst, Malformed},
		{"a request", request, SignedFirst, Malformed},
	} {
		t.Run(e.name, func(t *testing.T) {
			if _, fault := c.Check(request, e.response, e.want); fault != e.fault {
				t.Errorf("%s, want %s", fault, e.fault)
			}
		})
	}
}

// TestNoBitMayChange flips every bit of a right response.
func TestNoBitMayChange(t *testing.T) {
	c := NewCodec([]byte("a-secret"))
	request := someRequest(t, c)
	good := answer(request, AccessAccept, "a-secret", blank(), []byte{24, 4, 'x', 'y'})
	for bit := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, fault := c.Check(request, bad, SignedMaybe); fault == Right {
			t.Errorf("bit %d changed, and nothing is wrong", bit)
		}
	}
}

func TestRequestIsSigned(t *testing.T) {
	c := NewCodec([]byte("a-secret"))
	b := someRequest(t, c)
	if int(binary.BigEndian.Uint16(b[2:])) != len(b) || b[HeaderLength] != messageAuthenticator {
		t.Fatalf("%x", b)
	}
	mac := hmac.New(md5.New, []byte("a-secret"))
	zeroed := bytes.Clone(b)
	clear(zeroed[HeaderLength+2 : HeaderLength+signedLength])
	mac.Write(zeroed)
	if !hmac.Equal(mac.Sum(nil), b[HeaderLength+2:HeaderLength+signedLength]) {
		t.Error("the Message-Authenticator is wrong")
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 254)
	for _, l := range []Login{{Name: long}, {State: long}, {NAS: long}, {CallingStation: long}, {Password: long[:129]}} {
		if _, err := NewCodec(nil).Request(nil, 0, new([16]byte), &l); !errors.Is(err, ErrTooLong) {
			t.Errorf("%v", err)
		}
	}
	most := Login{Name: long[:253], State: long[:253], NAS: long[:253], CallingStation: long[:253], Password: long[:128]}
	if _, err := NewCodec(nil).Request(nil, 0, new([16]byte), &most); err != nil {
		t.Error(err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	c := NewCodec([]byte("a-secret"))
	login := &Login{Name: []byte("alice"), Password: []byte("a rather long password 123456"), NAS: []byte("vpn"), CallingStation: []byte("10.0.0.1")}
	room, authenticator := make([]byte, 0, 512), new([16]byte)
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Request(room, 1, authenticator, login) }); n != 0 {
		t.Errorf("a request allocates %v times", n)
	}
	request := someRequest(t, c)
	response := answer(request, AccessAccept, "a-secret", blank(), []byte{25, 5, 'a', 'b', 'c'})
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Check(request, response, SignedFirst) }); n != 0 {
		t.Errorf("a check allocates %v times", n)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	c := NewCodec([]byte("a-secret"))
	for _, text := range []string{c.String(), fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c)} {
		if strings.Contains(text, "a-secret") || strings.Contains(text, fmt.Sprint([]byte("a-secret"))) {
			t.Error(text)
		}
	}
}

// FuzzCheck throws octets at the check, as they are and with a right Response Authenticator.
func FuzzCheck(f *testing.F) {
	c := NewCodec([]byte("a-secret"))
	request := someRequest(f, c)
	f.Add(answer(request, AccessAccept, "a-secret", blank()))
	f.Add(answer(request, AccessChallenge, "a-secret", []byte{24, 4, 'x', 'y'}, blank()))
	f.Add([]byte{2, 7, 0, 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, want := range []Signature{SignedFirst, SignedSomewhere, SignedMaybe} {
			a, fault := c.Check(request, b, want)
			if fault == Right && (!c.Authentic(request[4:HeaderLength], b) || a.Code != b[0] || b[1] != request[1]) {
				t.Fatalf("believed: %x", b)
			}
		}
		if len(b) < HeaderLength {
			return
		}
		whole := md5.Sum(append(append(append(bytes.Clone(b[:4]), request[4:HeaderLength]...), b[HeaderLength:]...), "a-secret"...))
		copy(b[4:], whole[:])
		if a, fault := c.Check(request, b, SignedMaybe); fault == Right && len(a.State) > MaxName {
			t.Fatalf("a State of %d octets", len(a.State))
		}
	})
}
