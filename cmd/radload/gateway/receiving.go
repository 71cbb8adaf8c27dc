package gateway

import (
	"errors"
	"hash/maphash"
	"net"

	"otpgate/cmd/radload/packet"
	"otpgate/cmd/radload/port"
)

// read judges what comes from a server until its port is closed.
func (n *lane) read(server int) error {
	size := port.BatchSize
	if len(n.run.lanes) > 16 {
		size /= 4 // many ports have few datagrams each
	}
	ms := port.Messages(size, packet.MaxLength+1) // one more than a packet may have
	for {
		got, err := n.conns[server].ReadBatch(ms, 0)
		now := n.run.since()
		n.mu.Lock()
		for i := range max(got, 0) {
			n.judge(ms[i].Buffers[0][:ms[i].N], now)
		}
		n.refill(now)
		n.flush()
		if port.Unreached(err) { // nobody listens there at the moment
			n.measured.Unreached++
			err = nil
		}
		n.mu.Unlock()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// judge counts what octets are.
func (n *lane) judge(octets []byte, now int64) {
	if len(octets) < packet.HeaderLength {
		n.measured.Wrong[packet.Malformed]++
		return
	}
	s := &n.slots[octets[1]]
	if s.condition == unused {
		n.measured.Unsettled++
		return
	}
	t := n.tally(&s.login)
	a, fault := n.codec.Check(s.request, octets, n.run.options.Signature)
	switch {
	case fault == packet.Unauthentic && n.ofEarlier(s, octets):
		t.Late++
		return
	case fault != packet.Right:
		t.Wrong[fault]++
		return
	}
	s.answers++
	if s.condition == answered {
		n.repeated(s, octets, t)
		return
	}
	late := s.condition == lost
	s.condition, s.code, s.answer = answered, a.Code, maphash.Bytes(n.run.seed, octets)
	if late {
		t.Late++
		return
	}
	t.Answered++
	if s.login.measured {
		n.times.Exchange.Record(since(now, s.sent))
	}
	n.free.push(octets[1])
	n.decide(s, a, now)
}

// ofEarlier is whether octets answer a request that had the slot before.
func (n *lane) ofEarlier(s *slot, octets []byte) bool {
	for i := range min(s.olds, rememberedRequests) {
		if n.codec.Authentic(s.old[i][:], octets) {
			return true
		}
	}
	return false
}

// repeated counts a second answer.
func (n *lane) repeated(s *slot, octets []byte, t *Tally) {
	switch {
	case octets[0] != s.code:
		t.Opposite++
	case maphash.Bytes(n.run.seed, octets) != s.answer:
		t.Different++
	default:
		t.Same++
	}
	if s.answers > s.tries {
		t.Unasked++
	}
}

// decide takes a request's first answer.
func (n *lane) decide(s *slot, a packet.Answer, now int64) {
	o, l := &n.run.options, s.login
	if a.Code == packet.AccessChallenge && l.asksPassword(o) && len(a.State) > 0 {
		l.second = true
		n.begin(l, a.State, now) // the Identifier that has just come free is there for it
		return
	}
	t := n.tally(&l)
	if now < n.run.end.Load() && now >= int64(o.Warmup) && !l.replay {
		n.measured.Decided++
	}
	passed := a.Code == packet.AccessAccept
	if l.measured {
		if passed {
			n.times.Accepted.Record(since(now, l.intended))
		} else {
			n.times.Refused.Record(since(now, l.intended))
		}
	}
	switch {
	case l.replay && passed:
		t.ReplayAccepted++
		n.mistake(ReplayAccepted, &l, now)
	case l.replay:
		t.ReplayRefused++
	case passed && l.mayPass(o) && !l.asksPassword(o):
		t.Accepted++
		n.run.got(now)
		n.replay(&l, now)
	case passed:
		t.WronglyAccepted++
		n.mistake(WrongAccepted, &l, now)
	case l.mayPass(o) && o.Roster.Repeats(n.generator, l.turn):
		t.Refused++
		t.Repeated++
	case l.mayPass(o):
		t.WronglyRefused++
		n.mistake(RightRefused, &l, now)
	default:
		t.Refused++
	}
	n.followed(&l)
}

// replay sends an accepted code once more, or notes it.
func (n *lane) replay(l *login, now int64) {
	o := &n.run.options
	switch {
	case o.Replay == ReplayNever, l.turn.Again:
	case o.Replay == ReplayAfterwards && len(n.accepted) < cap(n.accepted):
		n.accepted = append(n.accepted, l.turn)
	case o.Replay == ReplayAtOnce && n.free.count > 0:
		n.begin(login{turn: l.turn, intended: now, home: uint8((int(l.home) + 1) % len(n.conns)), measured: l.measured, replay: true}, nil, now)
	default:
		n.tally(l).ReplayLeftOut++
	}
}
