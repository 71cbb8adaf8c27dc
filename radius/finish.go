package radius

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/overload"
	"otpgate/radius/quiet"
)

// recordBudget bounds the writing of a required audit trail. It is apart from the budget of the
// attempts, because that one ran out is worth recording too.
const recordBudget = 500 * time.Millisecond

// sentTogether is how many replies leave at a time. Gateways go on while the others are sealed, so that what they send
// next is there for the next batch; a system call for each would cost more than that gains.
const sentTogether = 16

// finish is the last stage: what was decided is recorded, counted, logged, sealed and sent, in
// this order, so that nobody is let in without a trace.
func (s *Server) finish(ctx context.Context, decided []*attempt) {
	if len(decided) == 0 {
		return
	}
	now := s.now()
	for _, a := range decided {
		a.total = now.Sub(a.arrived)
	}
	d, _ := s.desks.Get().(*desk)
	if d == nil {
		d = new(desk)
	}
	s.record(ctx, decided, d)
	whole := true
	for _, a := range decided {
		if way, ok := s.finishOne(ctx, a, now, &d.line); ok {
			d.answers = append(d.answers, way)
		}
		if whole && len(d.answers) == sentTogether {
			whole = s.sendOff(d) // what is not taken is waited for, the rest in one piece
		}
	}
	s.sendOff(d)
	s.over(decided...)
	d.clear()
	s.desks.Put(d)
}

// desk is room for what a batch is made into at the end. Nobody keeps it: the trail copies events, a
// transport octets.
type desk struct {
	events  []audit.Event
	answers []answer
	line    logLine // of one after the other
}

func (d *desk) clear() {
	clear(d.events)
	clear(d.line[:])
	d.events = d.events[:0]
}

// sendOff sends what is ready, and reports whether all of it left.
func (s *Server) sendOff(d *desk) (whole bool) {
	whole = s.send(d.answers)
	clear(d.answers)
	d.answers = d.answers[:0]
	return whole
}

// record writes the audit trail of all of them in one call, and turns every decision into a drop
// when a required trail cannot be written. What gets there too late is corrected.
func (s *Server) record(ctx context.Context, decided []*attempt, d *desk) {
	written := false
	var err error
	defer func() {
		if written {
			return
		}
		if p := recover(); p != nil {
			s.panicked(p)
		}
		for _, a := range decided {
			a.refuse(otp.ReasonAuditUnavailable)
		}
		s.correct(err, decided, d)
	}()
	stages := make([]audit.Stages, len(decided)) // the trail keeps them
	for i, a := range decided {
		d.events = append(d.events, a.event(s.duplicates.Superseded(a.way.entry), &stages[i]))
	}
	ctx, cancel := context.WithTimeout(ctx, recordBudget)
	defer cancel()
	err = s.audit.Record(ctx, d.events...)
	if err != nil && s.quiet.audit.Allow(s.now()) {
		s.logger.Error("audit trail not written, nobody is let in", "error", err,
			"hint", "free the disk of data_dir; audit.required is what makes logins wait for it")
	}
	written = err == nil
}

// correct says in the trail that attempts are dropped of which it may yet say something else.
func (s *Server) correct(err error, dropped []*attempt, d *desk) {
	if err == nil { // it was never asked
		return
	}
	d.events = d.events[:0]
	for _, a := range dropped {
		e := a.event(false, new(audit.Stages))
		e.Detail = "Taken back: what was decided was not on record in time."
		d.events = append(d.events, e)
	}
	audit.Correct(err, d.events...)
}

// finishOne counts and logs one attempt, gives its slot back, and returns its reply if there is
// one to be sent now. A refusal is put where it waits until it is due.
func (s *Server) finishOne(ctx context.Context, a *attempt, at time.Time, line *logLine) (way answer, now bool) {
	defer s.leave(a)
	a.share.Note(a.decision == otp.Reject && a.reason != otp.ReasonCodeUsed) // which was a right one
	sealed := false
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			now = false
		}
		if !sealed {
			s.duplicates.Forget(a.way.entry)
			a.way.via.ended()
		}
	}()
	s.metrics.observe(a)
	a.log(ctx, s.logger, at, line)
	s.complain(a)
	s.instruct(a)
	code, ok := codeFor(a.decision)
	if !ok {
		return way, false
	}
	attributes, err := a.attributes()
	if err == nil {
		way.octets, err = a.client.seal(a.request.key, a.request.octets, code, attributes)
	}
	if err != nil {
		s.unsealed(a, err)
		return way, false
	}
	octets := way.octets
	way = a.way
	way.octets = octets
	if a.decision == otp.Accept || a.reason == otp.ReasonCodeAsked || s.options.RejectDelay == 0 {
		sealed = true
		return way, true
	}
	due := a.due(s.now(), s.options.RejectDelay)
	if sealed = s.refusals.Add(due, way); !sealed {
		s.metrics.unsent[unsentTooMany].Inc()
	}
	return way, false
}

// due is when a refusal leaves: so long after the arrival, or, for one that took longer, at the next
// multiple of that. How long a peer took to say no must not be told by the time.
func (a *attempt) due(now time.Time, delay time.Duration) time.Time {
	spent := max(now.Sub(a.arrived), 0)
	return a.arrived.Add((spent + delay) / delay * delay)
}

// unsealed says, once a minute, that there is no reply to what was decided.
func (s *Server) unsealed(a *attempt, err error) {
	s.metrics.unsent[unsentUnsealed].Inc()
	if s.quiet.sealing.Allow(s.now()) {
		s.logger.Error("reply not sent", "attempt", a.hexID(), "client", a.client.Name, "error", err,
			"hint", "grant fewer or shorter attributes under reply")
	}
}

