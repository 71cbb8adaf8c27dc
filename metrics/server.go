package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	headerTime  = 5 * time.Second  // to send a request's header
	readTime    = 10 * time.Second // to send a request
	writeTime   = 30 * time.Second // to take an answer; profiles extend it by their own length
	idleTime    = 2 * time.Minute  // between requests of one connection
	headerBytes = 8 << 10          // of a request's header
)

// Options say where a [Server] listens and what it shows.
type Options struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// Registry is what /metrics shows, [NewRegistry] with everybody's instruments. nil: a new one.
	Registry *prometheus.Registry
	// Version and Revision are labels of otpgate_build_info.
	Version, Revision string
	// Checks decide about readiness. With none, the node is ready until it drains.
	Checks []Check
	// Logger may be nil: then nothing is logged.
	Logger *slog.Logger
	// Now is the clock; required.
	Now func() time.Time
}

// Server shows a node to those who watch it.
type Server struct {
	watcher  *watcher
	reloads  reloads
	now      func() time.Time
	listener net.Listener
	http     *http.Server
}

// New binds the listener, so that a port in use is known before anything else starts, and registers
// what this package measures. [Server.Serve] answers.
func New(o Options) (*Server, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	r, err := register(o.Registry, o.Version, o.Revision)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{
		watcher:  newWatcher(o.Checks, o.Logger, o.Now),
		reloads:  r,
		now:      o.Now,
		listener: listener,
	}
	s.Reloaded(true)
	s.http = &http.Server{
		Handler:           s.routes(o.Registry, o.Logger, onLoopback(listener.Addr())),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (o *Options) complete() error {
	if o.Listen == "" {
		return errors.New("metrics: no address to listen on")
	}
	if o.Now == nil {
		return errors.New("metrics: no clock")
	}
	for _, c := range o.Checks {
		if c.Name == "" || c.Run == nil {
			return fmt.Errorf("metrics: check %q has no name or nothing to run", c.Name)
		}
	}
	if o.Registry == nil {
		o.Registry = NewRegistry()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Logger = o.Logger.With("component", "metrics")
	return nil
}

// onLoopback reports whether only programs of this machine reach a listener at addr.
func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Addr returns the address that the listener is bound to.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until [Server.Shutdown], and returns nil then.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Shutdown closes the listener and lets answers in flight out until ctx ends; the error is ctx's
// if some had to be cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("metrics: shut down: %w", err), s.http.Close())
	}
	// The HTTP server knows of the listener only if Serve was called.
	if cerr := s.listener.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
		err = errors.Join(err, fmt.Errorf("metrics: %w", cerr))
	}
	return err
}

// SetDraining makes the node not ready from now on, so that load balancers go elsewhere before it
// stops.
func (s *Server) SetDraining() { s.watcher.draining.Store(true) }

// Reloaded notes how a load of the configuration went.
func (s *Server) Reloaded(ok bool) {
	if !ok {
		s.reloads.successful.Set(0)
		return
	}
	s.reloads.successful.Set(1)
	s.reloads.succeededAt.Set(float64(s.now().UnixMilli()) / 1000)
}

// Health returns the state of the node, at most a second old. It takes two seconds at most; ctx
// carries values only, because the answer is shared by all who ask.
func (s *Server) Health(ctx context.Context) Health { return s.watcher.health(ctx) }
