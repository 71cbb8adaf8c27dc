package flood

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/port"
	"otpgate/cmd/radload/roster"
	"otpgate/radius/pace"
)

// Bounds of a flood.
const (
	MaxRate     = 2e6
	MaxDuration = 24 * time.Hour
)

// ports is how many source ports a flood comes from.
const ports = 16

// longestNap is how long it takes at most to see that the flood is over.
const longestNap = 20 * time.Millisecond

// Options say what is sent where.
type Options struct {
	Kind     Kind
	Server   netip.AddrPort
	Source   netip.Addr     // the zero one: what the system takes
	Secret   []byte         // of the client; strangers have none and take another
	Roster   *roster.Roster // of whom codes are guessed; nil with other kinds
	Rate     float64        // packets per second
	Duration time.Duration
	Now      func() time.Time
}

// A Result is what came of a flood.
type Result struct {
	Kind       Kind
	Sent       uint64
	Answered   uint64 // datagrams that came back
	Accepted   uint64 // of these, Access-Accept
	SendErrors uint64
	Unreached  uint64
	Elapsed    time.Duration
}

// Right reports whether the server has treated it as it should.
func (r *Result) Right() bool {
	return r.Accepted == 0 && (r.Kind.refusable() || r.Answered == 0)
}

// stream is a flood that runs.
type stream struct {
	options                       Options
	ports                         []port.Port
	maker                         *maker
	together                      bool // a batch is sent as one message
	one                           [1]port.Message
	whole                         [][]byte
	answered, accepted, unreached atomic.Uint64
}

// Run floods a server until the time is over, or ctx.
func Run(ctx context.Context, o Options) (*Result, error) {
	switch {
	case !(o.Rate > 0 && o.Rate <= MaxRate):
		return nil, fmt.Errorf("the rate of a flood is not up to %.0f packets per second", float64(MaxRate))
	case o.Duration <= 0 || o.Duration > MaxDuration:
		return nil, fmt.Errorf("the duration of a flood is not up to %s", MaxDuration)
	case (o.Kind == Guess) != (o.Roster != nil):
		return nil, errors.New("codes are guessed of people, and nothing else is")
	}
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	if o.Kind == Stranger {
		o.Secret = seed[:16]
	}
	s := &stream{options: o, maker: newMaker(o.Kind, o.Roster, o.Secret, seed), together: true}
	defer func() {
		for _, p := range s.ports {
			_ = p.Close()
		}
	}()
	var readers sync.WaitGroup
	for range ports {
		p, together, err := port.DialSegmented(ctx, o.Source, o.Server, s.maker.size())
		if err != nil {
			return nil, err
		}
		s.together = s.together && together
		s.ports = append(s.ports, p)
		readers.Go(func() { s.read(p) })
	}
	r := &Result{Kind: o.Kind}
	s.send(ctx, r)
	for _, p := range s.ports {
		_ = p.Close()
	}
	readers.Wait()
	r.Answered, r.Accepted, r.Unreached = s.answered.Load(), s.accepted.Load(), r.Unreached+s.unreached.Load()
	return r, nil
}

// send sends what is due, a batch a port.
func (s *stream) send(ctx context.Context, r *Result) {
	nap := pace.New()
	defer nap.Close()
	ms := port.Messages(port.BatchSize, packetRoom)
	room := make([][]byte, len(ms))
	for i := range ms {
		room[i] = ms[i].Buffers[0][:0]
	}
	began, made := s.options.Now(), 0.0
	for turn := 0; ctx.Err() == nil; turn++ {
		r.Elapsed = s.options.Now().Sub(began)
		if r.Elapsed >= s.options.Duration {
			return
		}
		due := min(int(r.Elapsed.Seconds()*s.options.Rate-made), len(ms))
		if due < 1 {
			nap.For(min(time.Duration((made+1)/s.options.Rate*float64(time.Second))-r.Elapsed, longestNap))
			continue
		}
		s.maker.people.unix = began.Add(r.Elapsed).Unix()
		for i := range due {
			ms[i].Buffers[0] = s.maker.packet(room[i])
		}
		made += float64(due)
		s.write(s.ports[turn%len(s.ports)], ms[:due], r)
	}
}

func (s *stream) write(p port.Port, ms []port.Message, r *Result) {
	if s.writeTogether(p, ms, r) {
		return
	}
	for failed := 0; len(ms) > 0; {
		sent, err := p.WriteBatch(ms, 0)
		r.Sent += uint64(max(sent, 0))
		ms = ms[max(sent, 0):]
		switch {
		case err == nil:
		case port.Unreached(err) && failed < 2:
			r.Unreached++
			failed++
		default:
			r.SendErrors++
			ms = ms[min(1, len(ms)):]
		}
	}
}

// read counts what comes back until the port is closed.
func (s *stream) read(p port.Port) {
	ms := port.Messages(port.BatchSize/4, packet.MaxLength)
	for {
		got, err := p.ReadBatch(ms, 0)
		for i := range max(got, 0) {
			s.answered.Add(1)
			if ms[i].N > 0 && ms[i].Buffers[0][0] == packet.AccessAccept {
				s.accepted.Add(1)
			}
		}
		switch {
		case port.Unreached(err):
			s.unreached.Add(1)
		case errors.Is(err, net.ErrClosed), err != nil:
			return
		}
	}
}
