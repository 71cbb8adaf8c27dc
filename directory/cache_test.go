package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A rig is a cache with a directory that answers as the test says, and a clock that it moves.
type rig struct {
	*cache
	at      time.Time
	asked   atomic.Int64
	account *Account
	err     error
}

func newRig(t *testing.T, fresh, stale time.Duration) *rig {
	t.Helper()
	r := &rig{at: time.Unix(1_700_000_000, 0), account: &Account{ID: "1"}}
	c := Config{Fresh: fresh, Stale: stale, Timeout: time.Minute}
	r.cache = newCache(c, 100, nil, slog.New(slog.DiscardHandler), func() time.Time { return r.at })
	return r
}

func (r *rig) ask(context.Context) (*Account, error) {
	r.asked.Add(1)
	if r.err != nil {
		return nil, r.err
	}
	return r.account, nil
}

// expect finds alice, and says how often the directory must have been asked for it by then.
func (r *rig) expect(t *testing.T, asked int64, want error) {
	t.Helper()
	a, err := r.find(t.Context(), "alice", r.ask)
	if !errors.Is(err, want) || (err == nil) != (a != nil) || want == nil && err != nil {
		t.Errorf("find = %v, %v; want %v", a, err, want)
	}
	if got := r.asked.Load(); got != asked {
		t.Errorf("asked %d times, want %d", got, asked)
	}
}

func TestFreshAnswerIsNotAskedForAgain(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.expect(t, 1, nil)
	r.at = r.at.Add(time.Minute - 1)
	r.expect(t, 1, nil)
	r.at = r.at.Add(1)
	if _, known := r.known("alice"); known {
		t.Error("known when it is not fresh")
	}
	r.expect(t, 2, nil)
	r.at = r.at.Add(-time.Hour) // a clock set back makes nothing fresh for an hour
	r.expect(t, 3, nil)
}

// TestAnOutageThatComesAndGoesIsToldRarely: where the directory cannot tell of one account, it is unavailable and
// available again with each look-up for that. The log has that once in ten seconds, and both or neither of it; also when
// the clock is set back.
func TestAnOutageThatComesAndGoesIsToldRarely(t *testing.T) {
	var log strings.Builder
	r := newRig(t, time.Minute, time.Hour)
	r.logger = slog.New(slog.NewTextHandler(&log, nil))
	told := func() [2]int {
		text := log.String()
		return [2]int{strings.Count(text, "directory unavailable"), strings.Count(text, "directory available again")}
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Second, 1}, {saidEvery - time.Second - 1, 1}, {1, 2}, {saidEvery - 1, 2}, {-time.Hour, 3}} {
		r.at = r.at.Add(c.after)
		for range 3 {
			r.down("alice")
			r.up()
		}
		if got := told(); got != [2]int{c.want, c.want} {
			t.Errorf("%s later: unavailable %d and available again %d times, want %d each", c.after, got[0], got[1], c.want)
		}
	}
}

// TestAnswersOfOneTimeDoNotGrowOldTogether: those of each hundredth of a second, or of each microsecond, become old all
// over the last quarter, and none later than it may.
func TestAnswersOfOneTimeDoNotGrowOldTogether(t *testing.T) {
	for _, fresh := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		for _, apart := range []time.Duration{time.Microsecond, 10 * time.Millisecond} {
			var parts [10]int
			for n := range 1000 {
				life := lifetime(fresh, time.Duration(n)*apart)
				if life > fresh || life <= fresh*3/4 {
					t.Fatalf("fresh for %s of %s", life, fresh)
				}
				parts[10*(fresh-life)/(fresh/4+1)]++
			}
			for i, n := range parts {
				if n < 50 || n > 150 {
					t.Errorf("%s, %s apart: %d of 1000 in tenth %d", fresh, apart, n, i)
				}
			}
		}
	}
	r := newRig(t, time.Minute, time.Hour)
	r.at = r.at.Add(time.Microsecond)
	r.expect(t, 1, nil)
	life := lifetime(time.Minute, time.Microsecond)
	r.at = r.at.Add(life - 1)
	r.expect(t, 1, nil)
	r.at = r.at.Add(1)
	r.expect(t, 2, nil)
}

func TestNothingIsFreshWithoutFresh(t *testing.T) {
	r := newRig(t, 0, 0)
	r.expect(t, 1, nil)
	r.expect(t, 2, nil)
	r.err = ErrNotFound
	r.expect(t, 3, ErrNotFound)
	r.expect(t, 4, ErrNotFound)
	r.err = ErrUnavailable
	r.expect(t, 5, ErrUnavailable)
}

