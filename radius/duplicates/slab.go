package duplicates

import "bytes"

// none is the place of no entry.
const none = -1

// shortReply is how many octets of a reply an entry has room for: an Access-Accept without attributes has
// 38, one with an attribute or two more fits.
const shortReply = 64

// state is what has become of a request.
type state uint8

const (
	inFlight   state = iota
	answered         // there is a reply
	superseded       // its answer must not be sent any more
)

// entry is one remembered request. Its fields belong to the mutex of its cache. As a rule it holds no
// pointer to anything, and there are a quarter of a million of them: the collector need not follow any.
type entry struct {
	key           Key
	authenticator [16]byte
	sum           uint64 // of all octets
	expires       int64  // see Cache.age
	older, newer  int32
	generation    uint32 // rises with each use
	state         state
	length        uint8 // of a reply in short
	short         [shortReply]byte
	long          []byte // a reply that does not fit
}

// answer keeps a reply, and returns how much memory that takes beside the entry.
func (e *entry) answer(reply []byte) int {
	e.state = answered
	if len(reply) > shortReply {
		e.long = reply
		return len(reply)
	}
	e.length = uint8(copy(e.short[:], reply))
	return 0
}

// reply is what was answered, if anything was.
func (e *entry) reply() ([]byte, bool) {
	switch {
	case e.state != answered:
		return nil, false
	case e.long != nil:
		return e.long, true
	}
	return bytes.Clone(e.short[:e.length]), true // the entry may be used for another one before it is sent
}

// slab has entries in pieces, so that it grows without copying them. It never shrinks: it is as large as
// the most that were remembered at a time.
type slab struct {
	pieces [][]entry
	free   int32 // the first of those that are free, which are linked by newer
}

const pieceLength = 512

func (s *slab) at(i int32) *entry { return &s.pieces[i/pieceLength][i%pieceLength] }

// take returns an entry that is as good as new.
func (s *slab) take() int32 {
	if s.free == none {
		piece, from := make([]entry, pieceLength), int32(len(s.pieces)*pieceLength)
		for i := range piece {
			piece[i].newer = from + int32(i) + 1
		}
		piece[pieceLength-1].newer = none
		s.pieces, s.free = append(s.pieces, piece), from
	}
	i := s.free
	e := s.at(i)
	s.free = e.newer
	e.generation++
	if e.generation == 0 { // which is nobody's
		e.generation = 1
	}
	e.state, e.length, e.long = inFlight, 0, nil
	return i
}

// give takes one back. Nobody's handle is good for it any more.
func (s *slab) give(i int32) {
	e := s.at(i)
	e.generation++
	e.long = nil
	e.newer, s.free = s.free, i
}
