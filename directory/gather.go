package directory

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

const (
	// ownSearches is how many searches of a directory are under way before lookups share one.
	ownSearches = 4
	// sharedLookups is how many share a search at most.
	sharedLookups = 32
	// apartFor is how long every lookup has a search of its own, after one that was shared did not tell: see ended.
	apartFor = time.Minute
)

// A gatherer lets lookups share searches when many come at once: those that arrive while enough
// searches are under way wait for one of them to end, and go together then. With 64 outstanding that is
// a third of the directory's work for each, and half of the node's.
//
//	searches under way   0 ... ownSearches-1   ownSearches
//	a lookup             a search of its own   waits, with the others
type gatherer struct {
	servers    *servers
	attributes []string

	mu      sync.Mutex
	running int
	waiting []*question
	apart   time.Time // until then nothing is shared
	said    bool      // that nothing is, since a shared search has told
}

// A question is a lookup that somebody waits for.
type question struct {
	lookup
	ctx  context.Context
	done chan outcome // has room for one
}

// find returns the one entry that a lookup describes.
func (g *gatherer) find(ctx context.Context, l lookup) outcome {
	q := &question{l, ctx, make(chan outcome, 1)}
	g.mu.Lock()
	if !l.together() || g.servers.now().Before(g.apart) {
		g.mu.Unlock()
		return g.servers.entry(ctx, l, g.attributes)
	}
	if g.running < ownSearches {
		g.running++
		g.mu.Unlock()
		defer g.release()
		return g.servers.entry(ctx, l, g.attributes)
	}
	g.waiting = append(g.waiting, q)
	g.mu.Unlock()
	select {
	case o := <-q.done:
		if errors.Is(o.err, errApart) {
			return g.servers.entry(ctx, l, g.attributes)
		}
		return o
	case <-ctx.Done():
		return outcome{err: fmt.Errorf("%w: search: %w", ErrUnavailable, context.Cause(ctx))}
	}
}

// release ends a search; those who wait get the next one.
func (g *gatherer) release() {
	batch := g.take()
	if len(batch) == 0 {
		return
	}
	go func() {
		for len(batch) > 0 {
			g.answer(batch)
			batch = g.take()
		}
	}()
}

// take returns those who go next, without those who gave up. When there are none, the search is over.
func (g *gatherer) take() (batch []*question) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) > 0 && len(batch) < sharedLookups {
		if q := g.waiting[0]; q.ctx.Err() == nil {
			batch = append(batch, q)
		}
		g.waiting[0] = nil
		g.waiting = g.waiting[1:]
	}
	if len(batch) == 0 {
		g.waiting = nil
		g.running--
	}
	return batch
}

// answer runs one search for all of them, and tells each what it found.
func (g *gatherer) answer(batch []*question) {
	defer func() {
		if p := recover(); p != nil { // on a goroutine of its own it would end the process
			g.servers.logger.Error("panic in directory look-up", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			g.tell(batch, nil, fmt.Errorf("%w: internal error", ErrUnavailable))
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(batch[0].ctx), g.servers.config.Timeout)
	defer cancel()
	if len(batch) == 1 {
		batch[0].done <- g.servers.entry(ctx, batch[0].lookup, g.attributes)
		return
	}
	lookups := make([]lookup, len(batch))
	for i, q := range batch {
		lookups[i] = q.lookup
	}
	outcomes, err := g.servers.entries(ctx, lookups, g.attributes)
	g.ended(err)
	g.tell(batch, outcomes, err)
}

// ended has nothing shared for a while after a search that does not tell: perhaps one for each lookup does. A directory
// that is away, or busy, tells those no more, and they would be too much for it when it is back and everybody asks.
func (g *gatherer) ended(err error) {
	away, answer := unreached{}, (*ldap.Error)(nil)
	if errors.As(err, &away) || errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork {
		return
	}
	g.mu.Lock()
	before := g.said
	if g.said = err != nil; g.said {
		g.apart = g.servers.now().Add(apartFor)
	}
	g.mu.Unlock()
	if err == nil {
		return
	}
	g.servers.metrics.parted.Inc()
	if !before {
		g.servers.logger.Warn("names are looked up one at a time, because the directory does not tell of several at once",
			"for", apartFor, "error", err)
	}
}

// parted reports whether nothing is shared now.
func (g *gatherer) parted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.servers.now().Before(g.apart)
}

// tell answers those who were not answered yet.
func (g *gatherer) tell(batch []*question, outcomes []outcome, err error) {
	for i, q := range batch {
		o := outcome{err: err}
		if err == nil {
			o = outcomes[i]
		}
		select {
		case q.done <- o:
		default:
		}
	}
}
