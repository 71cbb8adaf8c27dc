package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

// accessChallenge is the code of a packet (RFC 2865 section 4.4).
const accessChallenge = 11

// silenceTime is how long nothing must come for it to count as silence.
const silenceTime = 1500 * time.Millisecond

// sentPacket is a packet with a name, so that the very same octets can be sent again.
type sentPacket struct {
	secret string
	client *radiustest.Client // the last one it went through
	octets []byte
	reply  []byte // the first one
}

// cmdPacket builds packets that no well-meaning client sends, and sends any of them again.
//
//	packet new NAME user=U password=P [secret=S] [state=0x...] [message-authenticator=none]
//	                [flip=message-authenticator|BIT] [identifier=N] [port-of=NAME]
//	packet send NAME accept|challenge|reject|silence|same [VARIABLE]
//	packet post NAME             without waiting
//	packet got NAME accept|challenge|reject
//
// It goes to the port in $RADIUS unless another variable is named: a gateway that gets no answer
// sends the same packet to its second server.
func cmdPacket(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "packet new NAME key=value... | packet send|got NAME accept|reject|silence|same | packet post NAME")
	b := benchOf(ts)
	switch args[0] {
	case "new":
		b.packets[args[1]] = b.newPacket(ts, args[2:])
		return
	case "send", "post", "got":
	default:
		ts.Fatalf("packet: new, send, post or got")
	}
	p := b.packets[args[1]]
	if p == nil {
		ts.Fatalf("packet: no packet %q", args[1])
	}
	port := "RADIUS"
	if len(args) > 3 {
		port = args[3]
	}
	if p.client == nil || len(args) > 3 { // else from the same port, as a retransmission is
		p.client = radiustest.Dial(b.tb(ts), "127.0.0.1:"+ts.Getenv(port), p.secret)
	}
	switch {
	case args[0] == "post":
		p.client.Send(p.octets)
	case len(args) < 3:
		ts.Fatalf("packet %s: what is expected?", args[0])
	case args[0] == "send":
		p.send(ts, args[2])
	default:
		p.got(ts, args[2])
	}
}

// got checks the reply to a packet that was posted before.
func (p *sentPacket) got(ts *testscript.TestScript, want string) {
	octets, err := p.client.Receive(radiustest.Patience)
	ts.Check(err)
	r, err := probe.Check(p.octets, octets, p.secret)
	ts.Check(err)
	if !says(r, want) {
		ts.Fatalf("packet: got code %d, want %s", r.Code, want)
	}
	p.reply = r.Octets
}

// says reports whether a reply is what a script calls it.
func says(r probe.Reply, want string) bool {
	code, known := map[string]byte{"accept": probe.AccessAccept, "challenge": accessChallenge, "reject": probe.AccessReject}[want]
	return known && r.Is(code)
}

func (b *bench) newPacket(ts *testscript.TestScript, args []string) *sentPacket {
	o := map[string]string{"secret": "testing-secret"}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		o[key] = value
	}
	request := probe.Login(o["secret"], o["user"], o["password"])
	if o["state"] != "" {
		state, err := hex.DecodeString(strings.TrimPrefix(o["state"], "0x"))
		ts.Check(err)
		request.Add(probe.State, string(state))
	}
	if o["message-authenticator"] == "none" {
		request.Without(probe.MessageAuthenticator)
	}
	if o["identifier"] != "" {
		id, err := strconv.ParseUint(o["identifier"], 10, 8)
		ts.Check(err)
		request.Identifier = byte(id)
	}
	octets := request.Octets()
	switch flip := o["flip"]; flip {
	case "":
	case "message-authenticator": // the first attribute: its value begins behind header, type and length
		octets = probe.Flip(octets, (20+2)*8)
	default:
		bit, err := strconv.Atoi(flip)
		ts.Check(err)
		octets = probe.Flip(octets, bit)
	}
	p := &sentPacket{secret: o["secret"], octets: octets}
	if other := b.packets[o["port-of"]]; other != nil {
		if other.client == nil {
			other.client = radiustest.Dial(b.tb(ts), "127.0.0.1:"+ts.Getenv("RADIUS"), other.secret)
		}
		p.client = other.client
	}
	return p
}

func (p *sentPacket) send(ts *testscript.TestScript, want string) {
	if want == "silence" {
		if r, err := p.client.Try(p.octets, silenceTime); !errors.Is(err, radiustest.ErrSilence) {
			ts.Fatalf("packet: expected silence, got code %d, %v", r.Code, err)
		}
		return
	}
	r, err := p.client.Try(p.octets, radiustest.Patience)
	if err != nil {
		ts.Fatalf("packet: %v", err)
	}
	switch {
	case says(r, want):
		p.reply = r.Octets
	case want == "same" && bytes.Equal(p.reply, r.Octets):
	default:
		ts.Fatalf("packet: got code %d (%x), want %s (%x)", r.Code, r.Octets, want, p.reply)
	}
}
