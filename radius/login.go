package radius

import (
	"context"
	"sync/atomic"

	"otpgate/directory"
	"otpgate/otp"
)

// login takes everything that one system call has received through the stages: what can be
// decided or walked without asking anybody stays together and is claimed in one call; what must
// wait for a peer leaves for a goroutine of its own, so that nobody waits for somebody else's
// directory.
func (s *Server) login(ctx context.Context, batch []*attempt) {
	var decided, walked []*attempt
	for _, a := range batch {
		switch s.prepare(ctx, a) {
		case nextFinish:
			decided = append(decided, a)
		case nextClaim:
			walked = append(walked, a)
		case nextWait:
			if s.wait(a) {
				s.work.Go(func() { s.loginAlone(ctx, a) })
			}
		}
	}
	s.finish(ctx, decided)
	if len(walked) > 0 {
		s.finish(ctx, s.claim(ctx, walked))
	}
}

// next is where an attempt goes from the first stage.
type next uint8

const (
	nextFinish next = iota // it is decided
	nextClaim              // complete: only the claim is missing
	nextWait               // a peer has to be asked
)

// prepare is the first stage. It is arithmetic on what the node knows, and never blocks.
func (s *Server) prepare(ctx context.Context, a *attempt) (n next) {
	defer s.recovering(a)
	n = nextFinish
	if !s.readable(a) || a.request.state && !a.askedBefore() {
		return n
	}
	account, ok := s.accounts.FindKnown(a.name, a.client.Directories)
	if !ok {
		return nextWait
	}
	if !s.admitAccount(a, account) {
		return n
	}
	if a.method == byPasswordFirst || a.method == byPassword {
		return nextWait
	}
	walked, ok := s.codes.WalkKnown(a.walked.Attempt)
	if !ok {
		return nextWait
	}
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
	name, ok := a.client.Charset.read(r.name)
	if ok {
		var err error
		a.name, err = directory.DecodeName(name)
		ok = err == nil
	}
	switch {
	case !ok:
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
	p.Place = s.codes.Place(c.Name, r.station)
	if r.state {
		// The gateway need not send Calling-Station-Id again.
		p.Place = a.asked.Place
		p.Challenge = otp.Challenged{ID: a.asked.ID, Tries: challengeTries}
	}
	if a.inGrace() {
		// Another packet of the same login, which is what the grace is for, gets the first answer. The
		// place is client and station, also of the packet with State that leaves the station out.
		p.Token = s.codes.Token([]byte("grace"), c.octets, []byte(p.Account), p.Proof.Octets(), p.Place[:])
		p.Lifetime = c.FailoverGrace
		return
	}
	p.Token = s.codes.Token(c.octets, r.packet.Authenticator[:], r.name, p.Proof.Octets())
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
	budget, cancel := s.budget(ctx, walked...)
	defer cancel()
	results := s.settle(budget, walked)
	for i, a := range walked {
		switch {
		case results == nil: // settle has panicked
			decided = append(decided, a)
		case results[i].Stale:
			if s.wait(a) {
				s.work.Go(func() { s.loginAlone(ctx, a) })
			}
		default:
			s.concluded(budget, a, results[i])
			decided = append(decided, a)
		}
	}
	return decided
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
	walked := make([]otp.Walked, len(as))
	for i, a := range as {
		walked[i] = a.walked
	}
	start := s.now()
	answered := s.codes.Settle(ctx, walked)
	spent := s.now().Sub(start)
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
	defer s.waiting.Add(-1)
	budget, cancel := s.budget(ctx, a)
	s.ask(budget, a)
	cancel()
	s.finish(ctx, []*attempt{a})
}

// ask decides one attempt, and may take as long as ctx allows.
func (s *Server) ask(ctx context.Context, a *attempt) {
	defer s.recovering(a)
	if a.account == nil {
		account, err := s.find(ctx, a)
		if err != nil {
			a.fail(ctx, reasonOf(err), err)
			return
		}
		if !s.admitAccount(a, account) {
			return
		}
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

func (s *Server) find(ctx context.Context, a *attempt) (*directory.Account, error) {
	start := s.now()
	account, err := s.accounts.Find(ctx, a.name, a.client.Directories)
	a.inDirectory += s.now().Sub(start)
	if err == nil && account == nil {
		err = directory.ErrUnavailable
	}
	return account, err
}

// budget bounds everything that is done for attempts, counted from their arrival: by the gateway that
// gives up first.
func (s *Server) budget(ctx context.Context, as ...*attempt) (context.Context, context.CancelFunc) {
	left, now := s.options.Budget, s.now()
	for _, a := range as {
		limit := s.options.Budget
		if c := a.client.Timeout; c > 0 {
			limit = min(limit, c*5/6) // what comes later meets the gateway's next try
		}
		left = min(left, limit-now.Sub(a.arrived))
	}
	return context.WithTimeout(ctx, left)
}

// slots bounds what is in flight. The last eighth is for those who go first.
type slots struct {
	taken atomic.Int64
	most  int64
}

func (s *slots) take(first bool) bool {
	most := s.most
	if !first {
		most -= most / 8
	}
	if s.taken.Add(1) > most {
		s.taken.Add(-1)
		return false
	}
	return true
}

func (s *slots) release() { s.taken.Add(-1) }

// wait reports whether one more attempt may wait for a peer. Fewer may than there are slots: a
// directory that hangs must not keep those out who need no directory. One that may not is given up.
func (s *Server) wait(a *attempt) bool {
	if s.waiting.Add(1) <= int64(max(s.options.MaxInFlight/2, 1)) {
		return true
	}
	s.waiting.Add(-1)
	s.abandon(a)
	return false
}