func TestOldAccountServesWhileTheDirectoryIsGone(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.expect(t, 1, nil)
	r.err = fmt.Errorf("%w: gone", ErrUnavailable)
	r.at = r.at.Add(time.Minute)
	r.expect(t, 2, nil)
	r.expect(t, 2, nil) // nobody waits for a directory that has just failed
	r.at = r.at.Add(probeEvery)
	r.expect(t, 3, nil) // but it is tried again
	r.expect(t, 3, nil)
	r.at = r.at.Add(time.Hour)
	r.expect(t, 4, ErrUnavailable) // older than Stale
	r.err = nil
	r.expect(t, 5, nil)
	r.at = r.at.Add(time.Minute)
	r.expect(t, 6, nil) // and it counts as there again
}

// TestOneAccountThatCannotBeToldIsNoOutage: the others' answers are no older than Fresh, however often somebody
// is asked for of whom the directory cannot tell.
func TestOneAccountThatCannotBeToldIsNoOutage(t *testing.T) {
	for _, remembered := range []bool{false, true} {
		r := newRig(t, time.Minute, 20*time.Hour)
		cannot := func(context.Context) (*Account, error) { return nil, fmt.Errorf("%w: too many groups", ErrUnavailable) }
		if remembered {
			if _, err := r.find(t.Context(), "bob", r.ask); err != nil {
				t.Fatal(err)
			}
			r.asked.Store(0)
		}
		r.expect(t, 1, nil)
		for asked := int64(2); asked < 20; asked++ {
			for range 60 { // more than a minute
				r.at = r.at.Add(1100 * time.Millisecond)
				if _, err := r.find(t.Context(), "bob", cannot); remembered != (err == nil) {
					t.Fatal(err)
				}
			}
			r.account = &Account{ID: fmt.Sprint(asked)}
			for range 3 { // it is bob's turn at times
				if _, err := r.find(t.Context(), "alice", r.ask); err != nil {
					t.Fatal(err)
				}
				r.at = r.at.Add(1100 * time.Millisecond)
			}
			if a, known := r.known("alice"); !known || a.ID != r.account.ID {
				t.Fatalf("alice is what she was: %v", a)
			}
		}
	}
}

// TestOldAccountsAreAtHandWhileTheDirectoryIsGone: nobody waits for one, but those whose turn it is to try.
func TestOldAccountsAreAtHandWhileTheDirectoryIsGone(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	atHand := func(want bool) {
		t.Helper()
		if a := r.atHand("alice"); (a != nil) != want {
			t.Errorf("at hand: %v", a)
		}
	}
	atHand(false)
	r.expect(t, 1, nil)
	atHand(true)
	r.at = r.at.Add(time.Minute)
	atHand(false) // the directory is there, as far as anybody knows
	r.err = ErrUnavailable
	r.expect(t, 2, nil)
	atHand(false) // somebody has to find out
	if _, err := r.find(t.Context(), "bob", r.ask); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	r.asked.Store(2)
	r.expect(t, 3, nil) // and it is bob of whom it could not tell last
	atHand(true)
	r.at = r.at.Add(probeEvery)
	atHand(false)
	atHand(false) // whoever looks does not use up the turn
	r.at = r.at.Add(probeEvery)
	r.expect(t, 4, nil)
	atHand(true)
	r.at = r.at.Add(-time.Hour)
	atHand(false) // of a clock that was set back
	r.at = r.at.Add(time.Hour)
	atHand(true)
	r.err = nil
	r.at = r.at.Add(2 * probeEvery)
	r.expect(t, 5, nil)
	r.at = r.at.Add(time.Minute)
	atHand(false) // it is back
	r.err = ErrUnavailable
	r.expect(t, 6, nil)
	r.at = r.at.Add(time.Hour)
	r.expect(t, 7, ErrUnavailable)
	atHand(false) // older than Stale
}

// TestWhoHasNoTimeSaysNothingAboutTheDirectory.
func TestWhoHasNoTimeSaysNothingAboutTheDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, half := range []time.Duration{-time.Second, telling - 1, telling} {
			r := newRig(t, time.Minute, time.Hour)
			r.expect(t, 1, nil)
			r.at = r.at.Add(time.Minute)
			release := make(chan struct{})
			hang := func(context.Context) (*Account, error) {
				<-release
				return r.account, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*half)
			if half > 0 { // else there is no deadline to wait for: it is over
				if a, err := r.find(ctx, "alice", hang); err != nil || a.ID != r.account.ID {
					t.Errorf("find = %v, %v", a, err)
				}
			} else {
				r.slow("alice", half)
			}
			cancel()
			if down, want := r.probeAt.Load() != 0, half >= telling; down != want {
				t.Errorf("after %s in vain: down is %v", half, down)
			}
			close(release)
			synctest.Wait()
		}
	})
}

