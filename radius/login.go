package radius

import (
	"context"

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
	if !a.readable() {
		return n
	}
	account, ok := s.accounts.FindKnown(a.name, a.client.Directories)
	if !ok {
		return nextWait
	}
	if !s.admitAccount(a, account) {
		return n
	}
	if a.walked, ok = s.codes.WalkKnown(a.proof); !ok {
		return nextWait
	}
	switch matches := len(a.walked.Matches); {
	case matches > 1, matches == 1 && a.client.Login == LoginPasswordCode:
		return nextWait
	}
	return nextClaim
}

// readable decides against packets that cannot be a login whoever sends them.
func (a *attempt) readable() bool {
	if a.request.state {
		// Nothing was ever asked that a State could be the answer to (RFC 2865 section 5.24).
		a.refuse(otp.ReasonStateUnknown)
		return false
	}
	name, err := directory.DecodeName(a.request.name)
	if err != nil {
		a.refuse(otp.ReasonNameInvalid)
		return false
	}
	a.name = name
	if len(a.request.password) == 0 {
		a.refuse(otp.ReasonNoProof)
		return false
	}
	return true
}

// admitAccount decides whether the account may use this client at all, and makes its proof.
func (s *Server) admitAccount(a *attempt, account *directory.Account) bool {
	a.account = account
	switch {
	case account.Disabled:
		a.refuse(otp.ReasonAccountDisabled)
		return false
	case len(a.client.AllowGroups) > 0 && !account.InAny(a.client.AllowGroups):
		a.refuse(otp.ReasonNotInGroup)
		return false
	}
	r := &a.request
	a.proof = otp.Attempt{
		Account: account.ID,
		Proof:   a.typed(),
		Token:   s.codes.Token([]byte(a.client.Name), r.packet.Authenticator[:], r.name, r.password),
		Place:   s.codes.Place(a.client.Name, r.station),
	}
	return true
}

func (a *attempt) typed() otp.Proof {
	if a.client.Login == LoginPasswordCode {
		return codeAtEnd(a.request.password)
	}
	return otp.TypedCode(a.request.password)
}

// claim settles what prepare has walked, all in one call. What the node knew too little about
// leaves for a goroutine of its own; the others are returned.
func (s *Server) claim(ctx context.Context, walked []*attempt) (decided []*attempt) {
	budget, cancel := s.budget(ctx, walked[0])
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
			a.conclude(budget, results[i])
			decided = append(decided, a)
		}
	}
	return decided
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
	if a.client.Login == LoginPasswordCode {
		s.askPassword(ctx, a)
		return
	}
	start := s.now()
	result := s.codes.Verify(ctx, a.proof)
	a.inStore += s.now().Sub(start)
	a.conclude(ctx, result)
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

// budget bounds everything that is done for an attempt, counted from its arrival.
func (s *Server) budget(ctx context.Context, a *attempt) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.options.Budget-s.now().Sub(a.arrived))
}
