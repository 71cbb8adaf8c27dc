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
			n.judge(ms[i].Buffers[0][:ms[i].N], server, now)
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

// judge counts what octets are that came from a server.
func (n *lane) judge(octets []byte, server int, now int64) {
	if len(octets) < packet.HeaderLength {
		n.measured.Wrong[packet.Malformed]++
		return
	}
	s := &n.slots[octets[1]]
	if s.condition == unused {
		n.measured.Unsettled++
		return
	}
	a, fault := n.codec.Check(s.request, octets, n.run.options.Signature)
	if fault == packet.Unauthentic {
		if f := n.earlier(s, octets); f != nil {
			n.behind(f, octets, now)
			return
		}
	}
	t := n.tally(&s.login)
	if fault != packet.Right {
		t.Wrong[fault]++
		return
	}
	if s.condition != waiting {
		n.behind(&s.fate, octets, now)
		return
	}
	n.answered(&s.fate, octets)
	t.Answered++
	if s.login.measured {
		n.times.Exchange.Record(since(now, s.sent))
	}
	n.free.push(octets[1])
	n.decide(s.login, a, server, now)
}

// earlier is the request that had the slot before and that octets answer; nil when there is none.
func (n *lane) earlier(s *slot, octets []byte) *fate {
	for i := range min(s.olds, rememberedRequests) {
		if f := &s.old[i]; n.codec.Authentic(f.authenticator[:], octets) {
			return f
		}
	}
	return nil
}

// answered notes the first answer to a request.
func (n *lane) answered(f *fate, octets []byte) {
	f.condition, f.code, f.answer = answered, octets[0], maphash.Bytes(n.run.seed, octets)
	f.answers++
}

// behind takes an answer to a request that is over: one more, or the first to one that was given up.
func (n *lane) behind(f *fate, octets []byte, now int64) {
	if f.condition == lost {
		n.answered(f, octets)
		n.tally(&f.login).Late++
		n.reconsider(f, now)
		return
	}
	f.answers++
	n.repeated(f, octets)
}

// reconsider counts a login that was lost as what its server has made of it after all, where that is wrong: nobody got in
// at this gateway, which had given up, but a server that accepts what it must not does so whenever it answers. A replay
// has a verdict then, too.
func (n *lane) reconsider(f *fate, now int64) {
	o, l, t := &n.run.options, &f.login, n.tally(&f.login)
	passed, refused := f.code == packet.AccessAccept, f.code == packet.AccessReject
	switch {
	case l.replay && passed:
		t.ReplayLost--
		t.ReplayAccepted++
		n.mistake(ReplayAccepted, l, now)
	case l.replay && refused:
		t.ReplayLost--
		t.ReplayRefused++
	case passed && (!l.mayPass(o) || l.asksPassword(o)):
		t.Lost--
		t.WronglyAccepted++
		n.mistake(WrongAccepted, l, now)
	case refused && l.mayPass(o) && !o.Roster.Repeats(n.generator, l.turn):
		t.Lost--
		t.WronglyRefused++
		n.mistake(RightRefused, l, now)
	}
}

// repeated counts a second answer.
func (n *lane) repeated(f *fate, octets []byte) {
	t := n.tally(&f.login)
	switch {
	case octets[0] != f.code:
		t.Opposite++
	case maphash.Bytes(n.run.seed, octets) != f.answer:
		t.Different++
	default:
		t.Same++
	}
	if f.answers > f.tries {
		t.Unasked++
	}
}

// decide takes the first answer to a login's request, from a server.
func (n *lane) decide(l login, a packet.Answer, server int, now int64) {
	o := &n.run.options
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
		n.replay(&l, server, now)
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

// replay sends a code once more that a server has accepted, or notes it.
func (n *lane) replay(l *login, server int, now int64) {
	o := &n.run.options
	switch {
	case o.Replay == ReplayNever, l.turn.Again:
	case o.Replay == ReplayAfterwards && len(n.accepted) < cap(n.accepted):
		n.accepted = append(n.accepted, l.turn)
	case o.Replay == ReplayAtOnce && n.free.count > 0:
		n.begin(login{turn: l.turn, intended: now, home: uint8((server + 1) % len(n.conns)), measured: l.measured, replay: true}, nil, now)
	default:
		n.tally(l).ReplayLeftOut++
	}
}
