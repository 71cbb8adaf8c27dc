package enroll

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"otpgate/enroll/catalogue"
	"otpgate/enroll/mail"
	"otpgate/enroll/web"
)

// Bounds of what a client can make the server keep.
const (
	maxHeader   = 16 << 10 // octets
	maxStreams  = 32       // of one HTTP/2 connection
	idleTimeout = time.Minute
)

// A Server is the enrollment server. It is safe for concurrent use.
type Server struct {
	o         Options
	texts     *catalogue.Catalogue
	writer    *mail.Writer
	logger    *slog.Logger
	metrics   *metrics
	sources   web.Sources
	callers   *web.Limit[netip.Prefix]
	mailboxes *web.Limit[mailbox]
	tries     *web.Limit[try]
	readiness *readiness
	present   web.Shares    // calls under way: who has none is answered at once
	inFlight  chan struct{} // of them, those that are being worked on
	jobs      chan struct{}
	pages     *content
	handler   http.Handler

	listener net.Listener
	http     *http.Server
	ctx      context.Context // of what goes on in the background
	cancel   context.CancelFunc
	working  sync.WaitGroup
}

// New checks the options and binds the socket; nothing is answered before [Server.Serve].
func New(o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, fmt.Errorf("enroll: %w", err)
	}
	if s.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("enroll: %w", err)
	}
	return s, nil
}

// newServer is a server without a socket.
func newServer(o Options) (*Server, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	s := &Server{
		o: o, logger: o.Logger.With("component", "enroll"), sources: web.Sources{Proxies: o.TrustedProxies},
		callers:   web.NewLimit[netip.Prefix](o.Limits.SourceBurst, o.Limits.SourceEvery, o.Limits.Sources, o.Now),
		mailboxes: web.NewLimit[mailbox](o.Limits.MailboxBurst, o.Limits.MailboxEvery, 3*o.Limits.Mailboxes, o.Now),
		tries:     web.NewLimit[try](sourceTries, o.CodeLifetime/sourceTries, o.Limits.Sources, o.Now),
		present:   web.Shares{Most: o.Limits.SourceConnections, All: o.Limits.Connections},
		inFlight:  make(chan struct{}, o.Limits.InFlight), jobs: make(chan struct{}, o.Limits.InFlight),
	}
	s.readiness = &readiness{every: readinessEvery, ask: s.ready, now: o.Now}
	if s.texts, err = catalogue.Load(); err != nil {
		return nil, err
	}
	if s.writer, err = mail.NewWriter(o.Issuer, o.PublicURL+"/app/"); err != nil {
		return nil, err
	}
	if s.pages, err = newContent(o, s.texts); err != nil {
		return nil, err
	}
	routes := s.routes()
	var names []string
	for _, r := range routes {
		names = append(names, r.name)
	}
	s.metrics = newMetrics(o.Registerer, append(names, noRoute))
	if s.handler, err = s.handle(routes); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = s.newHTTP()
	return s, nil
}

// newHTTP is the HTTP server: everything about it has a bound.
func (s *Server) newHTTP() *http.Server {
	timeout := s.o.Limits.ServerTimeout
	h := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: timeout,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout + 2*requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug), // what strangers do to TLS
	}
	var ahead web.Unasked
	h.ConnState = ahead.Note
	h.RegisterOnShutdown(ahead.End)
	h.DisableGeneralOptionsHandler = true // "OPTIONS *" is ours to refuse, with the headers of every answer
	if get := s.o.Certificate; get != nil {
		h.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return get() },
		}
	}
	return h
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Handler answers requests without a socket.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers requests until [Server.Shutdown], and returns nil then.
func (s *Server) Serve() error {
	l := netutil.LimitListener(s.doors(), s.o.Limits.Connections)
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("enroll: %w", err)
}

// doors is the socket, with a bound for each source, so that none has all connections. Only a proxy may: one
// that is named, and where TLS does not end here, one on this machine, which need not be.
func (s *Server) doors() net.Listener {
	exempt := s.o.TrustedProxies
	if s.o.Certificate == nil {
		exempt = append(slices.Clone(exempt), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	told := web.NewLimit[struct{}](1, time.Minute, 1, s.o.Now)
	return &web.Doors{Listener: s.listener, Shares: web.Shares{Most: s.o.Limits.SourceConnections}, Exempt: exempt, Refused: func(source netip.Prefix) {
		if _, ok := told.Take(struct{}{}); ok {
			s.logger.Warn("connections closed: one source has as many as it may", "source", source, "most", s.o.Limits.SourceConnections,
				"hint", "if it is an HTTP proxy that writes X-Forwarded-For, name it in enroll.trusted_proxies")
		}
	}}
}

// Shutdown takes no more requests, and waits for those under way and for what they left to do in
// the background, as long as the context allows.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	err := s.http.Shutdown(ctx)
	_ = s.listener.Close() // it is this server's, served or not
	done := make(chan struct{})
	go func() { s.working.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, s.http.Close(), ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("enroll: shutdown: %w", err)
	}
	return nil
}

// recovered keeps a panic from ending the process. Its argument is what the deferred function
// itself got from recover, which is nil for everything that it calls.
func (s *Server) recovered(v any, where string) (panicked bool) {
	if v == nil {
		return false
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is thrown, never wrapped
		panic(v)
	}
	s.metrics.panics.Inc()
	// Not the value: it might hold what a person typed.
	s.logger.Error("panic", "where", where, "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	return true
}

// https reports whether people reach the server by TLS, here or at a proxy.
func (s *Server) https() bool {
	return s.o.Certificate != nil || strings.HasPrefix(s.o.PublicURL, "https:")
}
