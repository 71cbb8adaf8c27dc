package radius

import (
	"context"
	"slices"
	"time"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/radius/overload"
)

// login takes a batch through the stages: what can be decided or walked without asking anybody stays together and is
// claimed in one call; what must wait for a peer leaves for a goroutine of its own, so that nobody waits for somebody
// else's directory. The batch is over then.
func (s *Server) login(ctx context.Context, b *batch) {
	defer s.endBatch(b)
	for s.look(ctx, b); b.talk.more(); {
		s.look(ctx, b)
	}
	s.seek(ctx, b.unknown)
	s.loadBeside(ctx, b.unloaded)
	if len(b.walked) == 0 {
		close(b.talk.claimed)
		s.finish(ctx, b.decided)
		return
	}
	s.finishBeside(ctx, b.decided)
	b.decided = nil
	decided := s.claim(ctx, b.walked)
	close(b.talk.claimed)
	s.finish(ctx, decided)
}

// finishBeside has those finished that need no claim, beside the others, which must not wait for the trail because of them.
func (s *Server) finishBeside(ctx context.Context, decided []*attempt) {
	if len(decided) > 0 {
		s.run(func() { s.finish(ctx, decided) })
	}
}

// look takes those that came through the first stage.
func (s *Server) look(ctx context.Context, b *batch) {
	s.recall(b)
	for i, a := range b.came {
		switch s.prepare(ctx, a, b.known[i]) {
		case nextFinish:
			b.decided = append(b.decided, a)
		case nextClaim:
			b.walked = append(b.walked, a)
		case nextSeek:
			if s.wait(a) {
				b.unknown = append(b.unknown, a)
			}
		case nextLoad:
			if s.wait(a) {
				b.unloaded = append(b.unloaded, a)
			}
		case nextWait:
			if s.wait(a) {
				s.run(func() { s.loginAlone(ctx, a) })
			}
		}
	}
	b.forget()
}

// recall finds who of those that came is known, all in one call, and says of whom codes will be compared.
func (s *Server) recall(b *batch) {
	b.known = slices.Grow(b.known, len(b.came))[:len(b.came)]
	defer func() {
		if p := recover(); p != nil { // then they are asked for
			s.panicked(p)
		}
	}()
	for _, a := range b.came {
		a.decodeFirst()
		b.names = append(b.names, directory.Question{Name: a.name, Allowed: a.client.Directories})
	}
	s.accounts.FindAllKnown(b.names, b.known)
	for _, account := range b.known {
		if account != nil {
			b.ids = append(b.ids, account.ID)
		}
	}
	s.codes.Expect(b.ids)
}

// seek has the directories asked for the accounts of attempts that wait for that. What a search has answered goes
// on as a batch; see found.
func (s *Server) seek(ctx context.Context, unknown []*attempt) {
	if len(unknown) == 0 {
		return
	}
	now := s.now()
	questions := make([]directory.Question, len(unknown))
	for i, a := range unknown {
		a.sought = now
		left := s.patience(a.client) - now.Sub(a.arrived)
		questions[i] = directory.Question{Name: a.name, Allowed: a.client.Directories, Patience: left, Of: a}
	}
	s.work.Add(len(unknown))
	s.accounts.FindAll(ctx, questions, seeker{s, ctx})
}

// seeker is who the directories answer.
type seeker struct {
	*Server
	base context.Context //nolint:containedctx // of all attempts
}

// Found implements [directory.Asker].
func (s seeker) Found(answers []directory.Answer) {
	s.crew.Go(func() {
		defer s.work.Add(-len(answers))
		s.found(s.base, answers)
	})
}

// found takes attempts that the directories have answered together through the other stages.
func (s *Server) found(ctx context.Context, answers []directory.Answer) {
	var decided, unloaded []*attempt
	walked := make([]*attempt, 0, len(answers))
	for i := range answers {
		a, _ := answers[i].Of.(*attempt)
		switch s.answered(ctx, a, &answers[i]) {
		case nextFinish:
			decided = append(decided, a)
		case nextClaim:
			walked = append(walked, a)
		case nextWait:
			s.run(func() { s.loginAlone(ctx, a) })
		case nextLoad:
			unloaded = append(unloaded, a)
		}
	}
	s.loadBeside(ctx, unloaded)
	if len(walked) == 0 {
		s.finish(ctx, decided)
		return
	}
	s.finishBeside(ctx, decided)
	s.finish(ctx, s.claim(ctx, walked))
}

// loadBeside is load, and holds nobody up.
func (s *Server) loadBeside(ctx context.Context, unloaded []*attempt) {
	if len(unloaded) > 0 {
		s.run(func() { s.load(ctx, unloaded) })
	}
}

