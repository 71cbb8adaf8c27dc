package metrics

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func watching(checks ...Check) *watcher {
	return newWatcher(checks, slog.New(slog.DiscardHandler), time.Now)
}

func says(name string, state State, words string) Check {
	return Check{Name: name, Run: func(context.Context) (State, string) { return state, words }}
}

func TestTheWorstCheckDecides(t *testing.T) {
	for _, c := range []struct {
		states []State
		want   State
	}{
		{nil, OK},
		{[]State{OK, OK}, OK},
		{[]State{OK, Degraded, OK}, Degraded},
		{[]State{NotReady, Degraded}, NotReady},
		{[]State{OK, NotReady + 7}, NotReady}, // no such state
	} {
		var checks []Check
		for _, s := range c.states {
			checks = append(checks, says("part", s, ""))
		}
		h := watching(checks...).health(t.Context())
		if h.State != c.want || h.Draining || len(h.Checks) != len(c.states) {
			t.Errorf("checks %v: got %+v, want %v", c.states, h, c.want)
		}
	}
}

func TestDrainingIsNotReady(t *testing.T) {
	w := watching(says("store", OK, ""))
	w.draining.Store(true)
	if h := w.health(t.Context()); h.State != NotReady || !h.Draining || h.Checks[0].State != OK {
		t.Errorf("got %+v, want not ready though the store works", h)
	}
}

func TestACheckThatHangsIsNotReadyAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int32
		w := watching(says("before", OK, ""), Check{Name: "hangs", Run: func(context.Context) (State, string) {
			runs.Add(1)
			<-release // deaf to its context
			return OK, "back"
		}}, says("after", Degraded, "words"))
		start := time.Now()
		h := w.health(t.Context())
		if took := time.Since(start); took != checkTime {
			t.Errorf("took %v, want %v", took, checkTime)
		}
		want := []Result{{"before", OK, ""}, {"hangs", NotReady, "no answer"}, {"after", Degraded, "words"}}
		if h.State != NotReady || !slices.Equal(h.Checks, want) {
			t.Errorf("got %+v, want %+v", h, want)
		}
		for range 5 {
			time.Sleep(keepTime) // in the bubble: no real time
			if h = w.health(t.Context()); h.State != NotReady {
				t.Errorf("got %+v while it still hangs", h)
			}
		}
		if n := runs.Load(); n != 1 {
			t.Errorf("the check ran %d times while it hung, want once", n)
		}
		close(release)
		synctest.Wait()
		time.Sleep(keepTime)
		if h = w.health(t.Context()); h.State != Degraded || h.Checks[1].Words != "back" {
			t.Errorf("got %+v after it came back", h)
		}
	})
}

func TestAnswersAreKeptForASecond(t *testing.T) {
	now, runs := time.Unix(5000, 0), 0
	w := watching(Check{Name: "store", Run: func(context.Context) (State, string) {
		runs++
		return OK, strconv.Itoa(runs)
	}})
	w.now = func() time.Time { return now }
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { w.health(t.Context()) })
	}
	wg.Wait()
	now = now.Add(keepTime - 1)
	if h := w.health(t.Context()); runs != 1 || h.Checks[0].Words != "1" {
		t.Errorf("asked %d times within a second, want once", runs)
	}
	now = now.Add(1)
	if h := w.health(t.Context()); runs != 2 || h.Checks[0].Words != "2" {
		t.Errorf("asked %d times, want again after a second", runs)
	}
}

func TestAClockSetBackKeepsNothing(t *testing.T) {
	now, runs := time.Unix(5000, 0), 0
	w := watching(Check{Name: "store", Run: func(context.Context) (State, string) { runs++; return OK, "" }})
	w.now = func() time.Time { return now }
	w.health(t.Context())
	now = now.Add(-time.Hour)
	w.health(t.Context())
	if runs != 2 {
		t.Errorf("asked %d times, want twice: the answer would be kept for an hour", runs)
	}
}

func TestAnswersBelongToTheCaller(t *testing.T) {
	w := watching(says("store", OK, ""))
	w.now = func() time.Time { return time.Unix(5000, 0) }
	w.health(t.Context()).Checks[0].State = NotReady
	if h := w.health(t.Context()); h.State != OK {
		t.Errorf("got %+v: the first caller changed what the second sees", h)
	}
}

func TestWhoAsksCannotEndACheck(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := watching(Check{Name: "store", Run: func(ctx context.Context) (State, string) {
		if ctx.Err() != nil {
			return NotReady, ctx.Err().Error()
		}
		return OK, ""
	}})
	if h := w.health(ctx); h.State != OK {
		t.Errorf("got %+v, want the caller's cancellation to be nobody else's", h)
	}
}

func TestACheckThatPanicsIsNotReady(t *testing.T) {
	var log strings.Builder
	w := newWatcher([]Check{{Name: "store", Run: func(context.Context) (State, string) { panic("boom") }}},
		slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	h := w.health(t.Context())
	if h.State != NotReady || strings.Contains(h.Checks[0].Words, "boom") || h.Checks[0].Name != "store" {
		t.Errorf("got %+v", h)
	}
	if !strings.Contains(log.String(), "panic=boom") {
		t.Errorf("the log does not tell why:\n%s", log.String())
	}
}

func TestWordsAreOneLine(t *testing.T) {
	h := watching(says("directory corp", Degraded, "no\nstore: ok\r\n")).health(t.Context())
	if got, want := h.String(), "ready, degraded\ndirectory corp: degraded: no store: ok\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
