package clock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	every    = 10 * time.Second
	patience = 2 * time.Second
	// setBy is how far a clock may move against the time that passes before it counts as set: NTP moves
	// one that it does not set by less than a thousandth.
	setBy = time.Second
)

// leftBehind is what a clock does to people when it is right again.
const leftBehind = "devices that were used while a clock was ahead are refused until that time has come: otpgate explain names them, " +
	"and who cannot wait revokes them and enrolls again"

// Options are what a Watch needs; all of it must be there, but Store.
type Options struct {
	Period time.Duration // of the codes: half of it is how far a clock may be off
	// Store tells the store's time, zero when it has none of its own. nil: there is nothing to compare with.
	Store      func(context.Context) (time.Time, error)
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// A Watch knows how far this node's clock is to be trusted. It is safe for concurrent use.
type Watch struct {
	options Options
	log     *slog.Logger
	metrics *instruments

	mu    sync.Mutex
	wrong bool      // the alarm is raised
	seen  time.Time // by the last look, with the reading of the monotonic clock if Now gives one
}

// New makes a Watch, which begins to look with Run.
func New(o Options) *Watch {
	return &Watch{
		options: o, log: o.Logger.With("component", "clock"),
		metrics: newInstruments(o.Registerer, o.Store != nil), seen: o.Now(),
	}
}

// Run looks at the clock every ten seconds, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.look()
		w.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask compares with the store. One that does not answer is for others to complain of.
func (w *Watch) ask(ctx context.Context) {
	if w.options.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before := w.options.Now()
	at, err := w.options.Store(ctx)
	if err == nil && !at.IsZero() {
		w.Compared(before, at, w.options.Now())
	}
}

// Compared takes in what the store's clock showed between two readings of this one, and returns words when
// they are more than half a period apart; "" else. It logs when that begins, and when it ends.
func (w *Watch) Compared(before, at, after time.Time) string {
	// Wall clock against wall clock: after may be less than before.
	off := before.Add(after.Sub(before) / 2).Sub(at)
	w.metrics.offset.Set(off.Seconds())
	w.mu.Lock()
	was := w.wrong
	w.wrong = off.Abs() > w.options.Period/2
	wrong := w.wrong
	w.mu.Unlock()
	ahead := off.Round(time.Millisecond).String()
	switch {
	case wrong && !was:
		w.log.Error("this node's clock is not the store's: codes that phones show may be refused here", "ahead_by", ahead,
			"hint", "set the time on the one that is wrong, and have both keep it by NTP; "+leftBehind)
	case was && !wrong:
		w.log.Info("this node's clock is the store's again", "ahead_by", ahead)
	}
	if !wrong {
		return ""
	}
	return fmt.Sprintf("this clock and the store's differ by %s", off.Abs().Round(time.Second))
}

// look finds out whether the clock was set since the last look: whether it moved by another time than passed.
func (w *Watch) look() {
	now := w.options.Now()
	w.mu.Lock()
	by := now.Round(0).Sub(w.seen.Round(0)) - now.Sub(w.seen)
	w.seen = now
	w.mu.Unlock()
	if by.Abs() < setBy {
		return
	}
	w.metrics.set.Inc()
	w.log.Warn("this node's clock was set", "forward_by", by.Round(time.Millisecond).String(),
		"hint", "codes are those of the new time: see to it that it is right; NTP keeps a clock without setting it; "+leftBehind)
}