// load has the devices of accounts loaded together, and claims what was walked with them. Who was not told of
// them in the time that the first to give up has goes on alone.
func (s *Server) load(ctx context.Context, unloaded []*attempt) {
	unloaded, decided := s.inTime(unloaded)
	if len(unloaded) > 0 {
		walked, errs := s.walkAll(ctx, unloaded)
		ready := unloaded[:0] // in place
		for i, a := range unloaded {
			switch {
			case walked == nil: // it has panicked
				decided = append(decided, a)
			case errs[i] == nil && a.compared(walked[i]) == nextClaim:
				ready = append(ready, a)
			default:
				s.run(func() { s.loginAlone(ctx, a) })
			}
		}
		unloaded = ready
	}
	s.finish(ctx, decided)
	s.finish(ctx, s.claim(ctx, unloaded))
}

// walkAll asks the verifier about all of them, and is nil when it panics.
func (s *Server) walkAll(ctx context.Context, as []*attempt) (walked []otp.Walked, errs []error) {
	defer s.recovering(as...)
	budget, cancel := s.budget(ctx, as...)
	defer cancel()
	proofs := make([]otp.Attempt, len(as))
	for i, a := range as {
		proofs[i] = a.walked.Attempt
	}
	start := s.now()
	found, failed := s.codes.WalkAll(budget, proofs)
	spent := s.now().Sub(start)
	for _, a := range as {
		a.inStore += spent
	}
	if len(found) != len(as) || len(failed) != len(as) {
		panic("radius: WalkAll answered another number of attempts than it was asked about")
	}
	return found, failed
}

// answered is the first stage of an attempt whose account the directory was asked for.
func (s *Server) answered(ctx context.Context, a *attempt, answer *directory.Answer) (n next) {
	defer s.recovering(a)
	n = nextFinish
	now := s.now()
	a.inDirectory += now.Sub(a.sought)
	err := answer.Err
	if err == nil && answer.Account == nil {
		err = directory.ErrUnavailable
	}
	switch {
	case ctx.Err() != nil || now.Sub(a.arrived) >= s.patience(a.client):
		a.err = err
		a.refuse(otp.ReasonTimeout)
	case err != nil:
		a.fail(ctx, reasonOf(err), err)
	default:
		n = s.admitted(a, answer.Account)
	}
	return n
}

// next is where an attempt goes from the first stage.
type next uint8

const (
	nextFinish next = iota // it is decided
	nextClaim              // complete: only the claim is missing
	nextSeek               // the account is not known here
	nextLoad               // complete but for the account's devices
	nextWait               // a peer has to be asked
)

// prepare is the first stage. It is arithmetic on what the node knows, and never blocks; where an account has many
// devices, or rules name groups by DN, it may take milliseconds.
func (s *Server) prepare(ctx context.Context, a *attempt, account *directory.Account) (n next) {
	defer s.recovering(a)
	n = nextFinish
	if !s.readable(a) || a.request.state && !a.askedBefore() {
		return n
	}
	if account == nil {
		return nextSeek
	}
	return s.admitted(a, account)
}

// admitted is the first stage from when the account is known.
func (s *Server) admitted(a *attempt, account *directory.Account) next {
	if !s.admitAccount(a, account) {
		return nextFinish
	}
	if a.method == byPasswordFirst || a.method == byPassword {
		return nextWait
	}
	walked, ok := s.codes.WalkKnown(a.walked.Attempt)
	if !ok {
		return nextLoad
	}
	return a.compared(walked)
}

// compared is where an attempt goes whose proof was compared with every code.
func (a *attempt) compared(walked otp.Walked) next {
	a.walked = walked
	switch matches := len(a.walked.Matches); {
	case matches > 1, matches == 1 && a.method == byPasswordAndCode:
		return nextWait
	}
	return nextClaim
}

// readable decides against packets that cannot be a login whoever sends them.
func (s *Server) readable(a *attempt) bool {
	r := &a.request
	switch {
	case a.name == "" && !a.decode():
		a.refuse(otp.ReasonNameInvalid)
	case r.garbled:
		a.refuse(otp.ReasonProofGarbled)
	case r.version1, r.eap:
		a.refuse(otp.ReasonProofUnsupported)
	case len(r.password) == 0 && r.response == nil:
		a.refuse(otp.ReasonNoProof)
	default:
		return true
	}
	return false
}

// decode decodes the name; false: it is none.
func (a *attempt) decode() bool {
	name, ok := a.client.Charset.read(a.request.name)
	if !ok {
		return false
	}
	var err error
	a.name, err = directory.DecodeName(name)
	return err == nil
}

