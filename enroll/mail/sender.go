package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	gomail "github.com/wneessen/go-mail"
)

var (
	// ErrQueueFull: as many mails as fit are waiting for the server already.
	ErrQueueFull = errors.New("the mail queue is full")
	// ErrClosed: the sender takes no more mails.
	ErrClosed = errors.New("the mail sender is closed")
)

const (
	defaultQueueSize = 1000
	defaultTimeout   = 30 * time.Second
	connections      = 4 // how many mails are handed in at the same time
)

// Options are what a [Sender] is made of.
type Options struct {
	From       string // the sender, with or without a name: OTP <otp@example.org>
	SMTP       string // smtp://host:587 (STARTTLS, required), smtps://host:465, smtp+insecure://host:25
	Username   string // empty: no AUTH
	Password   string
	RootCAs    *x509.CertPool                // nil: those of the system
	QueueSize  int                           // mails that may wait; 0: 1000
	Timeout    time.Duration                 // for one try, from the first packet to the last; 0: 30 s
	RetryAfter func(tries int) time.Duration // nil: 5 s, doubled with each try, up to 5 min
	Logger     *slog.Logger                  // nil: none
	Registerer prometheus.Registerer         // nil: none
	Now        func() time.Time
}

// A Sender sends mails in the background. It is safe for concurrent use.
type Sender struct {
	from       *netmail.Address
	server     *server
	timeout    time.Duration
	retryAfter func(int) time.Duration
	logger     *slog.Logger
	metrics    *metrics
	now        func() time.Time
	queue      chan struct{} // one element per mail that is under way
	slots      chan struct{} // one element per connection
	ctx        context.Context
	cancel     context.CancelFunc
	hurry      chan struct{} // closed: no more waiting between tries
	mu         sync.Mutex
	closed     bool
	waiting    sync.WaitGroup
}

// New checks the options. It does not need the server to be up.
func New(o Options) (*Sender, error) {
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %q is not a mail address", o.From)
	}
	if _, err := address(from.Address); err != nil {
		return nil, fmt.Errorf("mail: the sender %q: %w", o.From, err)
	}
	server, err := parseServer(o.SMTP, o.Username, o.Password, o.RootCAs)
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if o.Now == nil {
		return nil, errors.New("mail: Options.Now is missing")
	}
	if o.QueueSize == 0 {
		o.QueueSize = defaultQueueSize
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.RetryAfter == nil {
		o.RetryAfter = backoff
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{
		from: from, server: server, timeout: o.Timeout, retryAfter: o.RetryAfter, now: o.Now,
		logger: o.Logger.With("component", "mail"), metrics: newMetrics(o.Registerer),
		queue: make(chan struct{}, o.QueueSize), slots: make(chan struct{}, connections), hurry: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// backoff is how long to wait after a number of failed tries.
func backoff(tries int) time.Duration {
	const first, most = 5 * time.Second, 5 * time.Minute
	if tries > 6 {
		return most
	}
	return min(first<<(tries-1), most)
}

// Send takes a mail and returns at once. The error says that it was not taken: [ErrQueueFull],
// [ErrClosed], or it is not one that can be sent ([ErrAddress]).
func (s *Sender) Send(m Message) error {
	msg, err := build(m, s.from, s.now())
	if err != nil {
		s.metrics.mails[resultRefused].Inc()
		return fmt.Errorf("mail: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case s.queue <- struct{}{}:
	default:
		s.metrics.mails[resultDropped].Inc()
		return ErrQueueFull
	}
	s.waiting.Add(1)
	go func() {
		defer s.waiting.Done()
		defer func() { <-s.queue }()
		became := resultDropped
		defer func() {
			// The value may hold what a mail does.
			if v := recover(); v != nil {
				s.metrics.panics.Inc()
				s.logger.Error("panic", "message_id", msg.GetMessageID(), "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			}
			s.metrics.mails[became].Inc()
		}()
		became = s.see(msg, m.Expires)
	}()
	return nil
}

// see tries a mail until its fate is known.
func (s *Sender) see(msg *gomail.Msg, expires time.Time) result {
	for tries := 1; ; tries++ {
		err := s.try(msg)
		switch {
		case err == nil:
			return resultSent
		case permanent(err):
			s.logger.Error("mail refused by the server", "message_id", msg.GetMessageID(), "error", cause(err))
			return resultRefused
		}
		wait := s.retryAfter(tries)
		if !s.now().Add(wait).Before(expires) {
			s.logger.Error("mail given up", "message_id", msg.GetMessageID(), "tries", tries, "error", cause(err))
			return resultExpired
		}
		s.logger.Warn("mail not sent yet", "message_id", msg.GetMessageID(), "tries", tries, "retry_in", wait, "error", cause(err))
		s.metrics.retries.Inc()
		if !s.pause(wait) {
			// Closing: one last try, if there is time for it.
			if s.try(msg) == nil {
				return resultSent
			}
			s.logger.Error("mail given up at shutdown", "message_id", msg.GetMessageID(), "tries", tries+1)
			return resultExpired
		}
	}
}

// pause waits, and reports false when the sender is closed.
func (s *Sender) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.hurry:
		return false
	}
}

// try hands in a mail once, as soon as a connection is free.
func (s *Sender) try(msg *gomail.Msg) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	defer func() { <-s.slots }()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	return s.server.deliver(ctx, msg, s.timeout)
}

// Check connects to the server, encrypts and authenticates as for a mail, and leaves without
// handing one in.
func (s *Sender) Check(ctx context.Context) error {
	if err := s.server.greet(ctx, s.timeout); err != nil {
		return fmt.Errorf("mail: %s", cause(err))
	}
	return nil
}

// Close takes no more mails, tries each one that waits a last time, and returns when all have met
// their fate or the context ends; what is not out by then is given up, and the error says so.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.hurry)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.waiting.Wait(); close(done) }()
	defer s.cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		left := len(s.queue)
		s.cancel()
		if left == 0 {
			return nil
		}
		return fmt.Errorf("mail: %d mails were not sent: %w", left, ctx.Err())
	}
}
