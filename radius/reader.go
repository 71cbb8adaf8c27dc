package radius

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/radius/duplicates"
)

// readPause is how long a reader waits after an error that is not its end.
const readPause = 10 * time.Millisecond

// reader is one goroutine that reads one socket. Every datagram that it receives ends in exactly
// one of four counters: discarded, duplicates, Status-Server, attempts.
type reader struct {
	*Server
	socket  *socket
	answers []answer // to packets of the batch that need no login; reused
}

// read receives batches until the server shuts down.
func (s *Server) read(ctx context.Context, k *socket) error {
	r := &reader{Server: s, socket: k}
	in := k.messages()
	s.discardBacklog(k, in)
	for {
		n, err := k.ReadBatch(in, 0)
		if err != nil {
			select {
			case <-s.closing: // which put the read deadline into the past
				return nil
			case <-time.After(readPause):
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			if s.quiet.reading.Allow(s.now()) {
				s.logger.Error("read failed", "address", k.local.String(), "error", err)
			}
			continue
		}
		if batch := r.receive(in[:n]); len(batch) > 0 {
			s.work.Go(func() { s.login(ctx, batch) })
		}
	}
}

// receive sorts what one system call has read, answers what can be answered at once, and returns
// the attempts. The buffers may be used again when it returns.
func (r *reader) receive(in []ipv4.Message) (batch []*attempt) {
	now := r.now()
	r.answers = r.answers[:0]
	r.metrics.received.Add(float64(len(in)))
	for i := range in {
		if a := r.datagram(&in[i], now); a != nil {
			batch = append(batch, a)
		}
	}
	r.transmit(r.socket, r.answers)
	clear(r.answers)
	return batch
}

// datagram takes one packet through steps 1 to 5 of the design. It returns an attempt, which has
// a slot and an entry among the duplicates, or nil when there is nothing left to do.
func (r *reader) datagram(m *ipv4.Message, now time.Time) (a *attempt) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked(p)
			r.metrics.discarded[discardPanic].Inc()
			a = nil
		}
	}()
	b := m.Buffers[0][:m.N]
	peer, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		r.discard(discardUnknownClient, nil, netip.Addr{}, now)
		return nil
	}
	from := peer.AddrPort()
	source := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	c := r.table.Load().find(source.Addr())
	if why, ok := precheck(b); !ok {
		r.discard(why, c, source.Addr(), now)
		return nil
	}
	if c == nil {
		r.discard(discardUnknownClient, nil, source.Addr(), now)
		return nil
	}
	octets, why := admit(b, c)
	if octets == nil {
		r.discard(why, c, source.Addr(), now)
		return nil
	}
	local, control := r.socket.arrivedAt(m)
	way := answer{socket: r.socket, peer: peer, control: control}
	if octets[0] == codeStatusServer {
		r.status(octets, c, way)
		return nil
	}
	key := duplicates.KeyOf(source, netip.AddrPortFrom(local, r.socket.local.Port()), octets[1])
	return r.begin(octets, c, key, way, now)
}

// begin makes an attempt of an authentic Access-Request, unless it is a duplicate or there is no
// slot for it.
func (r *reader) begin(octets []byte, c *client, key duplicates.Key, way answer, now time.Time) *attempt {
	entry, known, reply := r.duplicates.Begin(key, octets, now)
	switch known {
	case duplicates.Answered:
		way.octets = reply
		r.answers = append(r.answers, way)
		r.metrics.resent.Inc()
		return nil
	case duplicates.InFlight:
		r.metrics.inFlight.Inc()
		return nil
	}
	source := key.Source()
	if !r.slots.take() {
		r.duplicates.Forget(entry)
		r.discard(discardOverload, c, source, now)
		return nil
	}
	begun := false
	defer func() {
		if !begun { // also when the codec panics
			r.slots.release()
			r.duplicates.Forget(entry)
		}
	}()
	request, err := readRequest(octets, c.Secret)
	if err != nil {
		r.discard(discardMalformedAttributes, c, source, now)
		return nil
	}
	if request.station == "" {
		r.missPlace(c, source, now)
	}
	begun = true
	way.entry = entry
	return newAttempt(c, request, source, way, now)
}

// status answers Status-Server, also when there is no slot: it is how a proxy finds out whether
// we are there (RFC 5997 section 4). It changes nothing, so it is not remembered either.
func (r *reader) status(octets []byte, c *client, way answer) {
	var err error
	if way.octets, err = c.sealStatus(octets); err != nil {
		panic(err) // the octets are well-formed, and the reply is no longer than they are
	}
	r.answers = append(r.answers, way)
	r.metrics.statusServer.Inc()
}
