package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
// call that wanted the connection.
func (s *Store) connected(ctx context.Context, conn *redis.Conn) error {
	role, err := conn.Do(ctx, "role").Slice()
	if err == nil && len(role) > 0 && role[0] == "sentinel" {
		return nil
	}
	if err := s.inspect(ctx, conn, ""); err != nil {
		return fmt.Errorf("new connection: %w", err) // the library takes off what is outermost
	}
	pipe := conn.Pipeline()
	s.scripts.load(ctx, pipe)
	_, err = pipe.Exec(ctx)
	return err
}

// settings are what is known of a server; empty when it does not tell.
type settings struct{ maxmemory, policy, appendonly, save string }

// pipelined is what connections and clients have in common here.
type pipelined interface{ Pipeline() redis.Pipeliner }

// inspect refuses a server that may evict keys, and warns about one that keeps nothing on disk.
func (s *Store) inspect(ctx context.Context, node pipelined, address string) error {
	found, err := s.settings(ctx, node)
	if err != nil {
		return err
	}
	if found.policy == "" {
		s.unchecks.Do(func() {
			s.logger.Warn("redis does not tell its settings: neither its eviction policy nor its persistence could be checked", "hint", "allow CONFIG GET or INFO to this user, and see that maxmemory-policy is noeviction")
		})
	}
	if found.maxmemory != "" && found.maxmemory != "0" && found.policy != "" && found.policy != "noeviction" {
		return &refusal{setting: "maxmemory-policy", value: found.policy, address: address}
	}
	if found.appendonly == "no" && found.save == "" {
		s.unsaved.Do(func() {
			s.logger.Warn("redis keeps nothing on disk: after its restart used codes are accepted again, and all devices are gone", "hint", "set appendonly yes, and appendfsync always if the disk allows it")
		})
	}
	return nil
}

// settings asks with CONFIG GET, and with INFO when that is forbidden. What neither tells stays
// empty, but for save, which INFO never tells: unknown.
func (s *Store) settings(ctx context.Context, node pipelined) (settings, error) {
	pipe := node.Pipeline()
	names := []string{"maxmemory", "maxmemory-policy", "appendonly", "save"}
	gets := make([]*redis.MapStringStringCmd, len(names))
	for i, name := range names {
		gets[i] = pipe.ConfigGet(ctx, name)
	}
	_, err := pipe.Exec(ctx)
	if err == nil {
		return settings{gets[0].Val()["maxmemory"], gets[1].Val()["maxmemory-policy"], gets[2].Val()["appendonly"], gets[3].Val()["save"]}, nil
	}
	if !isReply(err) {
		return settings{}, err
	}
	pipe = node.Pipeline()
	info := []*redis.StringCmd{pipe.Info(ctx, "memory"), pipe.Info(ctx, "persistence")}
	if _, err := pipe.Exec(ctx); err != nil {
		if isReply(err) {
			return settings{save: "unknown"}, nil
		}
		return settings{}, err
	}
	text := info[0].Val() + "\r\n" + info[1].Val()
	return settings{infoField(text, "maxmemory"), infoField(text, "maxmemory_policy"), "", "unknown"}, nil
}

func infoField(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return value
		}
	}
	return ""
}

// isReply reports whether the server has answered, if only to refuse, and can be asked for something
// else.
func isReply(err error) bool {
	for _, prefix := range []string{"NOPERM", "ERR "} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
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
	err := s.eachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := s.inspect(ctx, node, node.Options().Addr)
		if r, ok := err.(*refusal); ok { //nolint:errorlint // inspect does not wrap it
			s.refused.Store(r)
		}
		return err
	})
	if err == nil {
		s.refused.Store(nil)
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
		now := *clock.Load()
		return now, s.client.Set(ctx, s.prefix+"ping", strconv.FormatInt(now.Unix(), 10), 0).Err()
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
