package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// errUnreplicated is a write that fewer replicas have confirmed than [Options.MinReplicas] wants.
var errUnreplicated = errors.New("too few replicas have confirmed the write")

// run makes all calls; the commands hold the replies and the errors, in the order of the calls. A call that
// has no answer may have been carried out.
func (s *Store) run(ctx context.Context, calls []call) []*redis.Cmd {
	if s.cluster != nil {
		return s.cluster.run(ctx, calls)
	}
	if s.sentinels == nil {
		return s.send(ctx, place{node: s.server}, calls)
	}
	before := s.sentinels.current()
	cmds := s.send(ctx, place{node: s.server}, calls)
	if suspect(cmds) && s.sentinels.changed(ctx, before) && repeatable(calls) {
		cmds = s.send(ctx, place{node: s.server}, calls)
	}
	return cmds
}

// shared makes calls as run does, in a pipeline with those of others when many are under way. In a cluster each
// goes alone: one master must not keep the accounts of others waiting.
func (s *Store) shared(ctx context.Context, calls []call) []*redis.Cmd {
	if s.cluster != nil {
		return s.run(ctx, calls)
	}
	return s.gatherer.run(ctx, calls)
}

// suspect reports whether the server may not be the master any more.
func suspect(cmds []*redis.Cmd) bool {
	for _, cmd := range cmds {
		if err := cmd.Err(); silent(err) || redis.IsReadOnlyError(err) {
			return true
		}
	}
	return false
}

// send makes calls in one pipeline. Those that Redis has refused without looking at an account are made again: because
// it has lost the scripts, after it was given them, or because it keeps accounts apart that shared a call.
func (s *Store) send(ctx context.Context, at place, calls []call) []*redis.Cmd {
	cmds := s.pipeline(ctx, at, calls)
	var refused []int
	lost := false
	for i, cmd := range cmds {
		switch err := cmd.Err(); {
		case err == nil:
			continue
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			lost = true
		case redis.HasErrorPrefix(err, "CROSSSLOT"):
			s.apart.Store(true)
		default:
			continue
		}
		refused = append(refused, i)
	}
	if len(refused) == 0 || lost && s.loadScripts(ctx, at.node) != nil {
		return cmds
	}
	for n, cmd := range s.pipeline(ctx, at, pick(calls, refused)) {
		cmds[refused[n]] = cmd
	}
	return cmds
}

func pick(calls []call, which []int) []call {
	picked := make([]call, len(which))
	for n, i := range which {
		picked[n] = calls[i]
	}
	return picked
}

// repeatable reports whether all calls may be made again after a lost reply.
func repeatable(calls []call) bool {
	for i := range calls {
		if calls[i].once {
			return false
		}
	}
	return true
}

// pipeline makes calls in one pipeline, which ends with one WAIT where replicas have to confirm.
func (s *Store) pipeline(ctx context.Context, at place, calls []call) []*redis.Cmd {
	cmds, batch := make([]*redis.Cmd, len(calls)), make([]redis.Cmder, 0, len(calls)+1)
	var bundles []bundle
	for i := 0; i < len(calls); i++ {
		if n := s.bundled(calls[i:]); n > 1 {
			b := newBundle(ctx, calls[i:i+n], cmds[i:i+n])
			bundles, batch = append(bundles, b), append(batch, b.cmd)
			i += n - 1
			continue
		}
		cmds[i] = redis.NewCmd(ctx, calls[i].args...)
		if at.asking {
			batch = append(batch, redis.NewCmd(ctx, "asking"))
		}
		if calls[i].once {
			batch = append(batch, onceCmd{cmds[i]})
		} else {
			batch = append(batch, cmds[i])
		}
	}
	var wait *redis.IntCmd
	if s.minReplicas > 0 {
		wait = s.wait(ctx)
		batch = append(batch, wait)
	}
	pipe := at.node.Pipeline()
	_ = pipe.BatchProcess(ctx, batch...)
	if _, err := pipe.Exec(ctx); err != nil {
		unsent(batch, err)
	}
	for i := range bundles {
		bundles[i].open()
	}
	if err := s.confirmed(wait); err != nil {
		for _, cmd := range cmds {
			if cmd.Err() == nil {
				cmd.SetErr(err)
			}
		}
	}
	return cmds
}

// unsent gives commands the error for which none was sent. As a rule each has its own; not where Redis has refused the
// new connection that they would have gone by, of which the library says nothing at any of them. It is not an answer of
// Redis's to them, and does not look like one.
func unsent(batch []redis.Cmder, err error) {
	if slices.ContainsFunc(batch, func(c redis.Cmder) bool { return c.Err() != nil }) {
		return
	}
	for _, c := range batch {
		c.SetErr(fmt.Errorf("new connection: %v", err)) //nolint:errorlint // see above
	}
}

// wait asks for the confirmation of all that was written on this connection, and of all that the master had
// written before. A connection that wrote nothing waits for nothing.
func (s *Store) wait(ctx context.Context) *redis.IntCmd {
	return redis.NewIntCmd(ctx, "wait", s.minReplicas, (s.timeout * 4 / 5).Milliseconds()) // less than reading may take
}

// confirmed is nil when enough replicas have confirmed, and when none has to.
func (s *Store) confirmed(wait *redis.IntCmd) error {
	if wait == nil {
		return nil
	}
	n, err := wait.Result()
	if err != nil {
		return err
	}
	if n < int64(s.minReplicas) {
		return fmt.Errorf("%w: %d of %d within %v", errUnreplicated, n, s.minReplicas, s.timeout*4/5)
	}
	return nil
}

// pause waits, and reports whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
