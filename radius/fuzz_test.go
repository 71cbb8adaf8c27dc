package radius

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"otpgate/otp"
	"otpgate/radius/probe"
)

// FuzzPacket: whatever arrives, nothing panics, nothing is admitted without the right
// Message-Authenticator where one is required, and what is admitted means to us what it says:
// parsed and marshalled again it is the same octets.
func FuzzPacket(f *testing.F) {
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
			r, err := readRequest(in, c)
			if err != nil {
				t.Fatalf("admitted, and not parsed: %v", err)
			}
			if again, err := r.packet.MarshalBinary(); err != nil || !bytes.Equal(again, octets) {
				t.Fatalf("%x became %x, %v", octets, again, err)
			}
			reply, err := c.seal(r.key, r.packet, 3, nil)
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

// FuzzState: no State that we did not seal lets anybody in. The packet is otherwise right: name, code
// and signature.
func FuzzState(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add([]byte("otpgate"))
	f.Add(bytes.Repeat([]byte{0xff}, 253))
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, state []byte) {
		q := probe.Login(testSecret, "alice", testCode).Add(probe.State, string(state[:min(len(state), 253)]))
		packet := q.Octets()
		got := w.feed(fromThen, packet)
		if len(got) != 1 || got[0][0] != probe.AccessReject || w.trail.last(t) != "reject "+string(otp.ReasonStateUnknown) {
			t.Fatalf("State %x: %x, %s", state, got, w.trail.last(t))
		}
		if n := len(w.codes.batches()); n != 0 {
			t.Fatalf("%d claims", n)
		}
		w.trail.mu.Lock()
		w.trail.events = nil
		w.trail.mu.Unlock()
	})
}