// TestAClockThatWasSetBackPutsNothingOff: a directory that is back is asked, also when the next try was
// to be an hour from now.
func TestAClockThatWasSetBackPutsNothingOff(t *testing.T) {
	r := newRig(t, time.Minute, 5*time.Hour)
	r.expect(t, 1, nil)
	r.err = ErrUnavailable
	r.at = r.at.Add(2 * time.Hour)
	r.expect(t, 2, nil)
	r.at = r.at.Add(-time.Hour)
	r.expect(t, 3, nil)
	r.expect(t, 3, nil)
	r.at = r.at.Add(2 * probeEvery)
	r.expect(t, 4, nil)
}

func TestAccountThatIsGoneIsNotTrusted(t *testing.T) {
	for _, gone := range []error{ErrNotFound, ErrAmbiguous} {
		r := newRig(t, time.Minute, time.Hour)
		r.expect(t, 1, nil)
		r.at = r.at.Add(time.Minute)
		r.err = gone
		r.expect(t, 2, gone)
		r.at = r.at.Add(missingLife)
		r.err = ErrUnavailable
		r.expect(t, 3, ErrUnavailable)
	}
}

// TestTheLaterQuestionCounts: an answer that was long on its way takes nothing back of what was learned meanwhile.
func TestTheLaterQuestionCounts(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.expect(t, 1, nil)
	r.at = r.at.Add(time.Minute)
	while := func(a *Account, err error) {
		t.Helper()
		got, failed := r.find(t.Context(), "alice", func(context.Context) (*Account, error) {
			r.at = r.at.Add(time.Second)
			r.learned("alice", a, err, r.at)
			return r.account, nil
		})
		if failed != nil || got.Disabled != (a != nil && a.Disabled) {
			t.Errorf("find = %v, %v", got, failed)
		}
	}
	while(&Account{ID: "1", Disabled: true}, nil)
	if a, known := r.known("alice"); !known || !a.Disabled {
		t.Errorf("known: %v", a)
	}
	r.at = r.at.Add(time.Minute)
	while(nil, ErrNotFound)
	r.asked.Store(1)
	r.expect(t, 1, ErrNotFound)
	r.at = r.at.Add(missingLife)
	r.err = ErrUnavailable
	r.expect(t, 2, ErrUnavailable)
	// What a clock said that was ahead is no later.
	r.err = nil
	for _, ahead := range []error{nil, ErrNotFound} {
		r.learned("alice", &Account{ID: "2"}, ahead, r.at.Add(time.Hour))
		r.learned("alice", r.account, nil, r.at)
		if a, known := r.known("alice"); !known || a.ID != "1" {
			t.Errorf("known: %v", a)
		}
	}
}

// TestWhatIsLearnedWhileOneWaitsCounts, and how old an account is by then.
func TestWhatIsLearnedWhileOneWaitsCounts(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	for _, c := range []struct {
		age  time.Duration
		then func()
		want error
	}{
		{time.Minute, func() {}, nil},
		{time.Minute, func() { r.learned("alice", nil, ErrNotFound, r.at) }, ErrUnavailable},
		{time.Hour - 1, func() {}, nil},
		{time.Hour - 1, func() { r.at = r.at.Add(1) }, ErrUnavailable},
	} {
		r.learned("alice", r.account, nil, r.at)
		r.at = r.at.Add(c.age)
		a, err := r.find(t.Context(), "alice", func(context.Context) (*Account, error) {
			c.then()
			return nil, ErrUnavailable
		})
		if !errors.Is(err, c.want) || (err == nil) != (a != nil) {
			t.Errorf("after %s: %v, %v, want %v", c.age, a, err, c.want)
		}
		r.at = r.at.Add(missingLife)
	}
}

