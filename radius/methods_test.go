package radius

import (
	"bytes"
	"context"
	"crypto/des"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/quiet"
)

// The peer's side of MS-CHAPv2 and MPPE, written from RFC 1320, 2759, 3079 and 2548 for these tests,
// so that the server is not held against itself.

// md4 is RFC 1320.
func md4(in []byte) []byte {
	length := uint64(len(in)) * 8
	in = append(slices.Clone(in), 0x80)
	for len(in)%64 != 56 {
		in = append(in, 0)
	}
	in = binary.LittleEndian.AppendUint64(in, length)
	s := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	for ; len(in) > 0; in = in[64:] {
		var x [16]uint32
		for i := range x {
			x[i] = binary.LittleEndian.Uint32(in[4*i:])
		}
		v := s
		for i := range 48 {
			var f, k uint32
			var at, shift int
			switch i / 16 {
			case 0:
				f, k, at, shift = v[1]&v[2]|^v[1]&v[3], 0, i, [4]int{3, 7, 11, 19}[i%4]
			case 1:
				f, k, at, shift = v[1]&v[2]|v[1]&v[3]|v[2]&v[3], 0x5a827999, i%4*4+i%16/4, [4]int{3, 5, 9, 13}[i%4]
			default:
				order := [16]int{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}
				f, k, at, shift = v[1]^v[2]^v[3], 0x6ed9eba1, order[i%16], [4]int{3, 9, 11, 15}[i%4]
			}
			v = [4]uint32{v[3], bits.RotateLeft32(v[0]+f+x[at]+k, shift), v[1], v[2]}
		}
		for i := range s {
			s[i] += v[i]
		}
	}
	var out []byte
	for _, n := range s {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	return out
}

// ntHash is NtPasswordHash (RFC 2759 section 8.3) of ASCII.
func ntHash(password string) []byte {
	var wide []byte
	for _, c := range []byte(password) {
		wide = append(wide, c, 0)
	}
	return md4(wide)
}

// seven is a DES key of 56 bits with room for parity.
func seven(k []byte) []byte {
	n := uint64(0)
	for _, c := range k[:7] {
		n = n<<8 | uint64(c)
	}
	out := make([]byte, 8)
	for i := range out {
		out[i] = byte(n >> (49 - 7*i) << 1)
	}
	return out
}

// peer is somebody who logs in by MS-CHAPv2.
type peer struct {
	name, code          string
	challenge, response []byte // of the gateway, and the value of MS-CHAP2-Response
}

func newPeer(t testing.TB, name, code string) peer {
	t.Helper()
	p := peer{name: name, code: code, challenge: []byte("gateway's, of 16")}
	own := []byte("the peer's of 16")
	block, nt := p.hash(own), []byte(nil)
	key := append(ntHash(code), 0, 0, 0, 0, 0)
	for i := range 3 {
		c, err := des.NewCipher(seven(key[7*i:]))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 8)
		c.Encrypt(out, block)
		nt = append(nt, out...)
	}
	p.response = slices.Concat([]byte{0x2a, 0}, own, make([]byte, 8), nt)
	return p
}

// hash is ChallengeHash (RFC 2759 section 8.2); a domain is no part of the name.
func (p peer) hash(own []byte) []byte {
	name := p.name[strings.LastIndexByte(p.name, '\\')+1:]
	sum := sha1.Sum(slices.Concat(own, p.challenge, []byte(name)))
	return sum[:8]
}

func (p peer) own() []byte { return p.response[2:18] }
func (p peer) nt() []byte  { return p.response[26:] }

// success is what the server must say (RFC 2759 section 8.7).
func (p peer) success() []byte {
	first := sha1.Sum(slices.Concat(md4(ntHash(p.code)), p.nt(), []byte("Magic server to client signing constant")))
	second := sha1.Sum(slices.Concat(first[:], p.hash(p.own()), []byte("Pad to make it do more than one iteration")))
	return append([]byte{p.response[0]}, "S="+strings.ToUpper(hex.EncodeToString(second[:]))...)
}

