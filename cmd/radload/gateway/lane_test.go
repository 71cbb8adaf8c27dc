package gateway

import (
	"crypto/hmac"
	"crypto/md5"
	"hash"
	"hash/maphash"
	"testing"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/port"
	"otpgate/cmd/radload/roster"
)

// sink is a port that takes everything and keeps the last datagram.
type sink struct{ last []byte }

func (s *sink) ReadBatch([]port.Message, int) (int, error) { return 0, nil }
func (s *sink) Close() error                               { return nil }

func (s *sink) WriteBatch(ms []port.Message, _ int) (int, error) {
	s.last = ms[len(ms)-1].Buffers[0]
	return len(ms), nil
}

// oneLane is a lane without a socket.
func oneLane(t testing.TB, method Method) (*lane, *sink) {
	t.Helper()
	r := &run{
		options: Options{
			Secret: []byte(secret), Roster: people(t, 10, roster.Options{Reuse: true, Password: "pw-{name}"}), Method: method,
			Rate: 1, Timeout: time.Hour, Tries: 3, ReuseAccepted: true, Now: time.Now,
		},
		nas: []byte("nas"), seed: maphash.MakeSeed(), began: time.Now(),
	}
	r.end.Store(int64(time.Hour))
	s := new(sink)
	return newLane(r, []port.Port{s}), s
}

// TestNothingIsAllocated logs in from the turn to the decision.
func TestNothingIsAllocated(t *testing.T) {
	for _, method := range []Method{Code, PasswordAndCode, PasswordThenCode} {
		n, s := oneLane(t, method)
		r := newResponder()
		turn := func() {
			now := n.run.since()
			l, ok := n.run.next(n, now)
			if !ok {
				t.Fatal("nobody's turn")
			}
			n.begin(l, nil, now)
			n.flush()
			if method == PasswordThenCode {
				n.judge(r.reply(s.last, packet.AccessChallenge), 0, now)
				n.flush()
			}
			n.judge(r.reply(s.last, packet.AccessAccept), 0, now)
		}
		turn()
		if allocations := testing.AllocsPerRun(100, turn); allocations != 0 {
			t.Errorf("method %d: a login allocates %v times", method, allocations)
		}
		if n.measured.Accepted != 102 || n.measured.WronglySigned() != 0 {
			t.Errorf("%+v", n.measured)
		}
		if allocations := testing.AllocsPerRun(100, func() { n.earliest = 0; n.again(n.run.since()) }); allocations != 0 {
			t.Errorf("looking for what is due allocates %v times", allocations)
		}
	}
}

// responder makes answers without allocating.
type responder struct {
	plain, keyed hash.Hash
	room         [128]byte
}

func newResponder() *responder {
	return &responder{plain: md5.New(), keyed: hmac.New(md5.New, []byte(secret))}
}

func (r *responder) reply(request []byte, code byte) []byte {
	b := append(r.room[:0], code, request[1], 0, 47)
	b = append(b, request[4:20]...)
	b = append(b, 80, 18)
	b = append(b, make([]byte, 16)...)
	b = append(b, 24, 9)
	b = append(b, "a state"...)
	r.keyed.Reset()
	r.keyed.Write(b)
	r.keyed.Sum(b[22:22])
	r.plain.Reset()
	r.plain.Write(b)
	r.plain.Write(append(b[len(b):], secret...))
	r.plain.Sum(b[4:4])
	return b
}

// TestIdentifiersRest takes all Identifiers in turn.
func TestIdentifiersRest(t *testing.T) {
	n, s := oneLane(t, Code)
	for i := range 3 * identifiers {
		l, _ := n.run.next(n, n.run.since())
		n.begin(l, nil, 0)
		n.flush()
		if s.last[1] != byte(i) {
			t.Fatalf("login %d has Identifier %d", i, s.last[1])
		}
		n.judge(newResponder().reply(s.last, packet.AccessAccept), 0, 0)
	}
	if n.outstanding() != 0 {
		t.Errorf("%d outstanding", n.outstanding())
	}
}

func BenchmarkLogin(b *testing.B) {
	n, s := oneLane(b, Code)
	r := newResponder()
	b.ReportAllocs()
	for b.Loop() {
		l, _ := n.run.next(n, 0)
		n.begin(l, nil, 0)
		n.flush()
		n.judge(r.reply(s.last, packet.AccessAccept), 0, 0)
	}
}