// TestWhatIsLearnedWhileManyWaitCounts as well: the account is looked up again when the search has failed.
func TestWhatIsLearnedWhileManyWaitCounts(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	c := &crowd{home: &home{cache: r.cache}}
	answer := func(want error) {
		t.Helper()
		if a := c.answer(&asked{key: "alice", trusted: true}, nil, ErrUnavailable); !errors.Is(a.Err, want) || (a.Err == nil) != (a.Account != nil) {
			t.Errorf("%v, %v, want %v", a.Account, a.Err, want)
		}
	}
	r.learned("alice", r.account, nil, r.at)
	answer(nil)
	r.at = r.at.Add(time.Hour)
	answer(ErrUnavailable)
	r.learned("alice", r.account, nil, r.at)
	answer(nil)
	r.learned("alice", nil, ErrNotFound, r.at)
	answer(ErrUnavailable)
}

// TestAReloadDuringAnOutageSaysWhenItIsOver.
func TestAReloadDuringAnOutageSaysWhenItIsOver(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.down("alice")
	var log bytes.Buffer
	next := newCache(Config{Fresh: time.Minute, Stale: time.Hour}, 100, r.cache, slog.New(slog.NewTextHandler(&log, nil)), r.now)
	next.down("alice")
	next.up()
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "available again") {
		t.Errorf("the log:\n%s", got)
	}
}

func TestUnusableEntryIsNotAnOutage(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.expect(t, 1, nil)
	r.at = r.at.Add(time.Minute)
	r.err = fmt.Errorf("%w: %w", ErrUnavailable, errEntryUnusable)
	r.expect(t, 2, nil)
	r.expect(t, 3, nil) // still asked every time
	r.down("bob")
	if r.learned("alice", nil, r.err, r.at); r.probeAt.Load() != 0 {
		t.Error("a directory that answers is taken for one that is away")
	}
}

func TestUnknownNameIsRememberedBriefly(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.err = ErrNotFound
	r.expect(t, 1, ErrNotFound)
	r.expect(t, 1, ErrNotFound)
	r.at = r.at.Add(missingLife)
	r.err = nil
	r.expect(t, 2, nil)
	r.expect(t, 2, nil)
}

func TestGuessedNamesPushOutNoAccount(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	r.expect(t, 1, nil)
	r.err = ErrNotFound
	for i := range 2 * missingSize {
		if _, err := r.find(t.Context(), fmt.Sprint("guess", i), r.ask); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	if _, known := r.known("alice"); !known {
		t.Error("alice was pushed out")
	}
	if size := r.missing.Len(); size > missingSize {
		t.Errorf("%d unknown names are remembered", size)
	}
	r.err = nil
	for i := range 1000 {
		if _, err := r.find(t.Context(), fmt.Sprint("person", i), r.ask); err != nil {
			t.Fatal(err)
		}
	}
	if size := r.memory.accounts.Len(); size > 100 {
		t.Errorf("%d accounts are remembered, want 100 at most", size)
	}
}

func TestOneQuestionForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute, time.Hour)
		release := make(chan struct{})
		slow := func(ctx context.Context) (*Account, error) {
			<-release
			if ctx.Err() != nil {
				t.Errorf("whoever gave up took the answer from the others: %v", ctx.Err())
			}
			return r.ask(ctx)
		}
		gaveUp, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { _, err := r.find(gaveUp, "alice", slow); first <- err }()
		synctest.Wait()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if a, err := r.find(t.Context(), "alice", slow); err != nil || a.ID != r.account.ID {
					t.Errorf("find = %v, %v", a, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
		close(release)
		all.Wait()
		if r.asked.Load() != 1 {
			t.Errorf("asked %d times", r.asked.Load())
		}
	})
}

func TestHangingDirectoryLeavesTimeToUseTheOldAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, time.Minute, time.Hour)
		r.expect(t, 1, nil)
		r.at = r.at.Add(time.Minute)
		ended := make(chan struct{})
		hang := func(ctx context.Context) (*Account, error) {
			defer close(ended)
			r.asked.Add(1)
			<-ctx.Done()
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for range 3 { // the first finds out, the others do not wait
			a, err := r.find(ctx, "alice", hang)
			if err != nil || a.ID != r.account.ID {
				t.Fatalf("find = %v, %v", a, err)
			}
		}
		deadline, _ := ctx.Deadline()
		if left := time.Until(deadline); left != time.Second {
			t.Errorf("%v of 2s left", left)
		}
		if r.asked.Load() != 2 {
			t.Errorf("asked %d times", r.asked.Load())
		}
		<-ended // after Timeout, although nobody waits
	})
}

func TestPanicInALookUpIsAnError(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	_, err := r.find(t.Context(), "alice", func(context.Context) (*Account, error) { panic("bug") })
	if !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	r.expect(t, 1, nil)
}
