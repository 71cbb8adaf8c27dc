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

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source))
	return &script{source: source, sha: hex.EncodeToString(sum[:])}
}

// scripts are all of them.
type scripts struct{ claim, add, rename, remove, ticket, note *script }

func newScripts() scripts {
	return scripts{
		claim: newScript(claimSource), add: newScript(addSource), rename: newScript(renameSource),
		remove: newScript(removeSource), ticket: newScript(ticketSource), note: newScript(noteSource),
	}
}

// load queues the loading of all scripts.
func (l *scripts) load(ctx context.Context, p redis.Pipeliner) (loaded []*redis.StringCmd) {
	for _, s := range []*script{l.claim, l.add, l.rename, l.remove, l.ticket, l.note} {
		loaded = append(loaded, p.ScriptLoad(ctx, s.source))
	}
	return loaded
}

// call is one script call. It can be made again, because a command cannot be sent twice.
type call struct {
	key   string
	args  []any // of the whole command
	once  bool  // must not be repeated after a lost reply
	plain bool  // of a claim that may share its call with others: see bundle
}

func newCall(s *script, key string, args ...any) call {
	return call{key: key, args: append([]any{"evalsha", &s.sha, "1", key}, args...)}
}

// only makes it a call that must not be repeated after a lost reply.
func (c call) only() call {
	c.once = true
	return c
}

// onceCmd is a command that the library does not repeat.
type onceCmd struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (onceCmd) NoRetry() bool { return true }

func (s *Store) loadScripts(ctx context.Context, node *redis.Client) error {
	pipe := node.Pipeline()
	s.scripts.load(ctx, pipe)
	_, err := pipe.Exec(ctx)
	return err
}
