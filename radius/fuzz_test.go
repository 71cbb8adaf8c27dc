package radius

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	layeh "layeh.com/radius"

	"otpgate/otp"
	"otpgate/radius/duplicates"
	"otpgate/radius/probe"
)

// FuzzPacket: whatever arrives, nothing panics, nothing is admitted without the right
// Message-Authenticator where one is required, and what is admitted means to us what it says:
// parsed and marshalled again it is the same octets.
func FuzzPacket(f *testing.F) {
	addWire(f)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, packet []byte, sign bool) {
		if sign {
			packet = signed(packet)
		}
		for i, c := range w.table.Load().clients {
			if _, ok := precheck(packet, forLogins); !ok {
				continue
			}
			in, _, ok := admit(packet, c, false)
			if !ok {
				continue
			}
			octets := in.octets
			if !bytes.HasPrefix(packet, octets) || len(octets) != int(binary.BigEndian.Uint16(packet[2:])) {
				t.Fatalf("admitted %x out of %x", octets, packet)
			}
			if got := bytes.Equal(signed(octets), octets); !got && (c.MessageAuthenticator == Required || contains(octets, probe.MessageAuthenticator)) {
				t.Fatalf("client %d: admitted without the right Message-Authenticator: %x", i, octets)
			}
			readsAsTheLibrary(t, octets, in, c)
			reply, err := c.seal(in.key, octets, 3, nil)
			if errors.Is(err, errTooLong) && !contains(octets, probe.MessageAuthenticator) {
				continue // with one, what fitted into the request fits into the reply
			}
			if err != nil {
				t.Fatalf("no reply can be made: %v", err)
			}
			if _, err := probe.Check(octets, reply, testSecret); err != nil {
				t.Fatalf("the reply is wrong: %v", err)
			}
		}
	})
}

// readsAsTheLibrary fails the test when what is read of a packet is not what another codec finds in it.
func readsAsTheLibrary(t *testing.T, octets []byte, in admitted, c *client) {
	t.Helper()
	want, err := layeh.Parse(octets, in.key.secret)
	if err != nil {
		t.Fatalf("admitted, and not parsed: %v", err)
	}
	var r request
	r.read(bytes.Clone(octets), in, c)
	_, state := want.Lookup(typeState)
	_, eap := want.Lookup(typeEAPMessage)
	if !bytes.Equal(r.name, want.Get(typeUserName)) || r.station != string(want.Get(typeCallingStationID)) ||
		r.state != state || r.eap != eap || *r.authenticator() != want.Authenticator {
		t.Fatalf("%x was read as name %q, station %q, State %v, EAP %v", octets, r.name, r.station, r.state, r.eap)
	}
	i := 0
	for kind, value := range attributes(octets) {
		if i >= len(want.Attributes) || kind != byte(want.Attributes[i].Type) || !bytes.Equal(value, want.Attributes[i].Attribute) || value == nil {
			t.Fatalf("attribute %d of %x is %d %x", i, octets, kind, value)
		}
		i++
	}
	if i != len(want.Attributes) {
		t.Fatalf("%d attributes of %d in %x", i, len(want.Attributes), octets)
	}
}

// addWire adds the packets of testdata/wire and some more.
func addWire(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/wire/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, _, packet := readCorpus(f, string(text))
		f.Add(packet, false)
		f.Add(packet, true)
	}
	for _, q := range oddProofs(f) {
		f.Add(q.Octets(), true)
		f.Add(q.Without(maType).Octets(), false)
	}
}

// oddProofs are packets with attributes of Microsoft's and CHAP, right and wrong.
func oddProofs(f *testing.F) []*probe.Request {
	p := newPeer(f, "alice", testCode)
	request := func() *probe.Request { return corpusNamed("alice") }
	return []*probe.Request{
		p.add(request()),
		p.add(request()).Add(probe.VendorSpecific, response1()),
		chap(p.add(request()), testCode, []byte("challenge")),
		chap(request(), testCode, nil),
		request().Add(probe.VendorSpecific, vsa(msCHAPChallenge, p.challenge)+vsa(msCHAP2Response, p.response)[4:]),
		request().Add(probe.VendorSpecific, vsa(msCHAP2Response, p.response[:49])).Add(probe.VendorSpecific, vsa(msCHAPChallenge, nil)),
		request().Add(probe.VendorSpecific, vsa(msCHAP2Response, p.response)[:30]),
		request().Add(probe.VendorSpecific, "\x00\x00\x01\x37\x19\x00"),
		request().Add(probe.VendorSpecific, "\x00\x00\x01\x37\x19\x01\x19\xff"),
		request().Password(scrv1("geheim", testCode)),
	}
}

// FuzzLogin: the packets of FuzzPacket go through the whole login sequence, of every client. Nothing
// panics, nothing is left behind, and who is not alice with her code or her password gets nowhere.
func FuzzLogin(f *testing.F) {
	addWire(f)
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, packet []byte, sign bool) {
		if sign {
			packet = signed(packet)
		}
		for _, from := range []string{fromVPN, fromOld, fromConcat, fromThen} {
			w.feed(from, packet)
		}
		if n := testutil.ToFloat64(w.metrics.panics); n != 0 || w.slots.Load() != 0 || w.waiting.Load() != 0 {
			t.Fatalf("%v panics, %d slots, %d wait, by %x\n%s", n, w.slots.Load(), w.waiting.Load(), packet, w.logged)
		}
		for _, e := range w.trail.all() {
			if (e.Decision == "accept" || e.Decision == "challenge") && e.Account != "alice-id" && e.Account != "carol-id" && e.Account != "müller-id" {
				t.Fatalf("%+v by %x", e, packet)
			}
		}
		w.empty()
	})
}

