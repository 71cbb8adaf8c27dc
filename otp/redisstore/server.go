package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
)

// ErrEvicts: Redis may forget an account that nobody asked for, and its used codes with it. Every
// such error is an [otp.ErrUnavailable] too.
var ErrEvicts = errors.New("redis may evict keys")

// refusal is why a server must not be used.
type refusal struct{ setting, value, address string }

func (r *refusal) Error() string {
	at := ""
	if r.address != "" {
		at = " of " + r.address
	}
	return fmt.Sprintf("%v: %v: %s%s is %q", otp.ErrUnavailable, ErrEvicts, r.setting, at, r.value)
}

// Unwrap makes a refusal an otp.ErrUnavailable and an ErrEvicts.
func (r *refusal) Unwrap() []error { return []error{otp.ErrUnavailable, ErrEvicts} }

// connected runs on every new connection, before anything else: what it returns is the error of the
// call that wanted the connection. It asks all at once: where answers take long, a connection must be of use after one.
func (s *Store) connected(ctx context.Context, conn *redis.Conn) error {
	pipe := conn.Pipeline()
	var role *redis.Cmd
	if s.sentinels != nil {
		role = pipe.Do(ctx, "role")
	}
	policy := askPolicy(ctx, pipe)
	scripts := s.scripts.load(ctx, pipe)
	err := tell(ctx, pipe)
	if role != nil {
		err = cmp.Or(s.replica(role), err)
	}
	var found settings
	if err == nil {
		found, err = policy.told(ctx, conn)
	}
	if r := found.refusal(""); err == nil && r != nil {
		err = r
	}
	if err != nil {
		return fmt.Errorf("new connection: %w", err) // the library takes off what is outermost
	}
	for _, loaded := range scripts {
		if err := loaded.Err(); err != nil {
			return fmt.Errorf("new connection: %w", err) // as above
		}
	}
	return nil
}

// replica is the error of a server that the sentinels name as the master and that is none: it was told to, and the
// sentinel that we asked not yet.
func (s *Store) replica(role *redis.Cmd) error {
	told, err := role.Slice()
	if err != nil || len(told) <= 2 || told[0] != "slave" {
		return nil
	}
	return fmt.Errorf("%s, which the sentinels name as the master: %w of %v:%v", s.sentinels.current(), errReplica, told[1], told[2])
}

// inspect refuses a server that may evict keys, and warns about what else is wrong with it. A look does that, and not
// every connection: see askPolicy.
func (s *Store) inspect(ctx context.Context, node pipelined, address string) ([]concern, error) {
	found, err := ask(ctx, node)
	if err != nil {
		return nil, err
	}
	if r := found.refusal(address); r != nil {
		return nil, r
	}
	concerns := found.concerns(s.minReplicas, s.cluster != nil)
	for _, c := range concerns {
		s.warn(c)
	}
	return concerns, nil
}

// warn logs a concern once.
func (s *Store) warn(c concern) {
	s.mu.Lock()
	again := s.warned[c]
	s.warned[c] = true
	s.mu.Unlock()
	if !again {
		s.logger.Warn(c.fact, "hint", c.hint)
	}
}

// Concerns are what the last [Store.Ping] found that is no reason to refuse a server, but lets a crash or a failover
// bring back what was used or revoked, or keep people out: each a fact and what to do about it. Whoever reports health
// calls a node with concerns degraded.
func (s *Store) Concerns() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := make([]string, len(s.concerns))
	for i, c := range s.concerns {
		words[i] = c.fact + ": " + c.hint
	}
	return words
}

// admit lets calls pass, unless the last look at the server found that it must not be used. Then
// every call looks again first.
func (s *Store) admit(ctx context.Context) error {
	if s.refused.Load() == nil {
		return nil
	}
	return s.look(ctx)
}

// look inspects all masters, and remembers what it finds.
func (s *Store) look(ctx context.Context) error {
	var mu sync.Mutex
	var all []concern
	before, masters, met := s.refused.Load(), 0, false
	err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		concerns, err := s.inspect(ctx, node, node.Options().Addr)
		if r, ok := err.(*refusal); ok { //nolint:errorlint // inspect does not wrap it
			found := &refusal{setting: r.setting, value: r.value, address: node.Options().Addr} // a new connection does not know where it leads
			s.refused.Store(found)
			err = found
		}
		mine := before != nil && before.address == node.Options().Addr
		if mine && err == nil {
			s.refused.CompareAndSwap(before, nil) // it was mended, whatever the others do, unless it was refused again meanwhile
		}
		mu.Lock()
		defer mu.Unlock()
		masters, met = masters+1, met || mine
		for _, c := range concerns {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
		return err
	})
	if masters > 0 && !met {
		s.refused.CompareAndSwap(before, nil) // it is no master any more, whatever the others do
	}
	watched := s.watchers(ctx)
	s.mu.Lock()
	s.concerns = append(all, watched...)
	s.mu.Unlock()
	if err != nil && len(watched) > 0 {
		err = fmt.Errorf("%w; and %s", err, watched[len(watched)-1].fact)
	}
	return err
}

// watchers are the concerns about sentinels, if there are any.
func (s *Store) watchers(ctx context.Context) []concern {
	if s.sentinels == nil {
		return nil
	}
	concerns := s.sentinels.concerns(ctx)
	for _, c := range concerns {
		s.warn(c)
	}
	return concerns
}

// Ping implements [otp.Store]: it inspects every master, asks it for its time, and writes a key. The
// time is that of the master which answered last.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	return do(ctx, s, "ping", func(ctx context.Context) (time.Time, error) {
		if err := s.look(ctx); err != nil {
			return time.Time{}, err
		}
		var clock atomic.Pointer[time.Time]
		if err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			now, err := node.Time(ctx).Result()
			clock.Store(&now)
			return err
		}); err != nil {
			return time.Time{}, err
		}
		now, key := *clock.Load(), s.prefix+"ping"
		return now, s.run(ctx, []call{{key: key, args: []any{"set", key, strconv.FormatInt(now.Unix(), 10)}}})[0].Err()
	})
}

// Bound returns the fingerprint of the keyset that the store belongs to, "" when it is nobody's yet.
// Unlike [Store.Bind] it ties nothing.
func (s *Store) Bound(ctx context.Context) (string, error) {
	return do(ctx, s, "bound", func(ctx context.Context) (string, error) {
		fingerprint, err := s.client.Get(ctx, s.prefix+"keyset").Result()
		if errors.Is(err, redis.Nil) {
			return "", nil
		}
		return fingerprint, err
	})
}
