package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// partTime is how long each part gets to end. It is each part's own, so that one that hangs takes
	// nothing from the others.
	partTime = 5 * time.Second
	// partWords is how long a part that was told that its time is over has to say what it leaves undone.
	partWords = 500 * time.Millisecond
)

// lifecycle starts what serves and takes it down again in the reverse order.
//
// Whatever exists is registered the moment it exists, so that a start that fails half way leaves
// nothing behind.
type lifecycle struct {
	log    *slog.Logger
	mu     sync.Mutex
	stops  []stop
	failed chan error
	runs   sync.WaitGroup
}

type stop struct {
	name string
	run  func(context.Context) error
}

func newLifecycle(log *slog.Logger) *lifecycle {
	return &lifecycle{log: log, failed: make(chan error, 1)}
}

// onStop registers how to end something that exists from now on.
func (l *lifecycle) onStop(name string, run func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stops = append(l.stops, stop{name, run})
}

// serve runs something until shutdown makes run return; if run ends with an error before that,
// the process ends.
func (l *lifecycle) serve(name string, run func() error, shutdown func(context.Context) error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(); err != nil {
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	l.onStop(name, func(ctx context.Context) error {
		err := shutdown(ctx)
		select {
		case <-ended:
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
		return err
	})
}

// run runs something that a stop which was registered before makes return.
func (l *lifecycle) run(name string, run func() error) {
	l.runs.Go(func() {
		if err := run(); err != nil {
			l.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// fail ends the process with an error; the first one counts.
func (l *lifecycle) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
}

// stop takes everything down, the newest first, and reports all that went wrong.
func (l *lifecycle) stop() error {
	l.mu.Lock()
	stops := l.stops
	l.stops = nil
	l.mu.Unlock()
	var errs []error
	for i := len(stops) - 1; i >= 0; i-- {
		l.log.Debug("stopping", "part", stops[i].name)
		if err := within(partTime, stops[i].run); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", stops[i].name, err))
		}
	}
	ended := make(chan struct{})
	go func() {
		l.runs.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(partTime):
		errs = append(errs, errors.New("stop: something does not end"))
	}
	return errors.Join(errs...)
}

// within runs a part's stop for so long. One that looks at no context, as when a disk stands still under it, is
// left behind: those that come after it have their own to do.
func within(d time.Duration, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	ended := make(chan error, 1) // has room, for whoever is late
	go func() { ended <- run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(d + partWords):
		return fmt.Errorf("it does not end: %w", ctx.Err())
	}
}
