package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"otpgate/otp"
)

// Options configure a store.
type Options struct {
	Addresses  []string // one: standalone; several: cluster; with MasterName: of the sentinels
	MasterName string
	Username   string // of Redis; sentinels are asked without
	Password   string
	TLS        *tls.Config   // nil: none
	KeyPrefix  string        // "": "otpgate:". It must not contain a brace.
	Timeout    time.Duration // for dialling, reading and writing, each. 0: 500 ms
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Store is an [otp.Store] in Redis. [Open] makes it.
type Store struct {
	client  redis.UniversalClient
	logger  *slog.Logger
	metrics *metrics
	prefix  string
	timeout time.Duration
	scripts scripts

	refused atomic.Pointer[refusal] // what is wrong with a server that must not be used

	mu       sync.Mutex
	concerns []concern        // of the last look
	warned   map[concern]bool // about these the log has a line
	closed   bool
	active   sync.WaitGroup // calls under way, also those whose caller has left
}

var _ otp.Store = (*Store)(nil)

// errClosed is what every method returns after Close.
var errClosed = fmt.Errorf("redisstore: closed: %w", otp.ErrUnavailable)

// Open makes a store. Redis need not be up: it is looked at with the first call.
func Open(o Options) (*Store, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("redisstore: no address")
	}
	s := &Store{prefix: o.KeyPrefix, timeout: o.Timeout, scripts: newScripts(), metrics: newMetrics(o.Registerer), warned: make(map[concern]bool)}
	if s.prefix == "" {
		s.prefix = "otpgate:"
	}
	for _, c := range s.prefix {
		if c == '{' || c == '}' {
			return nil, fmt.Errorf("redisstore: key prefix %q contains a brace, which would put all accounts into one slot", s.prefix)
		}
	}
	if s.timeout <= 0 {
		s.timeout = 500 * time.Millisecond
	}
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s.logger = logger.With("component", "redisstore")
	pool := max(16, 8*runtime.GOMAXPROCS(0))
	s.client = redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addresses, MasterName: o.MasterName, Username: o.Username, Password: o.Password,
		TLSConfig: o.TLS, OnConnect: s.connected,

		ContextTimeoutEnabled: true, // or deadlines are ignored
		DialTimeout:           s.timeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, PoolTimeout: s.timeout,
		DialerRetries: 1, MaxRetries: 1, MinRetryBackoff: 2 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		PoolSize: pool, MaxActiveConns: pool, PipelinePoolSize: -1, ConnMaxIdleTime: 5 * time.Minute,

		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return s, nil
}

// Close waits for the calls that are under way, and closes all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.active.Wait()
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("redisstore: close: %w", err)
	}
	return nil
}

// begin counts a call, unless the store is closed.
func (s *Store) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.active.Add(1)
	}
	return !s.closed
}

// do runs f, and leaves it behind when ctx ends: a connection whose peer hangs does not notice that
// a context was cancelled. It gives every call a deadline. Errors wrap otp.ErrUnavailable and
// name the operation.
func do[T any](ctx context.Context, s *Store, operation string, f func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, unavailable(operation, err)
	}
	if !s.begin() {
		return zero, errClosed
	}
	type outcome struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, 3*s.timeout)
	done := make(chan outcome, 1)
	go func() {
		defer s.active.Done()
		defer cancel()
		var o outcome
		if o.err = s.admit(ctx); o.err == nil {
			o.value, o.err = f(ctx)
		}
		done <- o
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return zero, unavailable(operation, o.err)
		}
		return o.value, nil
	case <-ctx.Done():
		select {
		case o := <-done: // cancel was the last that the call did
			if o.err != nil {
				return zero, unavailable(operation, o.err)
			}
			return o.value, nil
		default:
		}
		return zero, unavailable(operation, ctx.Err())
	}
}

func unavailable(operation string, err error) error {
	if errors.Is(err, otp.ErrUnavailable) {
		return fmt.Errorf("redisstore: %s: %w", operation, err)
	}
	return fmt.Errorf("redisstore: %s: %w: %w", operation, otp.ErrUnavailable, err)
}

// eachMaster runs f on the server, or on every master of a cluster.
func (s *Store) eachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, f)
	case *redis.Client:
		return f(ctx, client)
	}
	return errors.New("client of an unknown kind")
}

// Bind implements [otp.Store].
func (s *Store) Bind(ctx context.Context, fingerprint string) error {
	key := s.prefix + "keyset"
	bound, err := do(ctx, s, "bind", func(ctx context.Context) (string, error) {
		if err := s.client.SetNX(ctx, key, fingerprint, 0).Err(); err != nil {
			return "", err
		}
		return s.client.Get(ctx, key).Result()
	})
	if err == nil && bound != fingerprint {
		err = fmt.Errorf("redisstore: keys %s*: %w", s.prefix, otp.ErrForeignKeyset)
	}
	return err
}
