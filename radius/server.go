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

	"otpgate/otp/crew"
	"otpgate/radius/challenge"
	"otpgate/radius/delay"
	"otpgate/radius/duplicates"
	"otpgate/radius/overload"
	"otpgate/radius/posture"
	"otpgate/radius/quiet"
	"otpgate/radius/radsec"
	"otpgate/radius/turns"
)

// maxRefusals is how many refusals may wait at a time.
const maxRefusals = 1 << 16

// quietTable limits what a server says that is not about one client.
type quietTable struct {
	strangers                          *quiet.Strangers
	overload, panics, reading, writing quiet.Limit
	sealing, recording, noting         quiet.Limit
	directory, store, timeout, audit   quiet.Limit
}

// Server answers Access-Request, Accounting-Request and Status-Server over UDP and TLS.
type Server struct {
	options  Options
	accounts Accounts
	codes    Codes
	previews Previews
	factors  Factors
	states   *challenge.Sealer
	posture  *posture.Ledger
	audit    Audit
	logger   *slog.Logger
	now      func() time.Time
	metrics  *metrics

	table      atomic.Pointer[table]
	duplicates *duplicates.Cache
	refusals   *delay.Queue[answer]
	slots      *overload.Slots
	passwords  turns.Turns     // of accounts whose password is being checked
	besideCode turns.Turns     // of accounts whose password, beside a code, is being checked
	reporting  *overload.Slots // of accounting: apart, so that none of it keeps a login out while a peer hangs
	prompt     *overload.Room  // attempts that need no peer but the store
	waiting    *overload.Room  // attempts that have a goroutine of their own
	spare      sync.Pool       // of *attempt
	desks      sync.Pool       // of *desk
	claims     sync.Pool       // of *[]otp.Walked
	batches    sync.Pool       // of *batch
	sockets    []*socket
	radsec     *radsec.Server // nil: no RADIUS over TLS
	bound      time.Time      // since when the kernel has been keeping packets for us

	quiet quietTable

	crew     crew.Crew
	work     sync.WaitGroup // batches and attempts under way
	readers  sync.WaitGroup
	closing  chan struct{} // closed: no more reading
	stopped  chan struct{} // closed: everything is over
	stopping sync.Once
	stopErr  error

	mu     sync.Mutex
	base   context.Context    // of all attempts
	cancel context.CancelFunc // of base; nil: not serving
	swap   sync.Mutex         // one SetClients at a time
}

// New checks the options and binds the sockets. Nothing is read before [Server.Serve]:
// the kernel keeps what comes.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("radius: %w", err)
	}
	s := &Server{
		options:    o,
		accounts:   o.Accounts,
		codes:      o.Codes,
		previews:   o.Previews,
		besideCode: turns.Turns{Beside: 1},
		factors:    o.Factors,
		states:     o.States,
		posture:    o.Posture,
		audit:      o.Audit,
		logger:     o.Logger.With("component", "radius"),
		now:        o.Now,
		duplicates: duplicates.New(duplicates.MaxEntries, duplicates.MaxBytes),
		slots:      overload.NewSlots(o.MaxInFlight),
		reporting:  overload.NewSlots(o.MaxInFlight),
		prompt:     overload.NewRoom(o.MaxInFlight, o.MaxInFlight/8),
		waiting:    overload.NewRoom(o.MaxInFlight/2, 0),
		closing:    make(chan struct{}),
		stopped:    make(chan struct{}),
	}
	s.quiet.strangers = quiet.NewStrangers()
	s.refusals = delay.New(maxRefusals, o.Now, func(due []answer) { s.send(due) })
	// What can fail comes first, so that a failed New leaves nothing behind.
	if err := CheckClients(o.Clients); err != nil {
		return nil, err
	}
	s.bound = s.now()
	for _, l := range []struct {
		addresses []string
		takes     service
	}{{o.Listen, forLogins}, {o.Accounting, forAccounting}} {
		for _, address := range l.addresses {
			sockets, err := listen(context.Background(), address, l.takes)
			s.sockets = append(s.sockets, sockets...)
			if err != nil {
				return nil, errors.Join(err, s.closeSockets())
			}
		}
	}
	if err := s.listenTLS(o); err != nil {
		return nil, errors.Join(err, s.closeSockets())
	}
	s.warnOfRoom()
	s.metrics = newMetrics(s, o.Registerer)
	s.table.Store(s.newTable(o.Clients))
	return s, nil
}