// keys are those that the server sends and receives with (RFC 3079 sections 3.3 and 3.4).
func (p peer) keys() (send, receive []byte) {
	master := sha1.Sum(slices.Concat(md4(ntHash(p.code)), p.nt(), []byte("This is the MPPE Master Key")))
	key := func(which string) []byte {
		sum := sha1.Sum(slices.Concat(master[:16], make([]byte, 40), []byte(which), bytes.Repeat([]byte{0xf2}, 40)))
		return sum[:16]
	}
	return key("On the client side, this is the receive key; on the server side, it is the send key."),
		key("On the client side, this is the send key; on the server side, it is the receive key.")
}

// unhidden is the key in MS-MPPE-Send-Key or MS-MPPE-Recv-Key (RFC 2548 section 2.4.2).
func unhidden(t testing.TB, value []byte, secret string, authenticator [16]byte) []byte {
	t.Helper()
	if len(value) != 2+32 || value[0]&0x80 == 0 {
		t.Fatalf("a key of %d octets: %x", len(value), value)
	}
	var clear []byte
	before := slices.Concat(authenticator[:], value[:2])
	for at := 2; at < len(value); at += 16 {
		pad := md5.Sum(slices.Concat([]byte(secret), before))
		for i := range pad {
			clear = append(clear, value[at+i]^pad[i])
		}
		before = value[at : at+16]
	}
	if clear[0] != 16 || !bytes.Equal(clear[17:], make([]byte, 15)) {
		t.Fatalf("it does not decrypt to a key: %x", clear)
	}
	return clear[1:17]
}

// add puts the peer's proof into a packet.
func (p peer) add(q *probe.Request) *probe.Request {
	return q.Add(probe.VendorSpecific, vsa(msCHAPChallenge, p.challenge)).Add(probe.VendorSpecific, vsa(msCHAP2Response, p.response))
}

