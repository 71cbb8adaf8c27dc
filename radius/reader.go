package radius

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"

	"otpgate/radius/duplicates"
)

// readPause is how long a reader waits after an error that is not its end.
const readPause = 10 * time.Millisecond

// reader sorts what one transport has brought. Every packet ends in exactly one of five counters:
// discarded, duplicates, Status-Server, attempts, accounting. It is for one goroutine.
type reader struct {
	*Server
	takes    service
	attempts []*attempt
	reports  []*report
	answers  []answer // to packets that need no work; reused
	current  arrival  // what is being sorted; reused, so that a stranger's packet costs no memory
	broken   bool     // a packet over TLS was not right, which ends its connection
}

// arrival is a packet with what its transport knows of it.
type arrival struct {
	octets []byte
	client *client // nil: nobody's
	source netip.AddrPort
	local  netip.AddrPort
	tls    bool
	way    answer // everything of the reply but its octets
	now    time.Time
}

// read receives batches from a socket until the server shuts down.
func (s *Server) read(ctx context.Context, k *socket) error {
	r := &reader{Server: s, takes: k.takes}
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
		r.receive(k, in[:n])
		r.start(ctx)
	}
}

// receive sorts what one system call has read. The buffers may be used again when it returns.
func (r *reader) receive(k *socket, in []ipv4.Message) {
	now := r.now()
	r.metrics.receivedUDP.Add(float64(len(in)))
	for i := range in {
		r.datagram(k, &in[i], now)
	}
	r.answer()
}

// datagram sorts one of them.
func (r *reader) datagram(k *socket, m *ipv4.Message, now time.Time) {
	r.take(k, func(p *arrival) bool { return r.addressed(k, m, now, p) })
}

// addressed fills in a packet with where it came from; false when it came from nowhere that is known.
func (r *reader) addressed(k *socket, m *ipv4.Message, now time.Time, p *arrival) bool {
	peer, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		r.discard(discardUnknownClient, nil, netip.Addr{}, now)
		return false
	}
	from := peer.AddrPort()
	p.octets, p.source, p.now = m.Buffers[0][:m.N], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), now
	p.client = r.table.Load().find(p.source.Addr())
	if p.client != nil { // a stranger costs no more than this
		local, control := k.arrivedAt(m)
		p.local = netip.AddrPortFrom(local, k.local.Port())
		p.way = answer{via: k, peer: peer, control: control}
	}
	return true
}

// start works on what was received, and forgets it.
func (r *reader) start(ctx context.Context) {
	attempts, reports := r.attempts, r.reports
	r.attempts, r.reports = nil, nil
	if len(attempts) > 0 {
		r.work.Go(func() { r.login(ctx, attempts) })
	}
	if len(reports) > 0 {
		r.work.Go(func() { r.account(ctx, reports) })
	}
}

// answer sends what could be answered at once.
func (r *reader) answer() {
	answers := r.answers
	for len(answers) > 0 { // all of one transport but in tests
		n := 1
		for n < len(answers) && answers[n].via == answers[0].via {
			n++
		}
		r.transmit(answers[0].via, answers[:n])
		answers = answers[n:]
	}
	clear(r.answers)
	r.answers = r.answers[:0]
}

// take takes one packet through steps 1 to 5 of the design: it becomes an attempt or a report, which
// has a slot and an entry among the duplicates, or an answer, or there is nothing left to do.
func (r *reader) take(via transport, next func(*arrival) bool) {
	kept := false
	defer func() {
		if p := recover(); p != nil {
			r.panicked(p)
			r.metrics.discarded[discardPanic].Inc()
			kept = false
		}
		if !kept {
			via.ended()
		}
	}()
	r.current = arrival{}
	if next(&r.current) {
		kept = r.packet(&r.current)
	}
}