// decodeFirst is decode before the attempt's turn comes: a panic is met again then, and nobody else's trouble.
func (a *attempt) decodeFirst() {
	defer func() { _ = recover() }()
	a.decode()
}

// admitAccount decides whether the account may use this client at all, and makes its proof.
func (s *Server) admitAccount(a *attempt, account *directory.Account) bool {
	a.account = account
	why := a.client.forbids(account, a.arrived)
	if why == "" {
		why = s.means(a)
	}
	if why != "" {
		a.refuse(why)
		return false
	}
	if a.client.Reply != nil {
		// Before the claim: a code that cannot be answered must not be used up.
		if a.granted, a.err = a.client.Reply.For(account); a.err != nil {
			a.refuse(otp.ReasonReplyInvalid)
			return false
		}
	}
	s.identify(a)
	return true
}

// identify makes the marks by which the store knows the attempt again.
func (s *Server) identify(a *attempt) {
	r, c, p := &a.request, a.client, &a.walked.Attempt
	p.Account, p.Share, p.Alone = a.account.ID, c.Share, a.method == byPassword
	a.place = [...]string{c.Name, r.station}
	p.Place = s.codes.Place(a.place[:]...)
	if r.state {
		// The gateway need not send Calling-Station-Id again.
		p.Place = a.asked.Place
		p.Challenge = otp.Challenged{ID: a.asked.ID, Tries: challengeTries}
	}
	if a.inGrace() {
		// Another packet of the same login, which is what the grace is for, gets the first answer. The
		// place is client and station, also of the packet with State that leaves the station out.
		a.parts = [...][]byte{[]byte("grace"), c.octets, []byte(p.Account), p.Proof.Octets(), p.Place[:]}
		p.Token = s.codes.Token(a.parts[:]...)
		p.Lifetime = c.FailoverGrace
		return
	}
	p.Token = s.packetToken(a)
}

// packetToken is the mark of the packet and its retransmissions, whatever else may be taken for the same attempt.
func (s *Server) packetToken(a *attempt) otp.Token {
	r := &a.request
	a.parts = [...][]byte{a.client.octets, r.authenticator()[:], r.name, a.walked.Proof.Octets(), nil}
	return s.codes.Token(a.parts[:4]...)
}

// inGrace reports whether another packet may be taken for the same attempt. Responses to a challenge
// of the gateway differ from packet to packet.
func (a *attempt) inGrace() bool {
	claims := a.method == byCode || a.method == byPasswordAndCode // a wrong password counts for each packet
	return claims && a.client.FailoverGrace > 0 && a.request.response == nil
}

// claim settles what prepare has walked, all in one call. What the node knew too little about
// leaves for a goroutine of its own; the others are returned.
func (s *Server) claim(ctx context.Context, walked []*attempt) (decided []*attempt) {
	walked, late := s.inTime(walked)
	if len(walked) == 0 {
		return late
	}
	budget, cancel := s.budget(ctx, walked...)
	defer cancel()
	results := s.settle(budget, walked)
	decided = walked[:0] // in place
	for i, a := range walked {
		switch {
		case results == nil: // settle has panicked
			decided = append(decided, a)
		case results[i].Stale, s.cutShort(budget, a, results[i]):
			if s.wait(a) {
				s.run(func() { s.loginAlone(ctx, a) })
			}
		default:
			s.concluded(budget, a, results[i])
			decided = append(decided, a)
		}
	}
	return append(decided, late...)
}

// cutShort reports whether the claim of one of many was given up because others had less time than it has. Nobody knows
// whether the store has it, which knows the attempt again.
func (s *Server) cutShort(budget context.Context, a *attempt, r otp.Result) bool {
	return budget.Err() != nil && r.Reason == otp.ReasonStoreUnavailable && s.worthIt(a, s.now())
}

// shortest is what part of its patience an attempt must have left to be claimed with others.
const shortest = 16

// inTime decides against those for which a claim would come too late: nobody waits for the answer any more,
// and it would use up the code. All of a batch have the time that the shortest has left, so one that has next to
// none is too late already.
func (s *Server) inTime(walked []*attempt) (left, late []*attempt) {
	now := s.now()
	left = walked[:0] // in place
	for _, a := range walked {
		if s.worthIt(a, now) && !s.superseded(a) {
			left = append(left, a)
			continue
		}
		a.refuse(otp.ReasonTimeout)
		late = append(late, a)
	}
	return left, late
}

// worthIt reports whether there is time for a claim.
func (s *Server) worthIt(a *attempt, now time.Time) bool {
	patience := s.patience(a.client)
	return now.Sub(a.arrived) < patience-patience/shortest
}