// TestThePeerIsRight holds the peer of these tests against RFC 2759 section 9.2 and RFC 3079 section
// 3.5.3.
func TestThePeerIsRight(t *testing.T) {
	p := peer{name: "User", code: "clientPass"}
	p.challenge, _ = hex.DecodeString("5B5D7C7D7B3F2F3E3C2C602132262628")
	own, _ := hex.DecodeString("21402324255E262A28295F2B3A337C7E")
	nt, _ := hex.DecodeString("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
	p.response = slices.Concat([]byte{7, 0}, own, make([]byte, 8), nt)
	if got := string(p.success()[1:]); got != "S=407A5589115FD0D6209F510FE9C04566932CDA56" {
		t.Error(got)
	}
	if send, _ := p.keys(); hex.EncodeToString(send) != "8b7cdc149b993a1ba118cb153f56dccb" {
		t.Errorf("%x", send)
	}
}

// response1 is MS-CHAP-Response, of version 1, whose content nobody looks at.
func response1() string { return vsa(msCHAPResponse, make([]byte, 50)) }

// chap adds CHAP-Password, for a challenge or, when that is nil, for the Request Authenticator.
func chap(q *probe.Request, typed string, challenge []byte) *probe.Request {
	of := challenge
	if of == nil {
		of = q.Authenticator[:]
	}
	sum := md5.Sum(slices.Concat([]byte{9}, []byte(typed), of))
	q.Add(probe.CHAPPassword, "\x09"+string(sum[:]))
	if challenge != nil {
		q.Add(chapChallenge, string(challenge))
	}
	return q
}

func scrv1(password, code string) string {
	return "SCRV1:" + base64.StdEncoding.EncodeToString([]byte(password)) + ":" + base64.StdEncoding.EncodeToString([]byte(code))
}

// TestMethods: what each kind of login makes of what a packet carries.
func TestMethods(t *testing.T) {
	const (
		ok, wrong, used       = "accept ok", "reject code_wrong", "reject password_wrong"
		none, unsupported     = "reject no_proof", "reject proof_unsupported"
		asked, exempt, noword = "challenge code_asked", "accept code_exempt", "reject password_empty"
	)
	all := func(s string) [4]string { return [4]string{s, s, s, s} }
	right, bad := newPeer(t, "alice", testCode), newPeer(t, "alice", "000000")
	short := right
	short.response = short.response[:49]
	for _, c := range []struct {
		name string
		add  func(q *probe.Request) *probe.Request
		want [4]string // of code, password+code, password-then-code, password
	}{
		{"PAP: the code", func(q *probe.Request) *probe.Request { return q.Password(testCode) }, [4]string{ok, noword, used, used}},
		{"PAP: the password", func(q *probe.Request) *probe.Request { return q.Password("geheim") }, [4]string{wrong, wrong, asked, exempt}},
		{"PAP: both", func(q *probe.Request) *probe.Request { return q.Password("geheim" + testCode) }, [4]string{wrong, ok, used, used}},
		{"SCRV1", func(q *probe.Request) *probe.Request { return q.Password(scrv1("geheim", testCode)) }, [4]string{unsupported, ok, ok, exempt}},
		{"SCRV1, wrong password", func(q *probe.Request) *probe.Request { return q.Password(scrv1("falsch", testCode)) }, [4]string{unsupported, used, used, used}},
		{"SCRV1, no password", func(q *probe.Request) *probe.Request { return q.Password(scrv1("", testCode)) }, [4]string{unsupported, noword, noword, used}},
		{"SCRV1, wrong code", func(q *probe.Request) *probe.Request { return q.Password(scrv1("geheim", "000000")) }, [4]string{unsupported, wrong, wrong, exempt}},
		{"SCRV1, more than a code", func(q *probe.Request) *probe.Request { return q.Password(scrv1("geheim", "1"+testCode)) }, [4]string{unsupported, wrong, wrong, exempt}},
		{"SCRV1, no code", func(q *probe.Request) *probe.Request { return q.Password("SCRV1:Z2VoZWlt:") }, [4]string{wrong, wrong, used, used}},
		{"CHAP", func(q *probe.Request) *probe.Request { return chap(q, testCode, nil) }, [4]string{ok, unsupported, unsupported, unsupported}},
		{"CHAP with a challenge", func(q *probe.Request) *probe.Request { return chap(q, testCode, []byte("challenge")) }, [4]string{ok, unsupported, unsupported, unsupported}},
		{"CHAP, wrong code", func(q *probe.Request) *probe.Request { return chap(q, "000000", nil) }, [4]string{wrong, unsupported, unsupported, unsupported}},
		{"CHAP, the password", func(q *probe.Request) *probe.Request { return chap(q, "geheim", nil) }, [4]string{wrong, unsupported, unsupported, unsupported}},
		{"CHAP of nothing", func(q *probe.Request) *probe.Request { return chap(q, "", nil) }, [4]string{wrong, unsupported, unsupported, unsupported}},
		{"CHAP, for another challenge", func(q *probe.Request) *probe.Request {
			return chap(q, testCode, nil).Add(chapChallenge, strings.Repeat("c", 16))
		}, [4]string{wrong, unsupported, unsupported, unsupported}},
		{"CHAP, short", func(q *probe.Request) *probe.Request { return q.Add(probe.CHAPPassword, strings.Repeat("c", 16)) }, all(none)},
		{"CHAP, a challenge of 4", func(q *probe.Request) *probe.Request { return chap(q, testCode, []byte("1234")) }, all(none)},
		{"MS-CHAPv2", right.add, [4]string{ok, unsupported, unsupported, unsupported}},
		{"MS-CHAPv2, wrong code", bad.add, [4]string{wrong, unsupported, unsupported, unsupported}},
		{"MS-CHAPv2, short", short.add, all(none)},
		{"MS-CHAPv2 without a challenge", func(q *probe.Request) *probe.Request {
			return q.Add(probe.VendorSpecific, vsa(msCHAP2Response, right.response))
		}, all(none)},
		{"MS-CHAPv2 in one attribute", func(q *probe.Request) *probe.Request {
			both := vsa(msCHAPChallenge, right.challenge) + vsa(msCHAP2Response, right.response)[4:]
			return q.Add(probe.VendorSpecific, both)
		}, [4]string{ok, unsupported, unsupported, unsupported}},
		{"MS-CHAPv2 of another vendor", func(q *probe.Request) *probe.Request {
			return q.Add(probe.VendorSpecific, "\x00\x00\x01\x38"+vsa(msCHAPChallenge, right.challenge)[4:]).
				Add(probe.VendorSpecific, "\x00\x00\x01\x38"+vsa(msCHAP2Response, right.response)[4:])
		}, all(none)},
		{"MS-CHAPv1", func(q *probe.Request) *probe.Request {
			return q.Add(probe.VendorSpecific, vsa(msCHAPChallenge, []byte("8 octets"))).Add(probe.VendorSpecific, response1())
		}, all(unsupported)},
		{"EAP", func(q *probe.Request) *probe.Request { return q.Add(probe.EAPMessage, "\x02\x00\x00\x0a\x01alice") }, all(unsupported)},
		{"nothing", func(q *probe.Request) *probe.Request { return q }, all(none)},
		{"EAP and PAP", func(q *probe.Request) *probe.Request { return q.Password(testCode).Add(probe.EAPMessage, "\x02") }, all(unsupported)},
		{"EAP and CHAP", func(q *probe.Request) *probe.Request { return chap(q, testCode, nil).Add(probe.EAPMessage, "\x02") }, all(unsupported)},
		{"EAP and MS-CHAPv2", func(q *probe.Request) *probe.Request { return right.add(q).Add(probe.EAPMessage, "\x02") }, all(unsupported)},
		{"PAP and CHAP", func(q *probe.Request) *probe.Request { return chap(q, testCode, nil).Password(testCode) }, all(none)},
		{"PAP and MS-CHAPv2", func(q *probe.Request) *probe.Request { return right.add(q).Password(testCode) }, all(none)},
		{"CHAP and MS-CHAPv2", func(q *probe.Request) *probe.Request { return chap(right.add(q), testCode, nil) }, all(none)},
		{"PAP and MS-CHAPv1", func(q *probe.Request) *probe.Request {
			return q.Password(testCode).Add(probe.VendorSpecific, response1())
		}, all(unsupported)},
		{"MS-CHAPv1 and v2", func(q *probe.Request) *probe.Request { return right.add(q).Add(probe.VendorSpecific, response1()) }, all(unsupported)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for login, want := range c.want {
				w := one(t, Client{Login: Login(login)}, func(o *Options, _ *world) { o.Registerer = nil })
				q := c.add(probe.NewRequest(probe.AccessRequest, testSecret).Signed().Add(probe.UserName, "alice"))
				r := w.ask(t, fromVPN, q)
				if got := w.trail.last(t); got != want {
					t.Errorf("login %v: %s, want %s", Login(login), got, want)
				}
				if code := map[string]byte{"accept": 2, "reject": 3, "challenge": 11}[strings.Fields(want)[0]]; !r.Is(code) {
					t.Errorf("login %v: code %d", Login(login), r.Code)
				}
				if n := len(w.codes.used); n > 0 && want != ok {
					t.Errorf("login %v: %d codes used", Login(login), n)
				}
			}
		})
	}
}

