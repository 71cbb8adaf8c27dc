package radsec

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"otpgate/radius/quiet"
)

// Server carries packets between the clients and a [Handler], over TLS. It is safe for concurrent
// use.
type Server struct {
	o         Options
	logger    *slog.Logger
	now       func() time.Time
	metrics   *metrics
	admission *admission
	strangers *quiet.Strangers // about connections that are not accepted
	known     *quiet.Strangers // about those that were
	crowded   quiet.Limit
	accepting quiet.Limit
	unready   quiet.Limit
	recheck   quiet.Limit
	panics    quiet.Limit

	listeners []net.Listener
	running   context.Context // of handshakes
	cancel    context.CancelFunc
	closing   chan struct{} // closed: no more accepting and reading
	stopped   chan struct{} // closed: everything is over
	stopping  sync.Once
	ending    sync.Once
	endErr    error

	acceptors   sync.WaitGroup // and the watch
	readers     sync.WaitGroup // handshakes and readers
	connections sync.WaitGroup

	rechecking sync.Mutex // one Recheck at a time

	mu      sync.Mutex
	serving bool
	over    bool // no connection may be added
	conns   map[*Conn]struct{}
}

// New checks the options and binds the sockets. Nothing is accepted before [Server.Serve]: the
// kernel keeps what comes.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("radsec: %w", err)
	}
	s := &Server{
		o:         o,
		logger:    o.Logger.With("component", "radsec"),
		now:       o.Now,
		admission: newAdmission(o.MaxConnections),
		strangers: quiet.NewStrangers(),
		known:     quiet.NewStrangers(),
		closing:   make(chan struct{}),
		stopped:   make(chan struct{}),
		conns:     map[*Conn]struct{}{},
	}
	s.running, s.cancel = context.WithCancel(context.Background())
	// What can fail comes first, so that a failed New leaves nothing behind.
	var config net.ListenConfig
	for _, address := range o.Listen {
		l, err := config.Listen(s.running, "tcp", address)
		if err != nil {
			s.cancel()
			return nil, errors.Join(fmt.Errorf("radsec: %w", err), s.closeListeners())
		}
		s.listeners = append(s.listeners, l)
	}
	s.metrics = newMetrics(s.admission, o.Registerer)
	return s, nil
}

// Addrs returns the addresses that are listened on, in the order of Options.Listen.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve accepts connections until [Server.Shutdown] is complete, and returns nil then. It returns
// an error when a socket cannot accept any more; Shutdown must be called in any case.
func (s *Server) Serve() error {
	if err := s.start(); err != nil {
		return err
	}
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		go func() {
			defer s.acceptors.Done()
			failed <- s.accept(l)
		}()
	}
	go func() {
		defer s.acceptors.Done()
		s.watch()
	}()
	for range s.listeners {
		if err := <-failed; err != nil {
			return err
		}
	}
	<-s.stopped
	return nil
}

// start counts the goroutines of Serve, unless serving has begun or ended already.
func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return errors.New("radsec: the server is shut down")
	case s.serving:
		return errors.New("radsec: the server is serving already")
	}
	s.serving = true
	s.acceptors.Add(len(s.listeners) + 1)
	return nil
}

// Stop stops accepting and reading. When it returns, [Handler.Receive] is not running and is not
// called any more; replies still leave.
func (s *Server) Stop() {
	s.stopping.Do(func() {
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
		close(s.closing)
		s.cancel()
		if err := s.closeListeners(); err != nil {
			s.logger.Error("closing a socket failed", "error", err)
		}
		s.acceptors.Wait()
		for _, c := range s.open() {
			c.end(shutdown)
		}
	})
	s.readers.Wait()
}

// Shutdown is [Server.Stop], and then lets out what is pending and closes the connections. When ctx
// ends first, the rest is given up and the error says how much that was. Later calls return what
// the first one returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.ending.Do(func() { s.endErr = s.shutdown(ctx) })
	return s.endErr
}

func (s *Server) shutdown(ctx context.Context) error {
	s.Stop()
	defer close(s.stopped)
	done := make(chan struct{})
	go func() {
		s.connections.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	packets, replies := 0, 0
	for _, c := range s.open() {
		p, r := c.left()
		packets, replies = packets+p, replies+r
		c.abort(shutdown)
	}
	<-done
	if packets+replies == 0 {
		return nil // only peers that did not close their end
	}
	return fmt.Errorf("radsec: %d packets were not answered and %d replies were not sent: %w", packets, replies, ctx.Err())
}

func (s *Server) closeListeners() error {
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// add makes a connection known, unless the server ends.
func (s *Server) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// open returns the connections that are open now.
func (s *Server) open() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
