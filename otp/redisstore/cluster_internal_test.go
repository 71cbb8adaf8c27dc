package redisstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
