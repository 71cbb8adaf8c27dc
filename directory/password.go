package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

const (
	// maxBinders is how many passwords of one directory are checked at the same time.
	maxBinders = 16
	// idleBinders is how many connections are kept for the next check.
	idleBinders = 4
)

// binders are the connections on which passwords are checked. A bind changes whom a connection
// belongs to, so each carries one check at a time, and never a search.
type binders struct {
	servers *servers
	slots   chan struct{}

	mu     sync.Mutex
	closed bool
	busy   []*connection
	idle   []*connection // the last one was used last
}

func newBinders(s *servers) *binders {
	return &binders{servers: s, slots: make(chan struct{}, maxBinders)}
}

func (b *binders) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, c := range b.idle {
		b.servers.metrics.connected(statePasswordIdle, -1)
		c.close()
	}
	b.idle = nil
	for _, c := range b.busy { // whoever uses it takes it off the list
		c.close()
	}
}

// authenticate binds as dn. It tells a refused password from a server that could not tell.
func (s *servers) authenticate(ctx context.Context, dn, password string) error {
	err := s.binders.check(ctx, dn, password)
	if err == nil || errors.Is(err, ErrPasswordWrong) || errors.Is(err, ErrPasswordEmpty) {
		return err
	}
	return fmt.Errorf("%w: bind: %w", ErrUnavailable, err)
}

func (b *binders) check(ctx context.Context, dn, password string) error {
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var tried []*server
	for {
		var reused bool
		var c *connection
		var err error
		if c, reused, tried, err = b.take(ctx, tried); err != nil {
			return err
		}
		attempt, cancel := b.servers.share(ctx, reused, tried)
		err = c.bind(attempt, dn, password)
		cancel()
		b.giveBack(c, err == nil || errors.Is(err, ErrPasswordWrong))
		tried = b.servers.settle(ctx, c, reused, tried, err)
		if !errors.Is(err, errBroken) || ctx.Err() != nil || len(tried) == len(b.servers.all) {
			return err
		}
	}
}

// take returns an idle connection that still lives, or a new one.
func (b *binders) take(ctx context.Context, tried []*server) (*connection, bool, []*server, error) {
	if c, err := b.takeIdle(tried); c != nil || err != nil {
		return c, true, tried, err
	}
	c, tried, err := b.servers.connect(ctx, false, tried)
	if err != nil {
		return nil, false, tried, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !c.use() {
		c.close()
		return nil, false, tried, errClosed
	}
	b.busy = append(b.busy, c)
	b.servers.metrics.connected(statePasswordBusy, 1)
	return c, false, tried, nil
}

func (b *binders) takeIdle(tried []*server) (*connection, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	for len(b.idle) > 0 {
		c := b.idle[len(b.idle)-1]
		b.idle = b.idle[:len(b.idle)-1]
		b.servers.metrics.connected(statePasswordIdle, -1)
		if b.servers.young(c) && !slices.Contains(tried, c.from) && c.use() {
			b.busy = append(b.busy, c)
			b.servers.metrics.connected(statePasswordBusy, 1)
			return c, nil
		}
		c.close()
	}
	return nil, nil
}

// giveBack keeps a connection for the next check if it is worth keeping.
func (b *binders) giveBack(c *connection, keep bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = slices.DeleteFunc(b.busy, func(other *connection) bool { return other == c })
	b.servers.metrics.connected(statePasswordBusy, -1)
	c.release()
	if !keep || b.closed || len(b.idle) >= idleBinders {
		c.close()
		return
	}
	b.idle = append(b.idle, c)
	b.servers.metrics.connected(statePasswordIdle, 1)
}
