package redisstore

import (
	"context"
	"crypto/sha1"
	_ "embed" // the scripts
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/claim.lua
	claimSource string
	//go:embed lua/add.lua
	addSource string
	//go:embed lua/rename.lua
	renameSource string
	//go:embed lua/remove.lua
	removeSource string
	//go:embed lua/ticket.lua
	ticketSource string
	//go:embed lua/note.lua
	noteSource string
)

// script is Lua that Redis knows by the SHA-1 of its source.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source))
	return script{source: source, sha: hex.EncodeToString(sum[:])}
}

// scripts are all of them.
type scripts struct{ claim, add, rename, remove, ticket, note script }

func newScripts() scripts {
	return scripts{
		claim: newScript(claimSource), add: newScript(addSource), rename: newScript(renameSource),
		remove: newScript(removeSource), ticket: newScript(ticketSource), note: newScript(noteSource),
	}
}

// load queues the loading of all scripts.
func (l *scripts) load(ctx context.Context, p redis.Pipeliner) {
	for _, s := range []script{l.claim, l.add, l.rename, l.remove, l.ticket, l.note} {
		p.ScriptLoad(ctx, s.source)
	}
}

// call is one script call. It can be made again, because a command cannot be sent twice.
type call struct {
	script script
	key    string
	args   []any
	once   bool // must not be repeated after a lost reply
}

// onceCmd is a command that the library does not repeat.
type onceCmd struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (onceCmd) NoRetry() bool { return true }

func (c *call) queue(ctx context.Context, p redis.Pipeliner) *redis.Cmd {
	args := make([]any, 0, 4+len(c.args))
	args = append(append(args, "evalsha", c.script.sha, 1, c.key), c.args...)
	cmd := redis.NewCmd(ctx, args...)
	if c.once {
		_ = p.Process(ctx, onceCmd{cmd})
	} else {
		_ = p.Process(ctx, cmd)
	}
	return cmd
}

// run makes all calls in one pipeline; the commands hold the replies and the errors. Calls that
// Redis refuses because it has lost the scripts are made again after it was given them.
func (s *Store) run(ctx context.Context, calls []call) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(calls))
	pipe := s.client.Pipeline()
	for i := range calls {
		cmds[i] = calls[i].queue(ctx, pipe)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	var lost []int
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			lost = append(lost, i)
		}
	}
	if len(lost) == 0 || s.eachMaster(ctx, s.loadScripts) != nil {
		return cmds
	}
	pipe = s.client.Pipeline()
	for _, i := range lost {
		cmds[i] = calls[i].queue(ctx, pipe)
	}
	_, _ = pipe.Exec(ctx)
	return cmds
}

func (s *Store) loadScripts(ctx context.Context, node *redis.Client) error {
	pipe := node.Pipeline()
	s.scripts.load(ctx, pipe)
	_, err := pipe.Exec(ctx)
	return err
}
