package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"otpgate/otp/recall"
)

const (
	// missing bounds what is remembered of names that nobody has: apart from the accounts, so that
	// guessed names push out none of them, and briefly, so that a new account can log in.
	missingSize = 10_000
	missingLife = 3 * time.Second
	// probeEvery is how often one look-up waits for a directory that did not answer, while the
	// others get the account that is remembered at once.
	probeEvery = 3 * time.Second
	// telling is how long somebody has to have waited in vain for that to say anything about the directory.
	telling = 200 * time.Millisecond
	// saidEvery is how often it is said that the directory is unavailable, at most.
	saidEvery = 10 * time.Second
)

// A cache remembers what one directory said about names.
//
//	age of the answer   0 ........ Fresh .................. Stale ........
//	known               answer     -                        -
//	atHand              answer     answer, while            -
//	                               unavailable
//	find                answer     asks; if unavailable     asks
//	                               the old account
//
// Answers of one time do not all become old at one time, or all who logged in after a start would be asked for again
// at once: each has up to a quarter less than Fresh. See lifetime.
//
// The answer "no such account" lives for missingLife, or Fresh if that is shorter.
type cache struct {
	fresh, stale, timeout time.Duration
	memory                *memory
	missing               *recall.Cache[absence]
	flights               singleflight.Group
	probeAt               atomic.Int64           // unix nanoseconds; 0: the directory answers
	untold                atomic.Pointer[string] // the name of which it could not tell last
	saidAt                atomic.Int64           // when it was last said to be unavailable; unix nanoseconds
	said                  atomic.Bool            // and not that it is available again
	logger                *slog.Logger
	now                   func() time.Time
}

// An absence is the error that says why there is no account with a name.
type absence struct {
	err error
	at  time.Time
}

// newCache makes a cache. before is one of the same directory, of which the new one takes over what is
// remembered, and whether the directory answers; nil: none.
func newCache(c Config, size int, before *cache, logger *slog.Logger, now func() time.Time) *cache {
	made := &cache{fresh: c.Fresh, stale: c.Stale, timeout: c.Timeout, logger: logger, now: now}
	made.missing = recall.New[absence](missingSize, nil, nil)
	if before != nil {
		made.memory = before.memory
		made.probeAt.Store(before.probeAt.Load())
		made.saidAt.Store(before.saidAt.Load())
		made.said.Store(before.said.Load())
	} else {
		made.memory = newMemory(logger, now)
	}
	made.memory.resize(size)
	made.memory.counts.Store(int64(max(c.Fresh, c.Stale)))
	return made
}

// known returns an account that is remembered and fresh.
func (c *cache) known(key string) (*Account, bool) {
	if e := c.memory.accounts.Get(key); c.isFresh(e) {
		return &e.account, true
	}
	return nil, false
}

// atHand returns an account for which nobody has to wait: one that is known, or, while the directory does not answer and
// it is nobody's turn to try, one to go on with. Nil: there is none.
func (c *cache) atHand(key string) *Account {
	e := c.memory.accounts.Get(key)
	if c.isFresh(e) {
		return &e.account
	}
	if at := c.probeAt.Load(); at == 0 || due(at, c.now()) || !c.isTrusted(e) {
		return nil
	}
	return &e.account
}

// old returns an account to go on with while the directory cannot tell.
func (c *cache) old(key string) (*Account, bool) {
	if e := c.memory.accounts.Get(key); c.isTrusted(e) {
		return &e.account, true
	}
	return nil, false
}

// isFresh reports whether an entry, which may be nil, is one that nobody need ask about.
func (c *cache) isFresh(e *entry) bool {
	return e != nil && c.fresh > 0 && within(c.memory.age(e.at), lifetime(c.fresh, e.at))
}

// isTrusted reports whether it is one to go on with while the directory cannot tell.
func (c *cache) isTrusted(e *entry) bool { return e != nil && within(c.memory.age(e.at), c.stale) }

// lifetime is how long an answer is fresh that was asked for at a time: as if drawn by lot from the last quarter of fresh.
// Those of one search have the same.
func lifetime(fresh, at time.Duration) time.Duration {
	const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: neighbours come out far apart (Knuth, TAOCP 6.4)
	lot := uint64(at) * odd >> 32
	return fresh - time.Duration(lot*uint64(fresh/4>>16)>>16)
}

