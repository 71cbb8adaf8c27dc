package bench

import (
	"context"
	"errors"
	"os"
	"time"
)

// ledger knows which of a population's codes were used in this step, so that nobody waits for the next one
// without need. Accounts are used in their order.
type ledger struct {
	population
	step int64
	next int    // the first account whose code was not used
	file string // changed whenever codes are used, for the next bench with the same databases; empty: none
}

// openLedger returns the ledger of a population, whose codes may have been used by a bench that has ended just now.
func openLedger(p population, file string, now time.Time) *ledger {
	l := &ledger{population: p, file: file}
	if at, err := os.Stat(file); err == nil && l.stepAt(at.ModTime()) == l.stepAt(now) {
		l.step, l.next = l.stepAt(now), p.accounts
	}
	return l
}

// slack is how long it may take until a generator has begun, and to see the last answers.
const slack = 2 * time.Second

func (l *ledger) stepAt(t time.Time) int64 { return t.UnixNano() / int64(l.period) }

// free returns the first of so many accounts whose codes can be used for so long from now on. It is false when
// the next step has to be waited for.
func (l *ledger) free(now time.Time, count int, long time.Duration) (first int, ok bool) {
	if l.stepAt(now) != l.step {
		l.step, l.next = l.stepAt(now), 0
	}
	fits := l.stepAt(now.Add(long+slack)) == l.step || long+slack > l.period
	return l.next, fits && l.next+count <= l.accounts
}

// used notes that so many accounts from the first on have logged in until now.
func (l *ledger) used(now time.Time, first, count int) error {
	l.step, l.next = l.stepAt(now), min(first+count, l.accounts)
	if l.file == "" {
		return nil
	}
	f, err := os.OpenFile(l.file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Chtimes(l.file, now, now))
}

// reserve waits until so many codes can be used for so long.
func (b *bench) reserve(ctx context.Context, l *ledger, count int, long time.Duration) (first int, err error) {
	count = min(count, l.accounts)
	for {
		now := b.Now()
		if first, ok := l.free(now, count, long); ok {
			return first, nil
		}
		t := time.NewTimer(now.Truncate(l.period).Add(l.period).Sub(now))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return 0, ctx.Err()
		}
	}
}
