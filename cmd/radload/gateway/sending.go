package gateway

import (
	"math"

	"otpgate/cmd/radload/port"
)

// begin takes an Identifier for a login's packet, of which there must be a free one, and stages it.
func (n *lane) begin(l login, state []byte, now int64) {
	o := &n.run.options
	id := n.free.pop()
	s := &n.slots[id]
	fields := n.fields(&l, state) // before the slot is touched: state may lie in the buffer of an answer
	if s.condition != unused {
		s.old[s.olds%rememberedRequests] = s.fate
		s.olds++
	}
	authenticator := n.authenticator()
	request, err := n.codec.Request(s.request[:0], id, authenticator, fields)
	if err != nil { // the options were checked: only a State can be too long, and it is an attribute's value
		panic(err)
	}
	s.request = request
	s.fate = fate{authenticator: *authenticator, condition: waiting, tries: 1, login: l}
	s.sent, s.due = now, now+int64(o.Timeout)
	n.earliest = min(n.earliest, s.due)
	t := n.tally(&l)
	t.Sent++
	switch {
	case l.second:
	case l.replay:
		t.Replayed++
	default:
		t.Begun++
	}
	n.stage(int(l.home), request)
}

// stage has octets sent to a server at the next flush at the latest. They must stay as they are until then.
func (n *lane) stage(server int, octets []byte) {
	if n.staged[server] == port.BatchSize {
		n.write(server)
	}
	n.out[server][n.staged[server]].Buffers[0] = octets
	n.staged[server]++
}

// flush sends all that is staged.
func (n *lane) flush() {
	for server, count := range n.staged {
		if count > 0 {
			n.write(server)
		}
	}
}

func (n *lane) write(server int) {
	ms := n.out[server][:n.staged[server]]
	n.staged[server] = 0
	for failed := 0; len(ms) > 0; {
		sent, err := n.conns[server].WriteBatch(ms, 0)
		ms = ms[max(sent, 0):]
		if err == nil {
			continue
		}
		// A connected port reports here what became of earlier datagrams; then nothing was sent yet.
		if port.Unreached(err) && failed < 2 {
			n.measured.Unreached++
			failed++
			continue
		}
		n.measured.SendErrors++ // it is as good as lost on the way, and sent again in time
		if len(ms) > 0 {
			ms = ms[1:]
		}
	}
}

// again sends what has not been answered in time once more, and gives up what was sent often enough. In a
// closed loop others take its place.
func (n *lane) again(now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.earliest > now {
		return
	}
	o := &n.run.options
	n.earliest = math.MaxInt64
	for i := range n.slots {
		s := &n.slots[i]
		if s.condition != waiting {
			continue
		}
		switch {
		case s.due > now:
		case int(s.tries) < o.Tries:
			server := (int(s.login.home) + int(s.tries)) % len(n.conns)
			s.tries++
			s.due = now + int64(o.Timeout)
			n.tally(&s.login).Resent++
			n.stage(server, s.request)
		default:
			s.condition = lost
			n.free.push(byte(i))
			n.lose(&s.login)
			continue
		}
		n.earliest = min(n.earliest, s.due)
	}
	n.refill(now)
	n.flush()
}

// lose counts what was given up.
func (n *lane) lose(l *login) {
	t := n.tally(l)
	if l.replay {
		t.ReplayLost++
	} else {
		t.Lost++
	}
	n.followed(l)
}

// first has one more login be outstanding, of a closed loop.
func (n *lane) first() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.owed++
	n.refill(n.run.since())
	n.flush()
}

// followed has another login follow one that is over, in a closed loop.
func (n *lane) followed(l *login) {
	if n.run.options.Outstanding > 0 && !l.replay {
		n.owed++
	}
}

// refill begins what is owed. Whatever finds no free Identifier, because replays have them, has the next one.
func (n *lane) refill(now int64) {
	for ; n.owed > 0 && n.free.count > 0; n.owed-- {
		l, ok := n.run.next(n, now)
		if !ok {
			return
		}
		n.begin(l, nil, now)
	}
	n.measured.Waited += uint64(max(n.owed-n.waiting, 0))
	n.waiting = n.owed
}