func mschap(name, code string, t testing.TB) (peer, *probe.Request) {
	p := newPeer(t, name, code)
	return p, p.add(probe.NewRequest(probe.AccessRequest, testSecret).Signed().Add(probe.UserName, name))
}

// TestMSCHAPv2IsAnswered: the peer is shown that the server knows the code too, and the gateway
// gets keys only if it is said that something else encrypts the tunnel.
func TestMSCHAPv2IsAnswered(t *testing.T) {
	for _, mppe := range []bool{false, true} {
		w := one(t, Client{MPPE: mppe})
		w.accounts.known[`CORP\alice`] = account("alice")
		salts := map[string]bool{}
		for _, name := range []string{"alice", `CORP\alice`} {
			clear(w.codes.used)
			p, q := mschap(name, testCode, t)
			r := w.ask(t, fromVPN, q)
			if !r.Is(probe.AccessAccept) {
				t.Fatalf("%s: %s", name, w.trail.last(t))
			}
			if got := microsoftValue(r, msCHAP2Success); !bytes.Equal(got, p.success()) {
				t.Errorf("%s: MS-CHAP2-Success %q, want %q", name, got, p.success())
			}
			want := []byte{maType, probe.VendorSpecific}
			if mppe {
				want = append(want, 26, 26, 26, 26)
			}
			if !bytes.Equal(types(r), want) {
				t.Errorf("%s: attributes %v, want %v", name, types(r), want)
			}
			if !mppe {
				continue
			}
			send, receive := p.keys()
			sent, received := microsoftValue(r, msMPPESendKey), microsoftValue(r, msMPPERecvKey)
			if got := unhidden(t, sent, testSecret, q.Authenticator); !bytes.Equal(got, send) {
				t.Errorf("%s: send key %x, want %x", name, got, send)
			}
			if got := unhidden(t, received, testSecret, q.Authenticator); !bytes.Equal(got, receive) {
				t.Errorf("%s: receive key %x, want %x", name, got, receive)
			}
			salts[string(sent[:2])], salts[string(received[:2])] = true, true
			if p, y := microsoftValue(r, msMPPEPolicy), microsoftValue(r, msMPPETypes); !bytes.Equal(p, []byte{0, 0, 0, 1}) || !bytes.Equal(y, []byte{0, 0, 0, 4}) {
				t.Errorf("policy %x, types %x", p, y)
			}
		}
		if mppe && len(salts) < 3 { // four, but for a coincidence of 1 in 32768
			t.Errorf("salts %v", salts)
		}
	}
}