// packet is false when nothing more will be done about p.
func (r *reader) packet(p *arrival) (kept bool) {
	if why, ok := precheck(p.octets, r.takes); !ok {
		r.discard(why, p.client, p.source.Addr(), p.now)
		return false
	}
	if p.client == nil {
		r.discard(discardUnknownClient, nil, p.source.Addr(), p.now)
		return false
	}
	in, why, ok := admit(p.octets, p.client, p.tls)
	if !ok {
		r.broken = r.broken || why.breaks()
		r.discard(why, p.client, p.source.Addr(), p.now)
		return false
	}
	if in.octets[0] == codeStatusServer {
		r.status(in, p)
		return true
	}
	return r.begin(in, p)
}

// begin makes an attempt or a report of an authentic packet, unless it is a duplicate or there is
// no slot for it.
func (r *reader) begin(in admitted, p *arrival) (kept bool) {
	entry, known, reply := r.duplicates.Begin(duplicates.KeyOf(p.source, p.local, in.octets[0], in.octets[1]), in.octets, p.now)
	switch known {
	case duplicates.Answered:
		p.way.octets = reply
		r.answers = append(r.answers, p.way)
		r.metrics.resent.Inc()
		return true
	case duplicates.InFlight:
		r.metrics.inFlight.Inc()
		return false
	}
	p.way.entry = entry
	var asked *opened
	taken, first := &r.slots, false
	switch {
	case in.octets[0] == codeAccountingRequest:
		taken, first = &r.reporting, true
	case len(in.state) > 0:
		// Who was asked for a code has given a password already, and goes first (RFC 5080 section 2.2.3).
		asked = new(opened)
		asked.State, asked.err = r.states.Open(in.state, p.client.Name)
		first = asked.err == nil
	}
	if !taken.take(first) {
		r.duplicates.Forget(entry)
		r.discard(discardOverload, p.client, p.source.Addr(), p.now)
		return false
	}
	defer func() {
		if !kept { // also when the codec panics
			taken.release()
			r.duplicates.Forget(entry)
		}
	}()
	if in.octets[0] == codeAccountingRequest {
		return r.beginReport(in, p)
	}
	request, err := readRequest(in, p.client)
	if err != nil {
		r.discard(discardMalformedAttributes, p.client, p.source.Addr(), p.now)
		return false
	}
	if request.station == "" && !request.state {
		r.missPlace(p.client, p.source.Addr(), p.now)
	}
	a := newAttempt(p.client, request, p.source.Addr(), p.way, p.now)
	a.asked = asked
	r.attempts = append(r.attempts, a)
	return true
}

// status answers Status-Server, also when there is no slot: it is how a proxy finds out whether
// we are there (RFC 5997 section 4). It changes nothing, so it is not remembered either.
func (r *reader) status(in admitted, p *arrival) {
	var err error
	if p.way.octets, err = p.client.sealStatus(in, r.takes); err != nil {
		panic(err) // the octets are well-formed, and the reply is no longer than they are
	}
	r.answers = append(r.answers, p.way)
	r.metrics.statusServer.Inc()
}

// Bounds of what a reader throws away before it begins. The kernel keeps some 11,000 small
// datagrams in a receive buffer of the size that we ask for.
const (
	maxBacklog  = 1 << 14
	backlogTime = 500 * time.Millisecond
)

// discardBacklog throws away what has come in between New and Serve, when that was so long that
// nobody may wait for the answer any more: it would use up the step of somebody who has long been
// asked for another code. The queue does not tell how old a datagram is, so those that are not old
// yet go too: gateways send again what they still want.
func (s *Server) discardBacklog(k *socket, in []ipv4.Message) {
	begun := s.now()
	if begun.Sub(s.bound) < s.options.Budget {
		return
	}
	discarded := 0
	for discarded < maxBacklog && s.now().Sub(begun) < backlogTime {
		n, err := k.ReadBatch(in, syscall.MSG_DONTWAIT)
		discarded += max(n, 0)
		if err != nil || n < len(in) {
			break // an error that stays is for the reader to find
		}
	}
	if discarded == 0 {
		return
	}
	s.metrics.discarded[discardBeforeStart].Add(float64(discarded))
	s.metrics.receivedUDP.Add(float64(discarded))
	s.logger.Warn("packets discarded", "address", k.local.String(), "packets", discarded,
		"reason", discardBeforeStart.String(), "hint", discardBeforeStart.hint())
}