// empty forgets what a fuzz target would pile up.
func (w *world) empty() {
	w.Server.duplicates = duplicates.New(1<<10, 1<<20)
	w.trail.mu.Lock()
	w.trail.events = nil
	w.trail.mu.Unlock()
	w.codes.mu.Lock()
	w.codes.settled, w.codes.factors, w.codes.places, w.codes.wrong, w.codes.counted = nil, nil, nil, nil, nil
	clear(w.codes.used)
	clear(w.codes.spent)
	w.codes.mu.Unlock()
	w.accounts.mu.Lock()
	w.accounts.allowed, w.accounts.authenticated = nil, nil
	w.accounts.mu.Unlock()
	w.logged.mu.Lock()
	w.logged.b.Reset()
	w.logged.mu.Unlock()
}

// FuzzAccounting: octets that have a right Request Authenticator are discarded or acknowledged, and
// nothing panics or is left behind, whatever is in them.
func FuzzAccounting(f *testing.F) {
	number := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	for _, q := range []*probe.Request{
		accounting(1, "alice"), accounting(2, "carol").Signed(), accounting(7, ""), accounting(99, "mallory").Add(33, "p"),
		accounting(2, "alice").Add(8, "\x0a\x08\x00\x02").Add(97, "\x00\x40\x20\x01\x0d\xb8").Add(46, number(1<<31)).Add(52, number(1<<32-1)).Add(41, number(1<<32-1)).Add(55, number(1)),
		accounting(1, "\xff\x00"), accounting(1, "alice").Without(40), accounting(1, "alice").Add(97, "\x00\xff"),
	} {
		f.Add(stamped(q))
	}
	sessions := &fakeSessions{}
	w := newWorld(f, func(o *Options, _ *world) { o.Sessions = sessions })
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < headerLength || len(packet) > maxLength {
			return
		}
		packet = bytes.Clone(packet)
		packet[0] = accountingRequest
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		clear(packet[4:headerLength])
		sum := md5.Sum(append(bytes.Clone(packet), testSecret...))
		copy(packet[4:], sum[:])
		recorded := len(w.trail.all())
		got := w.feedTo(forAccounting, fromVPN, packet)
		if n := testutil.ToFloat64(w.metrics.panics); n != 0 || w.reporting.Load() != 0 || w.slots.Load() != 0 {
			t.Fatalf("%v panics, %d slots, by %x\n%s", n, w.reporting.Load(), packet, w.logged)
		}
		for _, r := range got {
			if reply, err := probe.Check(packet, r, testSecret); err != nil || !reply.Is(accountingResponse) {
				t.Fatalf("%x, %v", r, err)
			}
		}
		if recorded == 0 && len(w.trail.all()) < len(got) {
			t.Fatalf("%x was acknowledged, and not recorded", packet)
		}
		w.empty()
		sessions.mu.Lock()
		sessions.told = nil
		sessions.mu.Unlock()
	})
}

// signed gives the first Message-Authenticator of a packet its right value.
func signed(packet []byte) []byte {
	if len(packet) < headerLength {
		return packet
	}
	b := bytes.Clone(packet)
	q := &probe.Request{Code: b[0], Identifier: b[1], Secret: []byte(testSecret)}
	copy(q.Authenticator[:], b[4:])
	length := min(int(binary.BigEndian.Uint16(b[2:])), len(b))
	for at := headerLength; at+2 <= length && b[at+1] >= 2 && at+int(b[at+1]) <= length; at += int(b[at+1]) {
		value := b[at+2 : at+int(b[at+1])]
		if b[at] == probe.MessageAuthenticator && len(value) == 16 {
			value = make([]byte, 16)
		}
		q.Add(b[at], string(value))
	}
	if octets := q.Octets(); len(octets) == length {
		copy(b, octets)
	}
	return b
}

func contains(octets []byte, kind byte) bool {
	for at := headerLength; at < len(octets); at += int(octets[at+1]) {
		if octets[at] == kind {
			return true
		}
	}
	return false
}

// FuzzState: no State that we did not seal lets anybody in, wherever it is sent and however alike it
// is to one that we did. The packet is otherwise right: name, code and signature.
func FuzzState(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), false)
	f.Add([]byte{}, false)
	f.Add([]byte{0}, false)
	f.Add([]byte("otpgate"), false)
	f.Add(bytes.Repeat([]byte{0xff}, 253), false)
	w := newWorld(f)
	ours := w.challenged(f, fromThen, "alice")
	f.Add([]byte(ours[1:]), true)
	f.Add([]byte(ours+"="), true)
	w.empty()
	f.Fuzz(func(t *testing.T, state []byte, ofOurs bool) {
		if ofOurs { // what is fuzzed changes a State of ours
			mixed := []byte(ours)
			for i, c := range state {
				mixed[i%len(mixed)] ^= c
			}
			if state = mixed; string(state) == ours {
				return
			}
		}
		q := probe.Login(testSecret, "alice", testCode).Add(probe.State, string(state[:min(len(state), 253)]))
		packet := q.Octets()
		got := w.feed(fromThen, packet)
		if len(got) != 1 || got[0][0] != probe.AccessReject || w.trail.last(t) != "reject "+string(otp.ReasonStateUnknown) {
			t.Fatalf("State %x: %x, %s", state, got, w.trail.last(t))
		}
		if n := len(w.codes.batches()); n != 0 {
			t.Fatalf("%d claims", n)
		}
		w.empty()
	})
}
