package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

const secret = "testing-secret"

// server is a RADIUS server that may be told to do everything wrong.
type server struct {
	t         *testing.T
	conn      *net.UDPConn
	codes     *roster.Generator
	roster    *roster.Roster
	challenge bool // asks for the code after the password
	forgetful bool // knows no replay
	behave    func(x *exchange)
	names     map[string]int // devices

	mu   sync.Mutex
	used map[roster.Turn]bool
	seen map[string][]*exchange // packets by their octets and port
	all  []*exchange
}

// exchange is a request at the server.
type exchange struct {
	s        *server
	from     netip.AddrPort
	request  []byte
	copies   int // how often it came before
	decision byte
	state    string
}

// serve starts a server that is right unless behave makes it wrong.
func serve(t *testing.T, r *roster.Roster, behave func(x *exchange), more ...func(*server)) *server {
	t.Helper()
	return serveAt(t, net.IPv4(127, 0, 0, 1), r, behave, more...)
}

func serveAt(t *testing.T, ip net.IP, r *roster.Roster, behave func(x *exchange), more ...func(*server)) *server {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(1 << 20)
	s := &server{
		t: t, conn: conn, codes: roster.NewGenerator(), roster: r, behave: behave,
		names: map[string]int{}, used: map[roster.Turn]bool{},
		seen: map[string][]*exchange{},
	}
	for i := range r.Len() {
		s.names[string(r.Name(i))] = i
	}
	for _, change := range more {
		change(s)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.loop()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return s
}

// forgetting makes a server one that knows no replay.
func forgetting(forgetful bool) func(*server) { return func(s *server) { s.forgetful = forgetful } }

func (s *server) addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s *server) loop() {
	b := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		s.mu.Lock()
		x := &exchange{s: s, from: from, request: bytes.Clone(b[:n])}
		key := from.String() + string(x.request)
		before := s.seen[key]
		x.copies = len(before)
		s.seen[key] = append(before, x)
		s.all = append(s.all, x)
		if x.copies > 0 {
			x.decision, x.state = before[0].decision, before[0].state
		} else {
			x.decide()
		}
		s.mu.Unlock()
		if s.behave != nil {
			s.behave(x)
		} else {
			x.send(x.right())
		}
	}
}

// replayed reports whether a request comes from where codes are sent once more: see station.
func (s *server) replayed(x *exchange) bool { return bytes.HasPrefix(x.attribute(31), []byte("172.")) }

// attribute returns the value of an attribute of the request.
func (x *exchange) attribute(kind byte) []byte {
	for b := x.request[20:]; len(b) >= 2; b = b[b[1]:] {
		if b[0] == kind {
			return b[2:b[1]]
		}
	}
	return nil
}

// password reveals User-Password (RFC 2865 section 5.2).
func (x *exchange) password() string {
	var clear []byte
	before := x.request[4:20]
	for b := x.attribute(2); len(b) >= 16; b = b[16:] {
		pad := md5.Sum(slices.Concat([]byte(secret), before))
		for i := range pad {
			clear = append(clear, b[i]^pad[i])
		}
		before = b[:16]
	}
	return string(bytes.TrimRight(clear, "\x00"))
}

// decide does what a server has to: it checks the signature, and the code against the devices.
func (x *exchange) decide() {
	mac := hmac.New(md5.New, []byte(secret))
	unsigned := bytes.Clone(x.request)
	clear(unsigned[22:38])
	mac.Write(unsigned)
	if !hmac.Equal(mac.Sum(nil), x.attribute(80)) || int(binary.BigEndian.Uint16(x.request[2:])) != len(x.request) {
		x.s.t.Errorf("a request with a wrong Message-Authenticator: %x", x.request)
	}
	x.decision = packet.AccessReject
	password := x.password()
	if i, known := x.s.names[string(x.attribute(1))]; known {
		x.check(i, password)
	}
}

func (x *exchange) check(device int, password string) {
	known := string(x.s.roster.Password(nil, device))
	if x.s.challenge && x.attribute(24) == nil {
		if password == known {
			x.decision, x.state = packet.AccessChallenge, "a state"
		}
		return
	}
	if x.s.challenge && string(x.attribute(24)) != "a state" {
		x.s.t.Errorf("State came back as %q", x.attribute(24))
	}
	code := password
	if !x.s.challenge {
		code = strings.TrimPrefix(password, known)
	}
	step := time.Now().Unix() / 60
	for _, t := range []roster.Turn{{Device: device, Step: step}, {Device: device, Step: step - 1}} {
		if string(x.s.roster.Code(nil, x.s.codes, t)) == code && (x.s.forgetful || !x.s.used[t]) {
			x.s.used[t] = true
			x.decision = packet.AccessAccept
			return
		}
	}
}

// right is the answer that the request should get.
func (x *exchange) right() []byte { return x.answer(x.decision, secret, blank()) }

func blank() []byte { return append([]byte{80, 18}, make([]byte, 16)...) }

// answer makes a response, with the State and these attributes. Every Message-Authenticator of zeros gets its value.
func (x *exchange) answer(code byte, secret string, attributes ...[]byte) []byte {
	b := append([]byte{code, x.request[1], 0, 0}, x.request[4:20]...)
	b = append(b, slices.Concat(attributes...)...)
	if x.state != "" && code == packet.AccessChallenge {
		b = append(append(b, 24, byte(2+len(x.state))), x.state...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write(b)
	sum := mac.Sum(nil)
	for at := 20; at < len(b); at += int(b[at+1]) {
		if b[at] == 80 {
			copy(b[at+2:], sum)
		}
	}
	whole := md5.Sum(append(bytes.Clone(b), secret...))
	copy(b[4:], whole[:])
	return b
}

func (x *exchange) send(octets []byte) {
	_, _ = x.s.conn.WriteToUDPAddrPort(octets, x.from) // the port may be closed by now
}
