package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

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
// calls a node with concerns degraded. Of a server that did not answer they are what it was found with before.
func (s *Store) Concerns() []string {
	var words []string
	for _, c := range s.verdicts.concerns() {
		words = append(words, c.fact+": "+c.hint)
	}
	return words
}

// admit lets calls pass, unless the last look at the server found that it must not be used. Then
// every call looks again first.
func (s *Store) admit(ctx context.Context) error {
	if s.verdicts.refused.Load() == nil {
		return nil
	}
	return s.look(ctx)
}

// look inspects all masters, and remembers what it finds.
func (s *Store) look(ctx context.Context) error {
	began := s.verdicts.begin()
	var mu sync.Mutex
	var masters []string
	err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		address := node.Options().Addr
		mu.Lock()
		masters = append(masters, address)
		mu.Unlock()
		concerns, err := s.inspect(ctx, node, address)
		if r, ok := err.(*refusal); ok { //nolint:errorlint // inspect does not wrap it
			r = &refusal{setting: r.setting, value: r.value, address: address} // a new connection does not know where it leads
			s.verdicts.note(address, began, verdict{refusal: r})
			return r
		}
		if err == nil {
			s.verdicts.note(address, began, verdict{concerns: concerns})
		}
		return err
	})
	s.verdicts.keep(masters, began)
	if s.sentinels == nil {
		return err
	}
	watched := s.sentinels.concerns(ctx)
	for _, c := range watched {
		s.warn(c)
	}
	s.verdicts.note(watchers, began, verdict{concerns: watched})
	if err != nil && len(watched) > 0 {
		err = fmt.Errorf("%w; and %s", err, watched[len(watched)-1].fact)
	}
	return err
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
