package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAPartThatHangsIsLeftBehind: the others are stopped all the same, in their order, and whoever looks at its
// context has the last word about itself.
func TestAPartThatHangsIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLifecycle(slog.New(slog.DiscardHandler))
		var stopped []string
		ends := func(name string) {
			l.onStop(name, func(context.Context) error {
				stopped = append(stopped, name)
				return nil
			})
		}
		never := make(chan struct{})
		ends("audit trail")
		l.onStop("store", func(context.Context) error {
			<-never
			return nil
		})
		l.onStop("mails", func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("two were not sent")
		})
		ends("radius")
		began := time.Now()
		err := l.stop()
		took := time.Since(began)
		close(never)
		if !slices.Equal(stopped, []string{"radius", "audit trail"}) {
			t.Errorf("stopped: %q", stopped)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stop store: it does not end") {
			t.Errorf("of the one that hangs: %v", err)
		}
		if !strings.Contains(err.Error(), "stop mails: two were not sent") {
			t.Errorf("of the one that looks at its context: %v", err)
		}
		if most := 2*partTime + partWords; took > most {
			t.Errorf("it took %v, of %v at most", took, most)
		}
	})
}