// complain says at Error, once a minute, that a peer is missing: a person must act.
func (s *Server) complain(a *attempt) {
	switch {
	case a.err == nil:
	case a.reason == otp.ReasonDirectoryUnavailable && s.quiet.directory.Allow(s.now()):
		s.logger.Error("directory unavailable, attempts get no reply", "attempt", a.hexID(), "error", a.err)
	case a.reason == otp.ReasonStoreUnavailable && s.quiet.store.Allow(s.now()):
		s.logger.Error("store unavailable, attempts get no reply", "attempt", a.hexID(), "error", a.err)
	case a.reason == otp.ReasonReplyInvalid && s.quiet.sealing.Allow(s.now()):
		s.logger.Error("attributes cannot be made, the account is refused", "attempt", a.hexID(), "client", a.client.Name, "error", a.err,
			"hint", "what the directory has does not fit the attribute under reply: see otpgate explain --reply")
	case a.reason == otp.ReasonTimeout && s.quiet.timeout.Allow(s.now()):
		s.logger.Error("attempts run out of time and get no reply", "attempt", a.hexID(), "error", a.err)
	}
}

// instruct says, once a minute for each client, what to set at a gateway whose logins cannot pass as
// they are.
func (s *Server) instruct(a *attempt) {
	c := a.client
	switch {
	case a.reason == otp.ReasonProofUnsupported && c.unsupported.Allow(s.now()):
		s.logger.Warn("the gateway logs in by a method that is refused", "client", c.Name, "attempt", a.hexID(),
			"method", a.request.method(), "login", c.Login.String(), "hint", a.request.instead())
	case a.reason == otp.ReasonProofGarbled && c.garbled.Allow(s.now()):
		s.logger.Warn("what is typed does not decrypt, and counts against no account", "client", c.Name, "attempt", a.hexID(),
			"hint", "the shared secret here differs from the one on the gateway, or somebody forges its address; "+
				"with Message-Authenticator such packets are discarded")
	}
}

// missPlace says, once a day for each client, that attempts do not tell where they come from.
func (s *Server) missPlace(c *client, source netip.Addr, now time.Time) {
	if !c.placeless.After(quiet.Reminder, now) {
		return
	}
	s.logger.Warn("attempts carry no Calling-Station-Id", "client", c.Name, "source", source.String(),
		"hint", "set the gateway to send the address of who logs in as Calling-Station-Id (31), without a port; "+
			"until then a stranger's wrong codes for an account make its owner wait there too")
}

// abandon gives up an attempt that nobody has decided, as if there had been no slot for it.
func (s *Server) abandon(a *attempt, why discard) {
	now := s.now()
	s.duplicates.Forget(a.way.entry)
	s.discard(why, a.client, a.source, now)
	a.room.Leave(a.share, overload.NotDone, now)
	s.slots.Release()
	a.way.via.ended()
	s.over(a)
}

// send remembers replies for duplicates and lets them go, except those whose request was
// superseded. It reports whether all of those left.
func (s *Server) send(answers []answer) (whole bool) {
	whole = true
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
		}
	}()
	// In place: what is ready comes to the front, and what leaves another way follows it.
	for len(answers) > 0 {
		via, ready, rest := answers[0].via, 0, 0
		for i := range answers {
			switch a := answers[i]; {
			case a.via != via:
				answers[ready+rest] = a
				rest++
			case s.duplicates.Answer(a.entry, a.octets):
				answers[ready+rest] = answers[ready]
				answers[ready] = a
				ready++
			default:
				s.metrics.unsent[unsentSuperseded].Inc()
				via.ended()
			}
		}
		whole = s.transmit(via, answers[:ready]) && whole
		answers = answers[ready : ready+rest]
	}
	return whole
}

// transmit writes replies that leave the same way, and reports whether all of them left.
func (s *Server) transmit(via transport, answers []answer) (whole bool) {
	if len(answers) == 0 {
		return true
	}
	n, err := via.write(answers)
	for range answers {
		via.ended()
	}
	if n == 0 {
		return true
	}
	s.metrics.unsent[unsentFailed].Add(float64(n))
	if s.quiet.writing.Allow(s.now()) {
		s.logger.Error("write failed", "address", via.String(), "error", err)
	}
	return false
}

// discard counts a datagram that gets no answer. What it logs is limited per client, and in all
// for addresses that belong to none.
func (s *Server) discard(why discard, c *client, source netip.Addr, now time.Time) {
	s.metrics.discarded[why].Inc()
	say, name, limit := s.logger.Warn, "", s.quiet.strangers.Of(source)
	switch {
	case c == nil:
	case why == discardOverload, why == discardTooSlow, why == discardStale:
		say, name, limit = s.logger.Error, c.Name, &s.quiet.overload
	case why == discardUnsigned:
		name, limit = c.Name, &c.unsigned
	default:
		name, limit = c.Name, &c.discarding
	}
	if !limit.Allow(now) {
		return
	}
	say("packet discarded", "client", name, "source", source.String(), "reason", why.String(),
		"under_way", s.prompt.Load(), "waiting_for_peers", s.waiting.Load(), "hint", why.hint())
}

// recovering is deferred around whatever decides attempts: a panic drops them, and is counted.
func (s *Server) recovering(as ...*attempt) {
	p := recover()
	if p == nil {
		return
	}
	for _, a := range as {
		a.refuse(otp.ReasonPanic)
	}
	s.panicked(p)
}

// panicked counts a panic and writes where it was, once a minute. What a panic says may hold what
// somebody typed, unless it comes from the Go runtime.
func (s *Server) panicked(p any) {
	s.metrics.panics.Inc()
	if !s.quiet.panics.Allow(s.now()) {
		return
	}
	text := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		text = err.Error()
	}
	s.logger.Error("panic recovered", "panic", text, "stack", string(debug.Stack()))
}