// find returns what is remembered if it is fresh, and else calls ask, once for all who want the
// same name at the same time. ask has a context of its own: a caller who gives up takes nothing
// from the others, and what they learn is remembered.
func (c *cache) find(ctx context.Context, key string, ask func(context.Context) (*Account, error)) (*Account, error) {
	a, trusted, err := c.remembered(key)
	if a != nil || err != nil {
		return a, err
	}
	if !trusted {
		return c.fly(ctx, key, ask)
	}
	patience, half := ctx, time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok { // whoever gets the old account still has something to do with it
		half = time.Until(deadline) / 2
		var cancel context.CancelFunc
		patience, cancel = context.WithTimeout(ctx, half)
		defer cancel()
	}
	a, err = c.fly(patience, key, ask)
	if !errors.Is(err, ErrUnavailable) {
		return a, err
	}
	if ctx.Err() == nil && patience.Err() != nil { // not an answer, and not the caller gone
		c.slow(key, half)
	}
	if old, ok := c.old(key); ok { // as others have learned meanwhile
		return old, nil
	}
	return nil, err
}

// remembered returns the account, or the error that says that there is none, if the directory need not be asked.
// Else trusted says that there is one to go on with when it cannot tell: see old.
func (c *cache) remembered(key string) (a *Account, trusted bool, err error) {
	if a, ok := c.known(key); ok {
		return a, false, nil
	}
	if r := c.missing.Get(key); r != nil && within(c.now().Sub(r.at), min(c.fresh, missingLife)) {
		return nil, false, r.err
	}
	old, ok := c.old(key)
	if ok && !c.mayProbe(key) {
		return old, false, nil
	}
	return nil, ok, nil
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
	return c.learned(key, a, err, at), err
}

// learned remembers what the directory said of a name that it was asked for at a time, and returns the account
// as it is remembered. Of two answers the one counts that was asked for later, whichever comes first; "no such account",
// which lets nobody in, always does.
func (c *cache) learned(key string, a *Account, err error, at time.Time) *Account {
	switch {
	case err == nil:
		if !c.goneSince(key, at) {
			c.missing.Delete(key)
			a = c.memory.keep(key, a, at)
		}
		c.up()
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrAmbiguous):
		c.memory.accounts.Delete(key) // what is gone is not trusted when the directory goes
		c.missing.Put(key, 1, absence{err, at}, nil)
		c.up()
	case errors.Is(err, errEntryUnusable): // that is one entry's fault, and an answer
		c.up()
	default:
		c.down(key)
	}
	return a
}

// goneSince reports whether there was no account with a name when the directory was asked after a time.
func (c *cache) goneSince(key string, at time.Time) bool {
	r := c.missing.Get(key)
	return r != nil && r.at.After(at) && !r.at.After(c.now()) // else it is of a wrong clock
}

// within reports whether an answer of an age is younger than life. One from the future is of a wrong
// clock, and of no use.
func within(age, life time.Duration) bool { return age >= 0 && age < life }

// mayProbe reports whether a caller who has something to fall back on should wait for the
// directory: always while it answers, and else one caller every probeEvery. Who wants the account that it could not tell
// of last comes after all others, in whose way that one would stand.
func (c *cache) mayProbe(key string) bool {
	at, now := c.probeAt.Load(), c.now()
	if at == 0 {
		return true
	}
	if late := time.Duration(now.UnixNano() - at); late >= 0 && late < probeEvery {
		if untold := c.untold.Load(); untold != nil && *untold == key {
			return false
		}
	}
	return due(at, now) && c.probeAt.CompareAndSwap(at, now.Add(probeEvery).UnixNano())
}

// due reports whether it is time to try a directory that did not answer. Nothing is put off for longer than probeEvery:
// more is a clock that was set back.
func due(at int64, now time.Time) bool {
	left := time.Duration(at - now.UnixNano())
	return left <= 0 || left > probeEvery
}

// slow notes that somebody has waited for so long for the directory, and has no answer.
func (c *cache) slow(key string, waited time.Duration) {
	if waited >= telling {
		c.down(key)
	}
}

// down notes that the directory could not tell of a name. Whoever asks for another one next finds out at once whether it
// was that one account, which must not keep everybody on what is remembered; then it is tried every probeEvery.
func (c *cache) down(key string) {
	c.untold.Store(&key)
	now := c.now().UnixNano()
	if !c.probeAt.CompareAndSwap(0, now) {
		return
	}
	// Where it is one account, it comes and goes with that.
	if last := c.saidAt.Load(); last == 0 || now-last >= int64(saidEvery) || now < last {
		c.saidAt.Store(now)
		c.said.Store(true)
		c.logger.Error("directory unavailable", "trusting_known_accounts_for", c.stale)
	}
}

func (c *cache) up() {
	if c.probeAt.Load() != 0 && c.probeAt.Swap(0) != 0 && c.said.Swap(false) {
		c.logger.Info("directory available again")
	}
}
