package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// maxBundle is how many claims share a call: Redis does nothing else while it lasts, 10 µs for each as a rule.
const maxBundle = 64

// bundle is plain claims that share one call of claim.lua. What Redis spends on a call by itself, to read it, to
// prepare its arguments for Lua and to write its answer, it spends once for all of them.
type bundle struct {
	cmd  *redis.Cmd
	cmds []*redis.Cmd // of the claims
}

// problem is why a claim of a bundle has failed, as claim.lua tells it.
type problem string

func (p problem) Error() string { return string(p) }

// RedisError implements [redis.Error]: that is what it would be, had the claim a call of its own.
func (problem) RedisError() {}

// bundled is how many of calls, from the first on, go as one. In a cluster each goes by itself: no call may concern
// accounts of two slots there.
func (s *Store) bundled(calls []call) int {
	if s.cluster != nil || s.apart.Load() {
		return 1
	}
	n := 0
	for n < len(calls) && n < maxBundle && calls[n].plain {
		n++
	}
	return max(n, 1)
}

// newBundle makes the call of plain claims. Their own commands are never sent: they serve to hold the answers.
func newBundle(ctx context.Context, claims []call, cmds []*redis.Cmd) bundle {
	own := make([]redis.Cmd, len(claims))
	args := make([]any, 0, 3+plainParts*len(claims))
	args = append(args, claims[0].args[0], claims[0].args[1], len(claims))
	for i := range claims {
		cmds[i] = &own[i]
		args = append(args, claims[i].args[3])
	}
	for i := range claims {
		args = append(args, claims[i].args[4:]...)
	}
	return bundle{redis.NewCmd(ctx, args...), cmds}
}

// open gives each claim its own answer, or its own error. An answer that is not one for each is none for any.
func (b *bundle) open() {
	reply, err := b.cmd.Result()
	answers, _ := reply.([]any)
	if err == nil && len(answers) != len(b.cmds) {
		err = fmt.Errorf("unexpected reply: %T, %d answers to %d claims", reply, len(answers), len(b.cmds))
	}
	for i, cmd := range b.cmds {
		if err != nil {
			cmd.SetErr(err)
			continue
		}
		if text, failed := answers[i].(string); failed {
			cmd.SetErr(problem(text))
			continue
		}
		cmd.SetVal(answers[i])
	}
}
