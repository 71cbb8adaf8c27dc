package radius

import (
	"bytes"
	"crypto/md5"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/probe"
)

// TestEveryFlippedBitOfAReplyIsNoticed proves the checks of radiustest as much as the reply:
// a gateway that checks both authenticators takes nothing from whoever stands in between.
func TestEveryFlippedBitOfAReplyIsNoticed(t *testing.T) {
	w := newWorld(t)
	packet := probe.Login(testSecret, "alice", testCode).Add(probe.ProxyState, "one").Add(probe.ProxyState, "two").Octets()
	got := w.feed("192.0.2.1:1000", packet)
	if len(got) != 1 {
		t.Fatalf("%d replies", len(got))
	}
	if _, err := probe.Check(packet, got[0], testSecret); err != nil {
		t.Fatalf("the reply itself: %v", err)
	}
	for bit := range len(got[0]) * 8 {
		if _, err := probe.Check(packet, probe.Flip(got[0], bit), testSecret); err == nil {
			t.Errorf("bit %d of octet %d was not noticed", bit%8, bit/8)
		}
	}
	if _, err := probe.Check(packet, got[0], "another secret"); err == nil {
		t.Error("a reply signed with another secret was taken")
	}
	if _, err := probe.Check(packet, append(slices.Clone(got[0]), 0), testSecret); err == nil {
		t.Error("an octet after the reply was not noticed")
	}
}

// TestTheTestClientNoticesABadlyBuiltReply: each of these has right authenticators, and something
// else that a gateway might trip over.
func TestTheTestClientNoticesABadlyBuiltReply(t *testing.T) {
	request := probe.NewRequest(probe.AccessRequest, testSecret).Signed().
		Add(probe.ProxyState, "one").Add(probe.ProxyState, "two")
	reply := func() *probe.Request {
		q := probe.NewRequest(probe.AccessAccept, testSecret)
		q.Identifier, q.Authenticator = request.Identifier, request.Authenticator
		return q
	}
	for name, c := range map[string]struct {
		q    *probe.Request
		want string // "": right
	}{
		"right":                    {reply().Signed().Add(33, "one").Add(33, "two"), ""},
		"more attributes":          {reply().Signed().Add(18, "hello").Add(33, "one").Add(33, "two"), ""},
		"not first":                {reply().Add(33, "one").Add(33, "two").Signed(), "not the first"},
		"unsigned":                 {reply().Add(33, "one").Add(33, "two"), "not the first"},
		"signed twice":             {reply().Signed().Signed().Add(33, "one").Add(33, "two"), "repeated"},
		"Proxy-State lost":         {reply().Signed().Add(33, "one"), "came back as"},
		"Proxy-State out of order": {reply().Signed().Add(33, "two").Add(33, "one"), "came back as"},
		"Proxy-State changed":      {reply().Signed().Add(33, "one").Add(33, "two2"), "came back as"},
		"short authenticator":      {reply().Add(80, strings.Repeat("\x00", 15)).Add(33, "one").Add(33, "two"), "15 octets"},
	} {
		b := c.q.Octets()
		sealResponse(b)
		_, err := probe.Check(request.Octets(), b, testSecret)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestRefusalsLookAlike is invariant 8 of the design: whatever the reason is, the octets differ in
// the authenticators only.
func TestRefusalsLookAlike(t *testing.T) {
	shape := func(name, password string, change ...func(*world)) []byte {
		w := newWorldQuick(t)
		w.accounts.findErr["twice"] = directory.ErrAmbiguous
		for _, f := range change {
			f(w)
		}
		q := probe.Login(testSecret, name, password).Add(probe.ProxyState, "p")
		q.Identifier = 7
		packet := q.Octets()
		got := w.feed("198.51.100.200:1000", packet)
		if len(got) != 1 || got[0][0] != probe.AccessReject {
			t.Fatalf("%s: %x, %s", name, got, w.trail.last(t))
		}
		if _, err := probe.Check(packet, got[0], testSecret); err != nil {
			t.Fatal(err)
		}
		clear(got[0][4:headerLength])
		clear(got[0][messageAuthenticatorAt : messageAuthenticatorAt+16])
		return got[0]
	}
	says := func(r otp.Reason) func(*world) {
		return func(w *world) { w.codes.result = &otp.Result{Reason: r} }
	}
	want := shape("alice", "geheim000000")
	for name, got := range map[string][]byte{
		"unknown account":   shape("mallory", "geheim"+testCode),
		"ambiguous account": shape("twice", "geheim"+testCode),
		"no device":         shape("nodevice", "geheim"+testCode),
		"wrong password":    shape("alice", "falsch"+testCode),
		"empty password":    shape("alice", testCode),
		"disabled":          shape("bob", "geheim"+testCode),
		"used":              shape("alice", "geheim"+testCode, says(otp.ReasonCodeUsed)),
		"throttled":         shape("alice", "geheim"+testCode, says(otp.ReasonThrottled)),
		"no proof":          shape("alice", ""),
		"no name":           shape("", "geheim"+testCode),
	} {
		if !bytes.Equal(got, want) {
			t.Errorf("%s looks like\n%x, a wrong code like\n%x", name, got, want)
		}
	}
}

// TestARefusalIsNoLongerThanASignedRequest: nobody gains by forging senders.
func TestARefusalIsNoLongerThanASignedRequest(t *testing.T) {
	w := newWorld(t)
	bare := probe.NewRequest(probe.AccessRequest, testSecret).Octets()
	if got := w.feed(fromOld, bare); len(bare) != 20 || len(got) != 1 || len(got[0]) != 38 {
		t.Errorf("an unsigned request of %d octets is answered by %x", len(bare), got)
	}
	c := w.table.Load().find(netip.MustParseAddr("192.0.2.1"))
	q := probe.NewRequest(probe.AccessRequest, testSecret).Signed()
	for len(q.Octets())+255 <= maxLength {
		q.Add(probe.ProxyState, strings.Repeat("x", 253))
		packet := q.Octets()
		in, _, ok := admit(packet, c, false)
		if !ok {
			t.Fatal("not admitted")
		}
		reply, err := c.seal(in.key, in.octets, 3, nil)
		if err != nil || len(reply) > len(packet) {
			t.Fatalf("a request of %d octets has a reply of %d, %v", len(packet), len(reply), err)
		}
	}
}

func TestOnlyDecisionsOfThisServerHaveAReply(t *testing.T) {
	for d, want := range map[otp.Decision]bool{otp.Drop: false, otp.Reject: true, otp.Challenge: true, otp.Accept: true, 99: false} {
		if _, ok := codeFor(d); ok != want {
			t.Errorf("%v: reply %v, want %v", d, ok, want)
		}
	}
}

// sealResponse puts the Response Authenticator into a reply.
func sealResponse(b []byte) {
	sum := md5.Sum(append(slices.Clone(b), testSecret...))
	copy(b[4:], sum[:])
}