// listenTLS binds what RadSec listens on.
func (s *Server) listenTLS(o Options) (err error) {
	if o.RadSec == nil {
		return nil
	}
	s.radsec, err = radsec.New(radsec.Options{
		Listen: o.RadSec.Listen, Certificate: o.RadSec.Certificate, ClientCAs: o.RadSec.ClientCAs, Handler: streams{s},
		MaxConnections: o.RadSec.MaxConnections, IdleTime: o.RadSec.IdleTime,
		Logger: o.Logger, Registerer: o.Registerer, Now: o.Now,
	})
	if err != nil {
		return fmt.Errorf("radius: %w", err)
	}
	return nil
}

// Addrs returns the UDP addresses that are listened on, in the order of Options.Listen and
// Options.Accounting.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.sockets))
	for i, k := range s.sockets {
		addrs[i] = net.UDPAddrFromAddrPort(k.local)
	}
	return addrs
}

// StreamAddrs returns the TCP addresses of RadSec.
func (s *Server) StreamAddrs() []net.Addr {
	if s.radsec == nil {
		return nil
	}
	return s.radsec.Addrs()
}

// SetClients replaces all clients at once. Attempts under way go on with the client that they
// began with. An error says everything that is wrong, and leaves the clients as they were.
func (s *Server) SetClients(clients []Client) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := CheckClients(clients); err != nil {
		return err
	}
	old, t := s.table.Load(), s.newTable(clients)
	kept := make(map[string]*client)
	for _, c := range t.clients {
		kept[c.Name] = c
	}
	for _, c := range old.clients {
		if k := kept[c.Name]; k != nil {
			k.succeed(c)
		}
	}
	s.table.Store(t)
	for _, c := range old.clients {
		if kept[c.Name] == nil {
			s.metrics.dropClient(c.Name)
		}
	}
	if s.radsec != nil {
		s.radsec.Recheck()
	}
	return nil
}

// Serve reads and answers until [Server.Shutdown] is complete, and returns nil then. It returns
// an error when a socket cannot be read any more; Shutdown must be called in any case. What came
// long before it is thrown away.
func (s *Server) Serve() error {
	ctx, err := s.start()
	if err != nil {
		return err
	}
	serving := len(s.sockets)
	failed := make(chan error, serving+1)
	for _, k := range s.sockets {
		go func() {
			defer s.readers.Done()
			failed <- s.read(ctx, k)
		}()
	}
	if s.radsec != nil {
		serving++
		go func() { failed <- s.serveTLS() }()
	}
	for range serving {
		if err := <-failed; err != nil {
			return err
		}
	}
	<-s.stopped
	return nil
}

// serveTLS serves RadSec, and is nil also when the shutdown was faster than it.
func (s *Server) serveTLS() error {
	err := s.radsec.Serve()
	select {
	case <-s.closing:
		return nil
	default:
		return err
	}
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
	s.base, s.cancel = ctx, cancel
	s.readers.Add(len(s.sockets))
	go s.refusals.Run(s.stopped)
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
	if s.radsec != nil {
		s.radsec.Stop()
	}
	reading, busy := s.ending()
	if err := waitFor(ctx, reading); err != nil {
		errs = append(errs, fmt.Errorf("radius: a socket is still being read: %w", err))
	}
	if err := waitFor(ctx, busy); err != nil {
		errs = append(errs, fmt.Errorf("radius: %d attempts were not finished: %w", s.slots.Load(), err))
	}
	if err := waitFor(ctx, s.refusals.Drained()); err != nil {
		errs = append(errs, fmt.Errorf("radius: %d refusals were not sent: %w", s.refusals.Len(), err))
	}
	if s.radsec != nil {
		errs = append(errs, s.radsec.Shutdown(ctx))
	}
	if cancel != nil {
		cancel()
	}
	errs = append(errs, s.closeSockets())
	s.crew.Dismiss()
	close(s.stopped)
	return errors.Join(errs...)
}

// run runs f beside everything else. [Server.Shutdown] waits for its end.
func (s *Server) run(f func()) {
	s.work.Add(1)
	s.crew.Go(func() {
		defer s.work.Done()
		f()
	})
}

// ending returns channels that are closed when no socket is read any more, and when nothing that
// was read is being worked on. Readers begin work, so they are waited for first.
func (s *Server) ending() (reading, busy <-chan struct{}) {
	read, done := make(chan struct{}), make(chan struct{})
	go func() {
		s.readers.Wait()
		if s.radsec != nil {
			s.radsec.Stop()
		}
		close(read)
		s.work.Wait()
		close(done)
	}()
	return read, done
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
