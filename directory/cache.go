package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"
)

const (
	defaultCacheSize = 100_000
	// missing bounds what is remembered of names that nobody has: apart from the accounts, so that
	// guessed names push out none of them, and briefly, so that a new account can log in.
	missingSize = 10_000
	missingLife = 3 * time.Second
	// probeEvery is how often one look-up waits for a directory that did not answer, while the
	// others get the account that is remembered at once.
	probeEvery = 3 * time.Second
)

// A cache remembers what one directory said about names.
//
//	age of the answer   0 ........ Fresh ................ Stale ........
//	known               answer     -                      -
//	find                answer     asks; if unavailable   asks
//	                               the old account
//
// The answer "no such account" lives for missingLife, or Fresh if that is shorter.
type cache struct {
	fresh, stale, timeout time.Duration
	accounts              *otter.Cache[string, remembered]
	missing               *otter.Cache[string, remembered]
	flights               singleflight.Group
	probeAt               atomic.Int64 // unix nanoseconds; 0: the directory answers
	logger                *slog.Logger
	now                   func() time.Time
}

// remembered is an answer: an account, or the error that says why there is none.
type remembered struct {
	account *Account
	err     error
	at      time.Time
}

func newCache(c Config, size int, logger *slog.Logger, now func() time.Time) (*cache, error) {
	if size == 0 {
		size = defaultCacheSize
	}
	accounts, err := otter.New(&otter.Options[string, remembered]{MaximumSize: size})
	if err != nil {
		return nil, err
	}
	missing, err := otter.New(&otter.Options[string, remembered]{MaximumSize: missingSize})
	if err != nil {
		return nil, err
	}
	return &cache{
		fresh: c.Fresh, stale: c.Stale, timeout: c.Timeout,
		accounts: accounts, missing: missing, logger: logger, now: now,
	}, nil
}

// copy learns what another cache knows of the same directory, and whether it answers.
func (c *cache) copy(from *cache) {
	for key, r := range from.accounts.All() {
		c.accounts.Set(key, r)
	}
	c.probeAt.Store(from.probeAt.Load())
}

// known returns an account that is remembered and fresh.
func (c *cache) known(key string) (*Account, bool) {
	if c.fresh == 0 {
		return nil, false
	}
	r, ok := c.accounts.GetIfPresent(key)
	if !ok || !c.within(r, c.fresh) {
		return nil, false
	}
	return r.account, true
}

// find returns what is remembered if it is fresh, and else calls ask, once for all who want the
// same name at the same time. ask has a context of its own: a caller who gives up takes nothing
// from the others, and what they learn is remembered.
func (c *cache) find(ctx context.Context, key string, ask func(context.Context) (*Account, error)) (*Account, error) {
	if a, ok := c.known(key); ok {
		return a, nil
	}
	if r, ok := c.missing.GetIfPresent(key); ok && c.within(r, min(c.fresh, missingLife)) {
		return nil, r.err
	}
	old, ok := c.accounts.GetIfPresent(key)
	if !ok || !c.within(old, c.stale) {
		return c.fly(ctx, key, ask)
	}
	if !c.mayProbe() {
		return old.account, nil
	}
	patience := ctx
	if deadline, ok := ctx.Deadline(); ok { // whoever gets the old account still has something to do with it
		var cancel context.CancelFunc
		patience, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	a, err := c.fly(patience, key, ask)
	if !errors.Is(err, ErrUnavailable) {
		return a, err
	}
	if ctx.Err() == nil && patience.Err() != nil { // not an answer: the directory is slow, and not the caller gone
		c.down()
	}
	return old.account, nil
}

// fly waits for ask, or for the caller's context.
func (c *cache) fly(ctx context.Context, key string, ask func(context.Context) (*Account, error)) (*Account, error) {
	flight := c.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		return c.learn(ctx, key, ask)
	})
	select {
	case r := <-flight:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Account), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// learn asks, and remembers the answer.
func (c *cache) learn(ctx context.Context, key string, ask func(context.Context) (*Account, error)) (a *Account, err error) {
	defer func() {
		if p := recover(); p != nil { // on a goroutine of its own it would end the process
			c.logger.Error("panic in directory look-up", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			a, err = nil, fmt.Errorf("%w: internal error", ErrUnavailable)
		}
	}()
	at := c.now() // the answer is not younger than the question
	a, err = ask(ctx)
	switch {
	case err == nil:
		c.missing.Invalidate(key)
		c.accounts.Set(key, remembered{account: a, at: at})
		c.up()
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrAmbiguous):
		c.accounts.Invalidate(key) // what is gone is not trusted when the directory goes
		c.missing.Set(key, remembered{err: err, at: at})
		c.up()
	case !errors.Is(err, errEntryUnusable): // that is one entry's fault
		c.down()
	}
	return a, err
}

func (c *cache) within(r remembered, life time.Duration) bool {
	age := c.now().Sub(r.at)
	return age >= 0 && age < life
}

// mayProbe reports whether a caller who has something to fall back on should wait for the
// directory: always while it answers, and else one caller every probeEvery.
func (c *cache) mayProbe() bool {
	at, now := c.probeAt.Load(), c.now()
	return at == 0 || now.UnixNano() >= at && c.probeAt.CompareAndSwap(at, now.Add(probeEvery).UnixNano())
}

func (c *cache) down() {
	if c.probeAt.Swap(c.now().Add(probeEvery).UnixNano()) == 0 {
		c.logger.Error("directory unavailable", "trusting_known_accounts_for", c.stale)
	}
}

func (c *cache) up() {
	if c.probeAt.Load() != 0 && c.probeAt.Swap(0) != 0 {
		c.logger.Info("directory available again")
	}
}

func (c *cache) close() {
	c.accounts.StopAllGoroutines()
	c.missing.StopAllGoroutines()
}