// superseded reports whether an attempt that has waited for somebody is not waited for any more, because its gateway has
// sent another request in its place: that one needs the code.
func (s *Server) superseded(a *attempt) bool {
	return a.room == s.waiting && s.duplicates.Superseded(a.way.entry)
}

// concluded takes over what became of the claim of one attempt of many: a panic ends that one.
func (s *Server) concluded(ctx context.Context, a *attempt, r otp.Result) {
	defer s.recovering(a)
	a.conclude(ctx, r)
	s.askAgain(a, r)
}

// settle asks the verifier about all of them, and is nil when it panics.
func (s *Server) settle(ctx context.Context, as []*attempt) (results []otp.Result) {
	defer s.recovering(as...)
	walked, _ := s.claims.Get().(*[]otp.Walked)
	if walked == nil {
		walked = new([]otp.Walked)
	}
	for _, a := range as {
		*walked = append(*walked, a.walked)
	}
	start := s.now()
	answered := s.codes.Settle(ctx, *walked)
	spent := s.now().Sub(start)
	clear(*walked)
	*walked = (*walked)[:0]
	s.claims.Put(walked)
	for _, a := range as {
		a.inStore += spent
	}
	if len(answered) != len(as) {
		panic("radius: Settle answered another number of attempts than it was asked about")
	}
	return answered
}

// loginAlone takes one attempt through the stages that ask peers.
func (s *Server) loginAlone(ctx context.Context, a *attempt) {
	budget, cancel := s.budget(ctx, a)
	s.ask(budget, a)
	cancel()
	s.finish(ctx, []*attempt{a})
}

// ask decides one attempt, and may take as long as ctx allows.
func (s *Server) ask(ctx context.Context, a *attempt) {
	defer s.recovering(a)
	if ctx.Err() != nil || s.superseded(a) {
		a.refuse(otp.ReasonTimeout)
		return
	}
	switch a.method {
	case byPasswordAndCode:
		s.askPassword(ctx, a)
		return
	case byPasswordFirst:
		s.askFirst(ctx, a)
		return
	case byPassword:
		s.askAlone(ctx, a)
		return
	}
	start := s.now()
	result := s.codes.Verify(ctx, a.walked.Attempt)
	a.inStore += s.now().Sub(start)
	a.conclude(ctx, result)
	s.askAgain(a, result)
}

// budget bounds everything that is done for attempts, counted from their arrival: by the gateway that
// gives up first.
func (s *Server) budget(ctx context.Context, as ...*attempt) (context.Context, context.CancelFunc) {
	left, now := s.options.Budget, s.now()
	for _, a := range as {
		left = min(left, s.patience(a.client)-now.Sub(a.arrived))
	}
	return context.WithTimeout(ctx, left)
}

// patience is how long after its arrival a client's attempt is still worth deciding.
func (s *Server) patience(c *client) time.Duration {
	if c.Timeout > 0 {
		return min(s.options.Budget, c.Timeout*5/6) // what comes later meets the gateway's next try
	}
	return s.options.Budget
}

// enter takes the place of one more attempt, or report, or says why there is none.
func (s *Server) enter(p *arrival, reports, first bool) (discard, bool) {
	switch {
	case reports:
		return discardOverload, s.reporting.Take(true)
	case !s.slots.Take(first):
		return discardOverload, false
	}
	v := s.prompt.Enter(&p.client.quick, first, s.patience(p.client), p.now)
	if v != overload.Entered {
		s.slots.Release()
	}
	return turnedAway(v), v == overload.Entered
}

// turnBack gives back what enter took.
func (s *Server) turnBack(p *arrival, reports bool) {
	if reports {
		s.reporting.Release()
		return
	}
	s.prompt.Leave(&p.client.quick, overload.NotDone, p.now)
	s.slots.Release()
}

func turnedAway(v overload.Verdict) discard {
	switch v {
	case overload.Crowded:
		return discardClientShare
	case overload.Slow:
		return discardTooSlow
	}
	return discardOverload
}

// wait reports whether one more attempt may wait for a peer. Fewer may than there are slots: a
// directory that hangs must not keep those out who need no directory. One that may not is given up.
func (s *Server) wait(a *attempt) bool {
	if a.room == s.waiting {
		return true
	}
	now := s.now()
	v := s.waiting.Enter(&a.client.waits, a.request.state, s.patience(a.client), now)
	if v != overload.Entered {
		s.abandon(a, turnedAway(v))
		return false
	}
	a.room.Leave(a.share, now.Sub(a.arrived), now)
	a.room, a.share = s.waiting, &a.client.waits
	return true
}

// leave gives back the places of an attempt.
func (s *Server) leave(a *attempt) {
	now := s.now()
	a.room.Leave(a.share, now.Sub(a.arrived), now)
	s.slots.Release()
}
