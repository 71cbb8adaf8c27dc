package gateway

import (
	crand "crypto/rand"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/port"
	"otpgate/cmd/radload/roster"
)

// identifiers is how many requests one source port can have outstanding (RFC 2865 section 3).
const identifiers = 256

// requestRoom is what a request of ours needs at most: name and NAS-Identifier of 64 octets, a password of
// 128, a State of 253, Calling-Station-Id.
const requestRoom = 640

// rememberedRequests is how many requests a slot had before whose answers are judged when they come: while most
// Identifiers wait for a server that is away, the others are used again at once.
const rememberedRequests = 8

// condition is what became of the request in a slot.
type condition uint8

const (
	unused   condition = iota
	waiting            // for its answer
	answered           // and remembered, until its Identifier is needed again
	lost               // given up, and remembered as long
)

// fate is a request, and what became of it.
type fate struct {
	authenticator [16]byte // Request Authenticator
	condition     condition
	tries         uint8
	answers       uint8
	code          byte   // of the first answer
	answer        uint64 // sum of its octets
	login         login
}

// slot is one Identifier of a lane.
type slot struct {
	fate      // of the request that has it
	request   []byte
	old       [rememberedRequests]fate // of the requests before
	olds      int                      // how many there were, in all
	sent, due int64
}

// ring is the Identifiers that are free, the longest unused one first.
type ring struct {
	ids         [identifiers]byte
	head, count int
}

func (r *ring) push(id byte) {
	r.ids[(r.head+r.count)%identifiers] = id
	r.count++
}

func (r *ring) pop() byte {
	id := r.ids[r.head]
	r.head = (r.head + 1) % identifiers
	r.count--
	return id
}

// lane is a source port for each server, and what is outstanding from there.
type lane struct {
	run   *run
	conns []port.Port // by server
	home  uint8       // the server that logins begin at, unless they do at all in turn

	mu        sync.Mutex
	codec     *packet.Codec
	generator *roster.Generator
	random    *rand.ChaCha8
	scratch   scratch
	slots     [identifiers]slot
	free      ring
	earliest  int64 // no slot is due before
	out       [][]port.Message
	staged    []int // messages of out, by server
	owed      int   // logins of a closed loop that are to follow those that are over
	waiting   int   // of them, for which no Identifier was free

	warmup, measured Tally
	times            Times
	accepted         []roster.Turn // that are to be replayed afterwards
	mistakes         [len(kindNames)][]Mistake
}

func newLane(r *run, conns []port.Port) *lane {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	n := &lane{
		run: r, conns: conns, codec: packet.NewCodec(r.options.Secret), generator: roster.NewGenerator(),
		random: rand.NewChaCha8(seed), earliest: math.MaxInt64,
		out: make([][]port.Message, len(conns)), staged: make([]int, len(conns)),
	}
	for i := range n.out {
		n.out[i] = port.Messages(port.BatchSize, 0)
	}
	room := make([]byte, identifiers*requestRoom)
	for i := range n.slots {
		n.slots[i].request = room[i*requestRoom : i*requestRoom : (i+1)*requestRoom]
		n.free.push(byte(i))
	}
	return n
}

// outstanding is how many requests wait for an answer.
func (n *lane) outstanding() int { return identifiers - n.free.count }

// tally is where a login, or what belongs to its packets, is counted.
func (n *lane) tally(l *login) *Tally {
	if l.measured {
		return &n.measured
	}
	return &n.warmup
}

// authenticator returns a new Request Authenticator (RFC 2865 section 3), until the next call.
func (n *lane) authenticator() *[16]byte {
	a := &n.scratch.authenticator
	binary.LittleEndian.PutUint64(a[:], n.random.Uint64())
	binary.LittleEndian.PutUint64(a[8:], n.random.Uint64())
	return a
}

// chance reports true for this share of all calls.
func (n *lane) chance(share float64) bool {
	return share > 0 && float64(n.random.Uint64()>>11)/(1<<53) < share
}
