package radius

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/radius/challenge"
	"otpgate/radius/posture"
	"otpgate/radius/session"
)

// Defaults of [Options].
const (
	DefaultBudget      = 2500 * time.Millisecond
	DefaultMaxInFlight = 4096
)

// maxRejectDelay is what a gateway can be made to wait before it takes us for dead.
const maxRejectDelay = 10 * time.Second

// Known finds accounts that need not be asked for; *directory.Set does. It MUST NOT block.
type Known interface {
	FindKnown(name string, allowed []string) (*directory.Account, bool)
	// FindAllKnown is FindKnown for many: found[i] is set to the account that questions[i] is about, or to nil.
	FindAllKnown(questions []directory.Question, found []*directory.Account)
}

// Lookups finds accounts; *directory.Set does.
type Lookups interface {
	Known
	// Find MUST return an error that wraps directory.ErrNotFound, ErrAmbiguous or ErrNameInvalid
	// when there is no such account; any other error means that nobody can tell.
	Find(ctx context.Context, name string, allowed []string) (*directory.Account, error)
	// FindAll is Find for many. It MUST NOT block, and MUST answer each question once, when its patience or
	// ctx is over at the latest.
	FindAll(ctx context.Context, questions []directory.Question, asker directory.Asker)
}

// Accounts is what a login wants to know of the directories; *directory.Set is one.
type Accounts interface {
	Lookups
	// Authenticate MUST return nil only when the directory took the password, and an error that
	// wraps directory.ErrPasswordWrong or ErrPasswordEmpty when it refused it.
	Authenticate(ctx context.Context, a *directory.Account, password string) error
}

// Marks makes the marks by which a store knows an attempt again; *otp.Verifier does.
type Marks interface {
	Place(parts ...string) otp.Place
	Token(parts ...[]byte) otp.Token
}

// Walks compares a proof with codes; *otp.Verifier does.
type Walks interface {
	KnownWalks
	Walk(ctx context.Context, a otp.Attempt) (otp.Walked, error)
	// WalkAll is Walk for many, whose devices are loaded together.
	WalkAll(ctx context.Context, as []otp.Attempt) ([]otp.Walked, []error)
}

// KnownWalks compares a proof with codes of devices that are known here; *otp.Verifier does. It MUST NOT block.
type KnownWalks interface {
	// Expect is told of accounts that WalkKnown will be called for.
	Expect(accounts []string)
	// WalkKnown is false when the account's devices are not known here.
	WalkKnown(a otp.Attempt) (otp.Walked, bool)
}

// Claims decides what was walked; *otp.Verifier does.
type Claims interface {
	// Settle MUST NOT keep walked.
	Settle(ctx context.Context, walked []otp.Walked) []otp.Result
	WrongPassword(ctx context.Context, w otp.Walked) otp.Result
	Verify(ctx context.Context, a otp.Attempt) otp.Result
}

// Codes is all that a login wants of codes; *otp.Verifier is one.
type Codes interface {
	Marks
	Walks
	Claims
}

// Previews says what would become of an attempt, and changes nothing; *otp.Verifier does.
type Previews interface {
	// Look is Walk for whoever does not log in.
	Look(ctx context.Context, a otp.Attempt) (otp.Walked, error)
	Preview(ctx context.Context, w otp.Walked) otp.Result
	// CheckPlace has ReasonOK when the place need not wait, and never OK.
	CheckPlace(ctx context.Context, account string, place otp.Place) otp.Result
}

// Factors counts passwords that stand alone; *otp.Verifier does. No result of it has OK.
type Factors interface {
	// WrongFactor counts a wrong password as a wrong code, each packet once.
	WrongFactor(ctx context.Context, a otp.Attempt) otp.Result
	// RightFactor has ReasonOK when the place is known from now on; with any other reason nobody may
	// be let in.
	RightFactor(ctx context.Context, a otp.Attempt) otp.Result
}

// Audit keeps the trail; *audit.Log is one.
type Audit interface {
	// Record MUST return an error only when the trail is required and could not be written:
	// nobody is let in then. It MUST NOT keep the slice.
	Record(ctx context.Context, events ...audit.Event) error
	// Keep MUST return nil only when events are on disk.
	Keep(ctx context.Context, events ...audit.Event) error
}

// Sessions keeps what gateways say of open sessions; *session.Book is one.
type Sessions interface {
	Record(ctx context.Context, client, account string, r session.Record) error
	Restarted(ctx context.Context, client, nas string, at time.Time) error
}

// RadSec is RADIUS over TLS (RFC 6614); see [radsec.Options].
type RadSec struct {
	Listen         []string
	Certificate    func() (*tls.Certificate, error)
	ClientCAs      func() (*x509.CertPool, error)
	MaxConnections int
	IdleTime       time.Duration
}

// Options are what a server needs. Accounts, Codes, Previews, Factors, States, Posture, Audit and Now must be there.
type Options struct {
	// Listen are UDP addresses "host:port" for logins. An empty host is every address of both families.
	Listen []string
	// Accounting are those for Accounting-Request; none: there is no accounting over UDP.
	Accounting []string
	RadSec     *RadSec // nil: no RADIUS over TLS
	Clients    []Client

	// RejectDelay is how long after its arrival an attempt is refused, 0 to 10 s. It is the same
	// for every refusal, and is spent in a timer, not in a slot.
	RejectDelay time.Duration
	// Budget bounds an attempt, from its arrival to its decision; 0: DefaultBudget. It must be
	// shorter than the gateways' retransmission timers (3 s and more).
	Budget time.Duration
	// MaxInFlight is how many attempts are worked on at a time; 0: DefaultMaxInFlight. At most
	// half of them may wait for a directory or for devices that are not known yet.
	MaxInFlight int

	Accounts Accounts
	Codes    Codes
	Previews Previews
	Factors  Factors
	States   *challenge.Sealer // of the challenges that ask for a code
	Posture  *posture.Ledger   // which clients send Message-Authenticator
	Audit    Audit
	Sessions Sessions // nil: no view of open sessions is kept

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered
	Now        func() time.Time
	// Wall is the machine's clock, by which the kernel notes when a datagram came in; nil: they are as
	// old as they are read.
	Wall func() time.Time
}

// complete fills in defaults, and says everything that is wrong.
func (o *Options) complete() error {
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.MaxInFlight == 0 {
		o.MaxInFlight = DefaultMaxInFlight
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	for _, c := range []struct {
		wrong bool
		text  string
	}{
		{len(o.Listen) == 0, "no address to listen on"},
		{o.RejectDelay < 0 || o.RejectDelay > maxRejectDelay, "RejectDelay must be between 0 and 10s"},
		{o.Budget < 0, "Budget must not be negative"},
		{o.MaxInFlight < 0, "MaxInFlight must not be negative"},
		{o.Accounts == nil, "Accounts is missing"},
		{o.Codes == nil, "Codes is missing"},
		{o.Previews == nil, "Previews is missing"},
		{o.Factors == nil, "Factors is missing"},
		{o.States == nil, "States is missing"},
		{o.Posture == nil, "Posture is missing"},
		{o.Audit == nil, "Audit is missing"},
		{o.Now == nil, "Now is missing"},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
}
