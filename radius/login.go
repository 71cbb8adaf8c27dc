package radius

import (
	"context"
	"errors"

	"otpgate/directory"
	"otpgate/otp"
)

// maxWalks is how often one attempt is walked again because what the node knew was old.
const maxWalks = 3

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

// askPassword is the login of password and code: the code is checked first, then the directory is
// asked about the password, then the step is claimed. A wrong code reaches no directory.
func (s *Server) askPassword(ctx context.Context, a *attempt) {
	var asked passwords
	for range maxWalks {
		start := s.now()
		walked, err := s.codes.Walk(ctx, a.proof)
		a.inStore += s.now().Sub(start)
		if err != nil {
			a.fail(ctx, otp.ReasonStoreUnavailable, err)
			return
		}
		if !s.settlePassword(ctx, a, walked, &asked) {
			return
		}
	}
	a.fail(ctx, otp.ReasonStoreUnavailable, errors.New("radius: the account's devices changed during every walk"))
}

// settlePassword decides an attempt of password and code, or reports that what the node knew of
// the account is old. More than one match is a coincidence of digits: then each is tried.
func (s *Server) settlePassword(ctx context.Context, a *attempt, walked otp.Walked, asked *passwords) (stale bool) {
	if len(walked.Matches) == 0 {
		return s.settleOne(ctx, a, walked, nil)
	}
	for i := range walked.Matches {
		one := walked
		one.Matches = walked.Matches[i : i+1]
		refused := s.checkPassword(ctx, a, one.Matches[0].Digits, asked)
		if refused != nil && !errors.Is(refused, directory.ErrPasswordWrong) && !errors.Is(refused, directory.ErrPasswordEmpty) {
			a.fail(ctx, otp.ReasonDirectoryUnavailable, refused)
			return false
		}
		if s.settleOne(ctx, a, one, refused) {
			return true
		}
		if a.decision != otp.Reject {
			return false
		}
	}
	return false
}

// settleOne claims the step of a walk, or counts what was wrong with the attempt: the code when
// there is no match, the password when it was refused.
func (s *Server) settleOne(ctx context.Context, a *attempt, walked otp.Walked, refused error) (stale bool) {
	start := s.now()
	var r otp.Result
	if refused != nil {
		r = s.codes.WrongPassword(ctx, walked)
		r.OK = false
	} else {
		r = s.codes.Settle(ctx, []otp.Walked{walked})[0]
	}
	a.inStore += s.now().Sub(start)
	if r.Stale {
		return true
	}
	if r.Reason == otp.ReasonPasswordWrong && errors.Is(refused, directory.ErrPasswordEmpty) {
		r.Reason = otp.ReasonPasswordEmpty
	}
	a.conclude(ctx, r)
	return false
}

// passwords remembers what the directory said during one attempt, so that walking again does not
// ask again: a directory counts wrong passwords too.
type passwords struct {
	digits int
	asked  bool
	err    error
}

// checkPassword asks the directory about what stands before a code of that many digits. An empty
// password never gets there (RFC 4513 section 5.1.2).
func (s *Server) checkPassword(ctx context.Context, a *attempt, digits int, asked *passwords) error {
	if asked.asked && asked.digits == digits {
		return asked.err
	}
	password := codeAtEnd(a.request.password).password(digits)
	if password == "" {
		return directory.ErrPasswordEmpty
	}
	start := s.now()
	err := s.accounts.Authenticate(ctx, a.account, password)
	a.inDirectory += s.now().Sub(start)
	*asked = passwords{digits: digits, asked: true, err: err}
	return err
}

// budget bounds everything that is done for an attempt, counted from its arrival.
func (s *Server) budget(ctx context.Context, a *attempt) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.options.Budget-s.now().Sub(a.arrived))
}

// wait takes one of the places of attempts that wait for a peer. There are fewer of them than
// slots: a directory that hangs must not keep those out who need no directory. Without a place
// the attempt is given up, and this is false.
func (s *Server) wait(a *attempt) bool {
	if s.waiting.Add(1) <= int64(max(s.options.MaxInFlight/2, 1)) {
		return true
	}
	s.waiting.Add(-1)
	s.abandon(a)
	return false
}
