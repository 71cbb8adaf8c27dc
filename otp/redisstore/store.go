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
	"otpgate/otp/crew"
)

// Options configure a store.
type Options struct {
	Addresses  []string // one: standalone; several: cluster; with MasterName: of all sentinels
	MasterName string
	Username   string // of Redis; sentinels are asked without
	Password   string
	TLS        *tls.Config // nil: none
	KeyPrefix  string      // "": "otpgate:". It must not contain a brace.
	// Timeout is for dialling, for writing, and for an answer, which may take twice as long, but not in a cluster,
	// where the accounts of other masters wait for it. 0: 500 ms.
	Timeout time.Duration
	// MinReplicas is how many replicas must have confirmed a write before it is reported; 0: none. With at
	// least one, what was claimed survives a failover to a replica that has confirmed.
	MinReplicas int
	Now         func() time.Time // for the versions of accounts; must not be nil
	Logger      *slog.Logger
	Registerer  prometheus.Registerer // nil: no metrics
}

// Store is an [otp.Store] in Redis. [Open] makes it.
type Store struct {
	client      redis.UniversalClient
	server      *redis.Client // client, unless it is that of a cluster
	cluster     *cluster      // nil: no cluster
	gatherer    gatherer
	crew        crew.Crew
	sentinels   *sentinels // nil: nobody is asked for the master
	logger      *slog.Logger
	metrics     *metrics
	now         func() time.Time
	prefix      string
	timeout     time.Duration
	minReplicas int
	scripts     scripts

	verdicts verdicts
	apart    atomic.Bool // the server keeps accounts apart: no call may concern two of them

	mu     sync.Mutex
	warned map[concern]bool // about these the log has a line
	closed bool
	active sync.WaitGroup // calls under way, also those whose caller has left
}

var _ otp.Store = (*Store)(nil)

// errClosed is what every method returns after Close.
var errClosed = fmt.Errorf("redisstore: closed: %w", otp.ErrUnavailable)

// Open makes a store. Redis need not be up: it is looked at with the first call.
func Open(o Options) (*Store, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("redisstore: no address")
	}
	if o.Now == nil {
		return nil, errors.New("redisstore: no clock")
	}
	if o.MinReplicas < 0 {
		return nil, fmt.Errorf("redisstore: %d replicas", o.MinReplicas)
	}
	s := &Store{
		prefix: o.KeyPrefix, timeout: o.Timeout, minReplicas: o.MinReplicas,
		now: o.Now, scripts: newScripts(), metrics: newMetrics(o.Registerer), warned: make(map[concern]bool),
	}
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
	s.gatherer.store = s
	s.connect(&o)
	return s, nil
}

// connect makes the client that fits the addresses.
func (s *Store) connect(o *Options) {
	pool := max(16, 8*runtime.GOMAXPROCS(0))
	d := &dialer{tls: o.TLS, timeout: s.timeout, links: make(map[*link]string)}
	u := &redis.UniversalOptions{
		Addrs: o.Addresses, Username: o.Username, Password: o.Password, OnConnect: s.connected, Dialer: d.dial,

		ContextTimeoutEnabled: true, // or deadlines are ignored
		Protocol:              2,    // the third has the library look for notifications before every reply
		DialTimeout:           3 * s.timeout, ReadTimeout: 2 * s.timeout, WriteTimeout: s.timeout, PoolTimeout: s.timeout,
		DialerRetries: 1, MaxRetries: 1, MinRetryBackoff: 2 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		PoolSize: pool, MaxActiveConns: pool, PipelinePoolSize: -1, ConnMaxIdleTime: 5 * time.Minute,

		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintenance(),
	}
	if o.MasterName == "" && len(o.Addresses) > 1 {
		u.ReadTimeout = s.timeout
		cluster := &cluster{store: s, client: redis.NewClusterClient(u.Cluster()), named: redirects{options: u.Simple()}}
		s.client, s.cluster = cluster.client, cluster
		return
	}
	if o.MasterName != "" {
		s.sentinels = newSentinels(o, d, s.logger, s.timeout)
		u.Addrs, u.Dialer = []string{"master " + o.MasterName}, s.sentinels.dial
	}
	s.server = redis.NewClient(u.Simple())
	s.client = s.server
}

// noMaintenance switches off what Redis Enterprise has.
func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
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
	s.crew.Dismiss()
	err := s.client.Close()
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.named.close())
	}
	if s.sentinels != nil {
		err = errors.Join(err, s.sentinels.close())
	}
	if err != nil {
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
	s.crew.Go(func() {
		defer s.active.Done()
		defer cancel()
		var o outcome
		if o.err = s.admit(ctx); o.err == nil {
			o.value, o.err = f(ctx)
		}
		done <- o
	})
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
	if s.cluster != nil {
		return s.cluster.client.ForEachMaster(ctx, f)
	}
	return f(ctx, s.server)
}

// Bind implements [otp.Store].
func (s *Store) Bind(ctx context.Context, fingerprint string) error {
	key := s.prefix + "keyset"
	bound, err := do(ctx, s, "bind", func(ctx context.Context) (string, error) {
		cmds := s.run(ctx, []call{{key: key, args: []any{"setnx", key, fingerprint}}, {key: key, args: []any{"get", key}}})
		if err := cmds[0].Err(); err != nil {
			return "", err
		}
		return cmds[1].Text()
	})
	if err == nil && bound != fingerprint {
		err = fmt.Errorf("redisstore: keys %s*: %w", s.prefix, otp.ErrForeignKeyset)
	}
	return err
}