// TestKeysGoToNobodyElse: not with CHAP, PAP, or a refusal.
func TestKeysGoToNobodyElse(t *testing.T) {
	w := one(t, Client{MPPE: true})
	_, wrong := mschap("alice", "000000", t)
	for name, q := range map[string]*probe.Request{
		"PAP":     probe.Login(testSecret, "alice", testCode),
		"CHAP":    chap(probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice"), testCode, nil),
		"refused": wrong,
	} {
		clear(w.codes.used)
		r := w.ask(t, fromVPN, q)
		for _, kind := range []byte{msMPPESendKey, msMPPERecvKey, msMPPEPolicy, msMPPETypes, msCHAP2Success} {
			if microsoftValue(r, kind) != nil {
				t.Errorf("%s: attribute %d of Microsoft's", name, kind)
			}
		}
	}
}

// TestRefusalsOfMSCHAPv2LookAlike: MS-CHAP-Error with the same text for every reason.
func TestRefusalsOfMSCHAPv2LookAlike(t *testing.T) {
	says := func(r otp.Reason) func(*world) {
		return func(w *world) { w.codes.result = &otp.Result{Reason: r} }
	}
	var want []byte
	challenges := map[string]bool{}
	for _, c := range []struct {
		name, account, code string
		change              func(*world)
	}{
		{"wrong code", "alice", "000000", nil},
		{"used", "alice", testCode, says(otp.ReasonCodeUsed)},
		{"throttled", "alice", testCode, says(otp.ReasonThrottled)},
		{"no device", "nodevice", testCode, nil},
		{"nobody", "mallory", testCode, nil},
		{"disabled", "bob", testCode, nil},
		{"ambiguous", "twice", testCode, func(w *world) { w.accounts.findErr["twice"] = directory.ErrAmbiguous }},
		{"not a name", "ali\x00ce", testCode, nil},
		{"denied", "alice", testCode, func(w *world) {
			w.accounts.known["alice"] = &directory.Account{ID: "alice-id", Name: "alice", Groups: []directory.Group{{Name: "denied"}}}
		}},
		{"method not taken", "alice", testCode, func(w *world) { w.table.Load().clients[0].Login = LoginPasswordCode }},
	} {
		w := one(t, Client{DenyGroups: []string{"denied"}}, func(o *Options, _ *world) { o.Registerer = nil })
		if c.change != nil {
			c.change(w)
		}
		_, q := mschap(c.account, c.code, t)
		r := w.ask(t, fromVPN, q)
		text := string(microsoftValue(r, msCHAPError))
		if !r.Is(probe.AccessReject) || !bytes.Equal(types(r), []byte{maType, probe.VendorSpecific}) || !strings.HasPrefix(text, "\x2aE=691 R=0 C=") {
			t.Fatalf("%s: code %d, attributes %v, %q", c.name, r.Code, types(r), text)
		}
		challenge := text[13 : 13+32]
		challenges[challenge] = true
		got := bytes.Replace(shape(r), []byte(challenge), []byte(strings.Repeat("0", 32)), 1)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s (%s) looks like\n%x, a wrong code like\n%x", c.name, w.trail.last(t), got, want)
		}
	}
	if len(challenges) != 10 {
		t.Errorf("%d different challenges", len(challenges))
	}
}

