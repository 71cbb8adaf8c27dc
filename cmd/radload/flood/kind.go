package flood

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/roster"
)

// A Kind is what a flood consists of.
type Kind uint8

// The kinds.
const (
	Garbage  Kind = iota // octets by chance, from an address of a client
	Stranger             // logins from an address of no client
	Forged               // logins of a client whose Message-Authenticator is wrong
	Unknown              // right logins of a client, of names that nobody has
	Guess                // right logins of a client, of people's names, with wrong codes
)

// kinds are their names.
func kinds() [5]string { return [...]string{"garbage", "stranger", "forged", "unknown", "guess"} }

// String returns its name.
func (k Kind) String() string { return kinds()[k] }

// Parse returns the kind with a name.
func Parse(name string) (Kind, error) {
	for k, known := range kinds() {
		if name == known {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("there is no flood %q: it is one of %v", name, kinds())
}

// refusable reports whether a server may say no to it, and need not be silent.
func (k Kind) refusable() bool { return k == Unknown || k == Guess }

// poolSize is how many packets of a kind there are, where they need not differ.
const poolSize = 1024

const packetRoom = 256

// people are whose names are sent with guesses.
type people struct {
	roster    *roster.Roster
	generator *roster.Generator
	unix      int64 // the time that the guesses are wrong at
}

// maker makes packets of one kind.
type maker struct {
	kind          Kind
	people        people // of guesses
	codec         *packet.Codec
	random        *rand.ChaCha8
	pool          [][]byte
	next          int
	name          [24]byte
	code          [8]byte
	login         packet.Login
	authenticator [16]byte
}

func newMaker(k Kind, r *roster.Roster, secret []byte, seed [32]byte) *maker {
	m := &maker{kind: k, people: people{roster: r}, codec: packet.NewCodec(secret), random: rand.NewChaCha8(seed)}
	if k == Guess {
		m.people.generator = roster.NewGenerator()
	}
	if k.refusable() { // a server that has answered a packet would do so again, and no more
		return m
	}
	m.pool = make([][]byte, poolSize)
	for i := range m.pool {
		m.pool[i] = m.invent(make([]byte, 0, packetRoom))
	}
	return m
}

// packet returns the next packet; room is for one that is made anew.
func (m *maker) packet(room []byte) []byte {
	if m.pool == nil {
		return m.invent(room)
	}
	m.next = (m.next + 1) % len(m.pool)
	return m.pool[m.next]
}

// invent appends a packet to b.
func (m *maker) invent(b []byte) []byte {
	n := m.random.Uint64()
	if m.kind == Garbage {
		for range 1 + n%200 {
			b = append(b, byte(m.random.Uint64()))
		}
		return b
	}
	binary.LittleEndian.PutUint64(m.authenticator[:], m.random.Uint64())
	binary.LittleEndian.PutUint64(m.authenticator[8:], n)
	m.login.Name = append(m.name[:0], "nobody-"...)
	for range 12 {
		m.login.Name = append(m.login.Name, 'a'+byte(n%16))
		n /= 16
	}
	m.login.Password, m.login.CallingStation = m.login.Name[7:13], m.login.Name
	if m.kind == Guess {
		m.guess()
	}
	at := len(b)
	b, err := m.codec.Request(b, byte(n), &m.authenticator, &m.login)
	if err != nil { // the name has 19 octets
		panic(err)
	}
	if m.kind == Forged {
		b[at+packet.HeaderLength+2] ^= 1
	}
	return b
}

// guess puts the name of somebody into the login, and a code that is not hers. It comes from a place where she never was.
func (m *maker) guess() {
	p := &m.people
	t := p.roster.Any(m.random.Uint64(), p.unix)
	m.login.Name, m.login.Password = p.roster.Name(t.Device), p.roster.Guess(m.code[:0], p.generator, t, m.random.Uint64())
}
