package radius

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// Defaults of [Options].
const (
	DefaultBudget      = 2500 * time.Millisecond
	DefaultMaxInFlight = 4096
)

// maxRejectDelay is what a gateway can be made to wait before it takes us for dead.
const maxRejectDelay = 10 * time.Second

// Accounts is what a login wants to know of the directories; *directory.Set is one.
type Accounts interface {
	// FindKnown returns an account that need not be asked for. It MUST NOT block.
	FindKnown(name string, allowed []string) (*directory.Account, bool)
	// Find MUST return an error that wraps directory.ErrNotFound, ErrAmbiguous or ErrNameInvalid
	// when there is no such account; any other error means that nobody can tell.
	Find(ctx context.Context, name string, allowed []string) (*directory.Account, error)
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
	// WalkKnown MUST NOT block; it is false when the account's devices are not known here.
	WalkKnown(a otp.Attempt) (otp.Walked, bool)
	Walk(ctx context.Context, a otp.Attempt) (otp.Walked, error)
}

// Claims decides what was walked; *otp.Verifier does.
type Claims interface {
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

// Audit keeps the trail; *audit.Log is one.
type Audit interface {
	// Record MUST return an error only when the trail is required and could not be written:
	// nobody is let in then.
	Record(ctx context.Context, events ...audit.Event) error
}

// Options are what a server needs. Accounts, Codes, Audit and Now must be there.
type Options struct {
	// Listen are UDP addresses "host:port". An empty host is every address of both families.
	Listen  []string
	Clients []Client

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
	Audit    Audit

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered
	Now        func() time.Time
}

// Server answers Access-Request and Status-Server over UDP.
type Server struct {
	options  Options
	accounts Accounts
	codes    Codes
	audit    Audit
	logger   *slog.Logger
	now      func() time.Time
	metrics  *metrics

	table      atomic.Pointer[table]
	duplicates *duplicates
	refusals   *refusals
	slots      slots
	waiting    atomic.Int64 // attempts that have a goroutine of their own
	sockets    []*socket

	quiet quietTable

	work     sync.WaitGroup // batches and attempts under way
	readers  sync.WaitGroup
	closing  chan struct{} // closed: no more reading
	stopped  chan struct{} // closed: everything is over
	stopping sync.Once
	stopErr  error

	mu     sync.Mutex
	cancel context.CancelFunc // of the contexts of all attempts; nil: not serving
	swap   sync.Mutex         // one SetClients at a time
}

// slots bounds what is in flight.
type slots struct {
	taken atomic.Int64
	most  int64
}

func (s *slots) take() bool {
	if s.taken.Add(1) > s.most {
		s.taken.Add(-1)
		return false
	}
	return true
}

func (s *slots) release() { s.taken.Add(-1) }

// New checks the options and binds the sockets. Nothing is read before [Server.Serve].
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("radius: %w", err)
	}
	s := &Server{
		options:    o,
		accounts:   o.Accounts,
		codes:      o.Codes,
		audit:      o.Audit,
		logger:     o.Logger.With("component", "radius"),
		now:        o.Now,
		duplicates: newDuplicates(maxDuplicates, maxDuplicateBytes),
		slots:      slots{most: int64(o.MaxInFlight)},
		closing:    make(chan struct{}),
		stopped:    make(chan struct{}),
	}
	s.quiet.strangers = newStrangers()
	s.refusals = newRefusals(maxRefusals, o.Now, s.send)
	// What can fail comes first, so that a failed New leaves nothing behind.
	if err := checkClients(o.Clients); err != nil {
		return nil, err
	}
	for _, address := range o.Listen {
		sockets, err := listen(context.Background(), address)
		s.sockets = append(s.sockets, sockets...)
		if err != nil {
			return nil, errors.Join(err, s.closeSockets())
		}
	}
	s.metrics = newMetrics(s, o.Registerer)
	s.table.Store(newTable(o.Clients, s.metrics))
	return s, nil
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
		{o.Audit == nil, "Audit is missing"},
		{o.Now == nil, "Now is missing"},
	} {
		if c.wrong {
			errs = append(errs, errors.New(c.text))
		}
	}
	return errors.Join(errs...)
}

// Addrs returns the addresses that are listened on, in the order of Options.Listen.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.sockets))
	for i, k := range s.sockets {
		addrs[i] = net.UDPAddrFromAddrPort(k.local)
	}
	return addrs
}

// SetClients replaces all clients at once. Attempts under way go on with the client that they
// began with. An error says everything that is wrong, and leaves the clients as they were.
func (s *Server) SetClients(clients []Client) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := checkClients(clients); err != nil {
		return err
	}
	t := newTable(clients, s.metrics)
	old := s.table.Swap(t)
	kept := make(map[string]bool)
	for _, c := range t.clients {
		kept[c.Name] = true
	}
	for _, c := range old.clients {
		if !kept[c.Name] {
			s.metrics.dropClient(c.Name)
		}
	}
	return nil
}

// Serve reads and answers until [Server.Shutdown] is complete, and returns nil then. It returns
// an error when a socket cannot be read any more; Shutdown must be called in any case.
func (s *Server) Serve() error {
	ctx, err := s.start()
	if err != nil {
		return err
	}
	failed := make(chan error, len(s.sockets))
	for _, k := range s.sockets {
		go func() {
			defer s.readers.Done()
			failed <- s.read(ctx, k)
		}()
	}
	for range s.sockets {
		if err := <-failed; err != nil {
			return err
		}
	}
	<-s.stopped
	return nil
}

// start makes the context of all attempts, unless serving has begun or ended already.
func (s *Server) start() (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return nil, errors.New("radius: the server is shut down")
	default:
	}
	if s.cancel != nil {
		return nil, errors.New("radius: the server is serving already")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.readers.Add(len(s.sockets))
	go s.refusals.run(s.stopped)
	return ctx, nil
}

// Shutdown stops reading, lets what is in flight and every delayed refusal out on the open
// sockets, and closes them. When ctx ends first, the rest is given up and the error says how much
// that was. Later calls return what the first one returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Do(func() { s.stopErr = s.shutdown(ctx) })
	return s.stopErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.mu.Lock()
	close(s.closing)
	cancel := s.cancel
	s.mu.Unlock()
	var errs []error
	for _, k := range s.sockets {
		// A deadline in the past unblocks the reader; no reader ever sets one, so it stays.
		errs = append(errs, k.SetReadDeadline(time.Unix(1, 0)))
	}
	s.readers.Wait()
	idle := make(chan struct{})
	go func() {
		s.work.Wait()
		close(idle)
	}()
	if err := waitFor(ctx, idle); err != nil {
		errs = append(errs, fmt.Errorf("radius: %d attempts were not finished: %w", s.slots.taken.Load(), err))
	}
	if err := waitFor(ctx, s.refusals.drained()); err != nil {
		errs = append(errs, fmt.Errorf("radius: %d refusals were not sent: %w", s.refusals.length(), err))
	}
	if cancel != nil {
		cancel()
	}
	errs = append(errs, s.closeSockets())
	close(s.stopped)
	return errors.Join(errs...)
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done: // also when ctx has ended as well
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Server) closeSockets() error {
	var errs []error
	for _, k := range s.sockets {
		errs = append(errs, k.Close())
	}
	return errors.Join(errs...)
}
