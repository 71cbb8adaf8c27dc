package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp/redisstore/redistest"
)

// TestNobodyWaitsForWhatNobodyWasAsked: the masters of a batch are all ones that do not answer, and enough others find out
// already whether they do.
func TestNobodyWaitsForWhatNobodyWasAsked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := &cluster{store: &Store{timeout: time.Second}}
	var parts []*part
	for i := range 2 {
		p := &part{shard: new(shard), probe: true, which: []int{i}}
		p.shard.asked.Store(maxProbes)
		parts = append(parts, p)
	}
	cmds := make([]*redis.Cmd, len(parts))
	c.attempt(ctx, make([]call, len(parts)), parts, cmds)
	for i, cmd := range cmds {
		if !errors.Is(cmd.Err(), errSlowShard) {
			t.Errorf("call %d: %v", i, cmd.Err())
		}
	}
	c.attempt(ctx, nil, nil, nil) // nor for nothing at all
	if ctx.Err() != nil {
		t.Error("it waited until its time was over")
	}
}

// TestWhereACallIsSent: what servers say is followed, unless it names no host, or this machine where the server is none. The
// words are said by a real one.
func TestWhereACallIsSent(t *testing.T) {
	server := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	far := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"}) // which nobody connects to
	defer func() { _, _ = server.Close(), far.Close() }()
	for _, c := range []struct {
		says string
		from *redis.Client
		want string // "": it is not followed
		ask  bool
	}{
		{"MOVED 3999 127.0.0.1:6381", server, "127.0.0.1:6381", false},
		{"ASK 3999 127.0.0.1:6381", server, "127.0.0.1:6381", true},
		{"MOVED 3999 192.0.2.2:6381", far, "192.0.2.2:6381", false},
		{"ASK 3999 redis-2:6381", far, "redis-2:6381", true},
		{"MOVED 3999 127.0.0.1:6381", far, "", false},
		{"ASK 3999 127.0.0.1:6381", far, "", false},
		{"MOVED 3999 :6381", server, "", false},
		{"TRYAGAIN now", server, "", false},
	} {
		err := server.Eval(t.Context(), "return {err = ARGV[1]}", nil, c.says).Err()
		if !elsewhere(err) {
			t.Errorf("%s: %v is not of a call that belongs elsewhere", c.says, err)
		}
		r := redirects{options: &redis.Options{}}
		to, ok := r.follow(c.from, err)
		if ok != (c.want != "") || ok && (to.node.Options().Addr != c.want || to.asking != c.ask || !to.named) {
			t.Errorf("%s, said by %s: %+v, %v", c.says, c.from.Options().Addr, to, ok)
		}
		_ = r.close()
	}
	for _, err := range []error{nil, errors.New("broken off")} {
		if _, ok := (&redirects{options: &redis.Options{}}).follow(server, err); ok || elsewhere(err) {
			t.Errorf("%v is followed", err)
		}
	}
}
