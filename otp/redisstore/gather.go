package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxAlone is how many small pipelines are under way before others wait to share one.
	maxAlone = 2
	// maxShared is how many calls share a pipeline at most.
	maxShared = 128
	// small is how many calls make a pipeline that is worth a round trip of its own.
	small = 8
	// maxWait is how long calls wait for others to end, in case that one hangs.
	maxWait = 20 * time.Millisecond
)

// gatherer has calls of many callers share pipelines: who comes while enough are under way waits for the end
// of one, and goes with all others who did. A call that comes alone goes at once.
type gatherer struct {
	store *Store

	mu      sync.Mutex
	active  int
	waiting *round // nil: nobody waits
}

// round is the callers who go together.
type round struct {
	members []*member
	calls   int
	left    bool
}

// member is one of them.
type member struct {
	ctx   context.Context //nolint:containedctx // of a caller who may leave before the round does
	calls []call
	cmds  chan []*redis.Cmd
}

// run makes calls, as Store.run does. They must be such as may run twice: the library repeats all of a pipeline
// or nothing.
func (g *gatherer) run(ctx context.Context, calls []call) []*redis.Cmd {
	g.mu.Lock()
	r := g.waiting
	if g.active < maxAlone || len(calls) >= small || r != nil && r.calls+len(calls) > maxShared {
		g.active++
		g.mu.Unlock()
		defer g.end()
		return g.store.run(ctx, calls)
	}
	if r == nil {
		r = new(round)
		g.waiting = r
		time.AfterFunc(maxWait, func() { g.start(r) })
	}
	m := &member{ctx: ctx, calls: calls, cmds: make(chan []*redis.Cmd, 1)}
	r.members = append(r.members, m)
	r.calls += len(calls)
	g.mu.Unlock()
	select {
	case cmds := <-m.cmds:
		return cmds
	case <-ctx.Done():
		return failed(ctx, len(calls), ctx.Err())
	}
}

// failed is so many commands with an error.
func failed(ctx context.Context, number int, err error) []*redis.Cmd {
	cmds := make([]*redis.Cmd, number)
	for i := range cmds {
		cmds[i] = redis.NewCmd(ctx)
		cmds[i].SetErr(err)
	}
	return cmds
}

// end has those go who have waited for it.
func (g *gatherer) end() {
	g.mu.Lock()
	g.active--
	r := g.waiting
	g.mu.Unlock()
	if r != nil {
		g.start(r)
	}
}

// start makes the calls of a round, unless somebody does already.
func (g *gatherer) start(r *round) {
	g.mu.Lock()
	again := r.left
	r.left = true
	if g.waiting == r {
		g.waiting = nil
	}
	if !again {
		g.active++
	}
	g.mu.Unlock()
	if again {
		return
	}
	if !g.store.begin() {
		g.mu.Lock()
		g.active--
		g.mu.Unlock()
		for _, m := range r.members {
			m.cmds <- failed(m.ctx, len(m.calls), errClosed)
		}
		return
	}
	g.store.crew.Go(func() {
		defer g.store.active.Done()
		defer g.end()
		g.together(r)
	})
}

// together makes the calls of those who have not left.
func (g *gatherer) together(r *round) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*g.store.timeout)
	defer cancel()
	calls := make([]call, 0, r.calls)
	here := r.members[:0]
	for _, m := range r.members {
		if m.ctx.Err() == nil {
			here, calls = append(here, m), append(calls, m.calls...)
		}
	}
	if len(calls) == 0 {
		return
	}
	cmds := g.store.run(ctx, calls)
	for _, m := range here {
		m.cmds <- cmds[:len(m.calls):len(m.calls)]
		cmds = cmds[len(m.calls):]
	}
}