// TestAResponseIsForOnePacket: its token has challenge, response and authenticator in it, grace or none.
func TestAResponseIsForOnePacket(t *testing.T) {
	w := one(t, Client{FailoverGrace: otp.ClaimLifetime})
	tokens := map[otp.Token]bool{}
	w.codes.settle = func(_ context.Context, walked []otp.Walked) {
		for _, a := range walked {
			tokens[a.Token] = true
			if a.Lifetime != 0 {
				t.Errorf("a lifetime of %v", a.Lifetime)
			}
		}
	}
	_, first := mschap("alice", testCode, t)
	_, second := mschap("alice", testCode, t)
	w.wants(t, fromVPN, first, "accept ok")
	w.wants(t, fromVPN, second, "reject code_used")
	for range 2 {
		w.feed(fromVPN, chap(probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice"), testCode, []byte("challenge")).Octets())
	}
	if len(tokens) != 4 {
		t.Errorf("%d tokens of four packets", len(tokens))
	}
}

// TestAMethodThatIsNotTakenIsExplained in the log, once a minute.
func TestAMethodThatIsNotTakenIsExplained(t *testing.T) {
	now := newClock()
	w := newWorld(t, func(o *Options, _ *world) { o.Now = now.now })
	old := probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice").Add(probe.VendorSpecific, response1())
	for range 3 {
		w.wants(t, fromVPN, old, "reject proof_unsupported")
		w.wants(t, fromConcat, chap(probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice"), testCode, nil), "reject proof_unsupported")
	}
	const said = "the gateway logs in by a method that is refused"
	for client, hint := range map[string]string{"vpn": "set the gateway to MS-CHAPv2 or PAP", "concat": "set the gateway to PAP: CHAP and MS-CHAPv2 carry no password"} {
		if n := w.logs(said, "client="+client, hint); n != 1 {
			t.Errorf("%s: %d lines:\n%s", client, n, w.logged)
		}
	}
	now.pass(quiet.For)
	w.feed(fromVPN, old.Octets())
	w.feed(fromVPN, probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice").Add(probe.EAPMessage, "\x02").Octets())
	if n := w.logs(said, "client=vpn"); n != 2 {
		t.Errorf("%d lines in another minute", n)
	}
	now.pass(quiet.For)
	w.feed(fromVPN, probe.NewRequest(1, testSecret).Signed().Add(probe.UserName, "alice").Add(probe.EAPMessage, "\x02").Octets())
	if n := w.logs(said, "EAP is not answered"); n != 1 {
		t.Errorf("%d lines about EAP", n)
	}
}

// TestProofsAreNotPrinted by an attempt that somebody logs by mistake.
func TestProofsAreNotPrinted(t *testing.T) {
	var a attempt
	a.walked.Proof = otp.TypedCode(testCode)
	if text := fmt.Sprintf("%+v", a.walked); strings.Contains(text, testCode) || strings.Contains(text, fmt.Sprint([]byte(testCode))) {
		t.Error(text)
	}
}
