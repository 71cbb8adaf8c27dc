package posture

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"otpgate/otp"
)

// batchLength is how many notes are put with one call.
const batchLength = 256

// Flush stores what this node has counted, and learns what the other nodes have. It is to be called about
// every 10 seconds, after clients were added, and at the end. After an error nothing is lost: the next call
// takes it along. Errors wrap [otp.ErrUnavailable].
func (l *Ledger) Flush(ctx context.Context) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	now := l.now()
	step := l.watch.step(now)
	var notes []otp.Note
	var changed, proven, forgotten []*Client
	var failed error
	for _, c := range l.all() {
		found, err := l.notes.Notes(ctx, kindPosture, c.key, now)
		if err != nil {
			failed = err
			break
		}
		s := read(found, l.node, func(n otp.Note, err error) {
			l.log.Warn("a note cannot be read: nothing is proven by the others", "client", c.name, "field", n.Field, "error", err)
		})
		put, outcome := c.merge(s, now, step)
		if notes = append(notes, put...); len(put) > 0 {
			changed = append(changed, c)
		}
		switch outcome {
		case proves:
			proven = append(proven, c)
		case forgets:
			forgotten = append(forgotten, c)
		}
	}
	for batch := range slices.Chunk(notes, batchLength) {
		if err := l.notes.PutNotes(ctx, batch); err != nil {
			return fmt.Errorf("posture: %w", errors.Join(err, failed))
		}
	}
	for _, c := range changed {
		c.dirty, c.saved = false, c.own.Watched
	}
	for _, c := range proven {
		c.proven.Store(true)
		l.log.Info("client has proven that it always sends Message-Authenticator: from now on it is required", "client", c.name)
	}
	for _, c := range forgotten {
		c.proven.Store(false)
	}
	if failed != nil {
		return fmt.Errorf("posture: %w", failed)
	}
	return nil
}
