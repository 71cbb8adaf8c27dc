package radius

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/otp/keyset"
	"otpgate/radius/challenge"
	"otpgate/radius/probe"
)

// What probe has no name for.
const (
	accessChallenge    = 11
	accountingRequest  = 4
	accountingResponse = 5

	replyMessage  = 18
	class         = 25
	chapChallenge = 60
	prompt        = 76
)

// ask sends a packet that must be answered, and checks the answer.
func (w *world) ask(t testing.TB, from string, q *probe.Request) probe.Reply {
	t.Helper()
	packet := q.Octets()
	got := w.feed(from, packet)
	if len(got) != 1 {
		t.Fatalf("%d replies; %s", len(got), w.trail.last(t))
	}
	r, err := probe.Check(packet, got[0], string(q.Secret))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wants sends a packet, and holds decision and reason.
func (w *world) wants(t testing.TB, from string, q *probe.Request, want string) {
	t.Helper()
	w.feed(from, q.Octets())
	if got := w.trail.last(t); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// feedTo is feed by a socket that takes something else than logins.
func (w *world) feedTo(takes service, from string, packets ...[]byte) [][]byte {
	r, out := newWire(w.Server)
	r.reader.takes, r.socket.takes = takes, takes
	var in []ipv4.Message
	addr := netip.MustParseAddrPort(from)
	for i, p := range packets {
		from := netip.AddrPortFrom(addr.Addr(), addr.Port()+uint16(i))
		in = append(in, datagramFrom(from.String(), slices.Clone(p)))
	}
	r.reader.receive(r.socket, in)
	r.reader.start(context.Background(), false)
	w.work.Wait()
	return out.take()
}

// types are the types of a reply's attributes, in their order.
func types(r probe.Reply) (kinds []byte) {
	for _, a := range r.Attributes {
		kinds = append(kinds, a.Type)
	}
	return kinds
}

// value is that of the first attribute of a type, "" when there is none.
func value(r probe.Reply, kind byte) string {
	for _, a := range r.Attributes {
		if a.Type == kind {
			return string(a.Value)
		}
	}
	return ""
}

// microsoftValue is that of the first attribute of Microsoft's of a type, nil when there is none.
func microsoftValue(r probe.Reply, kind byte) []byte {
	for _, a := range r.Attributes {
		if a.Type != probe.VendorSpecific || len(a.Value) < 6 || binary.BigEndian.Uint32(a.Value) != 311 {
			continue
		}
		if a.Value[4] == kind && int(a.Value[5]) == len(a.Value)-4 {
			return a.Value[6:]
		}
	}
	return nil
}

// vsa is the value of Vendor-Specific with one attribute of Microsoft's.
func vsa(kind byte, value []byte) string {
	return "\x00\x00\x01\x37" + string([]byte{kind, byte(2 + len(value))}) + string(value)
}

// shape is a reply without what differs in each: its authenticators and its Identifier.
func shape(r probe.Reply) []byte {
	b := bytes.Clone(r.Octets)
	b[1] = 0
	clear(b[4:headerLength])
	clear(b[messageAuthenticatorAt : messageAuthenticatorAt+16])
	return b
}

// checkUnsigned says whether a reply without Message-Authenticator has a right Response
// Authenticator, and returns the types of its attributes.
func checkUnsigned(t testing.TB, request, reply []byte, secret string) (kinds []byte) {
	t.Helper()
	if len(reply) < headerLength || int(binary.BigEndian.Uint16(reply[2:])) != len(reply) || reply[1] != request[1] {
		t.Fatalf("no reply: %x", reply)
	}
	sum := md5.Sum(slices.Concat(reply[:4], request[4:headerLength], reply[headerLength:], []byte(secret)))
	if !bytes.Equal(sum[:], reply[4:headerLength]) {
		t.Error("the Response Authenticator is wrong")
	}
	for at := headerLength; at < len(reply); at += int(reply[at+1]) {
		kinds = append(kinds, reply[at])
	}
	return kinds
}

// stamped is an Accounting-Request with a right Request Authenticator (RFC 2866 section 3).
func stamped(q *probe.Request) []byte {
	clear(q.Authenticator[:])
	b := q.Octets() // Message-Authenticator is made while the authenticator is zero
	sum := md5.Sum(slices.Concat(b, q.Secret))
	copy(b[4:], sum[:])
	return b
}

// accounting is an Accounting-Request of a status.
func accounting(status uint32, name string) *probe.Request {
	q := probe.NewRequest(accountingRequest, testSecret).
		Add(40, string(binary.BigEndian.AppendUint32(nil, status))).
		Add(44, "session-1").Add(probe.NASIdentifier, "nas1")
	if name != "" {
		q.Add(probe.UserName, name)
	}
	return q
}

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(1_700_000_000e9)
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// statesOf seals with the keys of a directory, by a clock.
func statesOf(t testing.TB, dir string, now func() time.Time) *challenge.Sealer {
	t.Helper()
	keys, _, err := keyset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	states, err := challenge.New(challenge.Options{Keys: keys, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return states
}

// one makes a world with one client, for 192.0.2.0/24 and loopback, that c describes.
func one(t testing.TB, c Client, change ...func(*Options, *world)) *world {
	t.Helper()
	c.Name, c.Networks = "vpn", prefixes("192.0.2.0/24", "127.0.0.0/8")
	if len(c.Secret) == 0 {
		c.Secret = []byte(testSecret)
	}
	return newWorld(t, append([]func(*Options, *world){func(o *Options, _ *world) {
		o.Clients = []Client{c}
	}}, change...)...)
}

// logs is how many lines hold all of the texts.
func (w *world) logs(texts ...string) (n int) {
	for line := range strings.Lines(w.logged.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}
