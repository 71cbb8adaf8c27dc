package boltstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"otpgate/otp"
)

// holder holds slices of folds before they are written.
type holder struct {
	mu   sync.Mutex
	gate chan struct{} // nil: they are written at once
	held chan struct{} // gets one for each that is held
}

func newHolder() *holder { return &holder{held: make(chan struct{}, 100)} }

func (h *holder) hold() {
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	if gate != nil {
		h.held <- struct{}{}
		<-gate
	}
}

// close has slices held from now on, until open is called, at the latest by the end of the test.
func (h *holder) close(t *testing.T) (open func()) {
	t.Helper()
	gate := make(chan struct{})
	h.mu.Lock()
	h.gate = gate
	h.mu.Unlock()
	open = sync.OnceFunc(func() {
		h.mu.Lock()
		h.gate = nil
		h.mu.Unlock()
		close(gate)
	})
	t.Cleanup(open)
	return open
}

// pass lets one slice be written that is held.
func (h *holder) pass(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	gate := h.gate
	h.mu.Unlock()
	select {
	case gate <- struct{}{}:
	case <-time.After(10 * time.Second):
		t.Fatal("no slice is held")
	}
}

// wait waits until a slice is held.
func (h *holder) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.held:
	case <-time.After(10 * time.Second):
		t.Fatal("no slice is held")
	}
}

// until waits for what will be so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !so(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// waits has something done that waits for what is held. finish waits until it is over, when nothing is held any more.
func waits(t *testing.T, what string, do func()) (finish func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
		t.Errorf("%s did not wait", what)
	case <-time.After(100 * time.Millisecond):
	}
	return func() {
		t.Helper()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s is never over", what)
		}
	}
}

// people opens a store with these bounds, whose slices h holds, with so many accounts. Its journal has begun.
func people(t *testing.T, n int, h *holder, b bounds) *Store {
	t.Helper()
	b.hold = h.hold
	s, err := open(Options{Path: filepath.Join(t.TempDir(), "otp.db")}, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for n := range n {
		addDevice(t, s, accountName(n))
	}
	claimAll(t, s, 1, 99, 9, otp.Claimed)
	return s
}

// claimAll claims a step of the first n accounts.
func claimAll(t *testing.T, s *Store, n int, step int64, token byte, want otp.Answer) {
	t.Helper()
	for n := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if r := s.Claim(ctx, []otp.Claim{useStep(accountName(n), step, token)})[0]; r.Answer != want {
			t.Errorf("account %d, step %d: %+v", n, step, r)
		}
		cancel()
	}
}

// used has all of them find the step used and the next one good: in the store, after the death of its process, and
// after a stop.
func used(t *testing.T, s *Store, n int, step int64) {
	t.Helper()
	claimAll(t, s, n, step, 50, otp.Used)
	killed := openAt(t, Killed(t, s))
	claimAll(t, killed, n, step, 51, otp.Used)
	claimAll(t, killed, n, step+1, 51, otp.Claimed)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(s.options.Path + generationSuffix + "*"); len(left) != 0 || err != nil {
		t.Errorf("after a stop there is %v, %v", left, err)
	}
	again := openAt(t, s.options.Path)
	claimAll(t, again, n, step, 52, otp.Used)
	claimAll(t, again, n, step+1, 52, otp.Claimed)
}

const active = 40 // accounts, more than wait for a fold of some, and fewer than are too many

var some = bounds{remembered: 4, foldAccounts: 30, foldOctets: 1 << 20, foldSlice: 64}

// besideASlice opens a store in which all have claimed step 100, and a slice that has it is held until release.
func besideASlice(t *testing.T) (s *Store, release func()) {
	t.Helper()
	h := newHolder()
	s = people(t, active, h, some)
	release = h.close(t)
	claimAll(t, s, active, 100, 1, otp.Claimed)
	h.wait(t)
	return s, release
}

// TestClaimsDoNotWaitForASlice, and what they change while it is written outlives it: the slice has what was before.
func TestClaimsDoNotWaitForASlice(t *testing.T) {
	s, release := besideASlice(t)
	if err := s.do(t.Context(), &request{run: func(*commit) {
		if s.journal.current == nil {
			t.Error("the next claim would have to begin a generation")
		}
	}}); err != nil {
		t.Fatal(err)
	}
	claimAll(t, s, active, 101, 2, otp.Claimed)
	release()
	folded(t, s)
	used(t, s, active, 101)
}

// TestWhatIsFiledWaitsForASlice, which would put an older state in its place otherwise. The claims that came with it do
// not.
func TestWhatIsFiledWaitsForASlice(t *testing.T) {
	s, release := besideASlice(t)
	unhang := hangClaims(t, s)
	var claims sync.WaitGroup
	for n := range active {
		claims.Go(func() {
			if r := claimOne(s, useStep(accountName(n), 101, 2)); r.Answer != otp.Claimed {
				t.Errorf("account %d: %+v", n, r)
			}
		})
	}
	finish := waits(t, "a label", func() {
		until(t, "the claims are in the queue", func() bool { return len(s.queue) == active })
		go func() {
			until(t, "all are in the queue", func() bool { return len(s.queue) == active+1 })
			unhang()
		}()
		if err := s.RenameDevice(context.Background(), accountName(0), "device", "filed"); err != nil {
			t.Error(err)
		}
	})
	claims.Wait() // while the slice is held
	release()
	finish()
	folded(t, s)
	used(t, s, active, 101)
}

// hangClaims blocks the writer with what goes to the journal: a slice may be written meanwhile.
func hangClaims(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, released := make(chan struct{}), make(chan struct{})
	s.queue <- &request{ctx: context.Background(), done: make(chan struct{}), run: func(*commit) {
		close(begun)
		<-released
	}}
	<-begun
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	return release
}

// TestAGenerationIsNotBegunBesideASlice, whose last one says which are not needed any more.
func TestAGenerationIsNotBegunBesideASlice(t *testing.T) {
	s := people(t, active, newHolder(), bounds{remembered: 4, foldAccounts: 1000, foldOctets: 1 << 20, foldSlice: 64})
	claimAll(t, s, active, 100, 1, otp.Claimed)
	h := newHolder()
	b := some
	b.hold = h.hold
	path := Killed(t, s)
	gate := h.close(t)
	again, err := open(Options{Path: path}, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate(); _ = again.Close() })
	h.wait(t)
	finish := waits(t, "what begins a generation", func() { claimAll(t, again, 1, 101, 2, otp.Claimed) })
	gate()
	finish()
	killed := openAt(t, Killed(t, again))
	claimAll(t, killed, 1, 101, 3, otp.Used)
	claimAll(t, killed, active, 100, 3, otp.Used)
}

// TestADeathBesideASlice that is in the file, of which the writer does not know yet.
func TestADeathBesideASlice(t *testing.T) {
	s, release := besideASlice(t)
	claimAll(t, s, active, 101, 2, otp.Claimed)
	unhang := hangClaims(t, s)
	release()
	until(t, "the slice is over", func() bool { return len(s.journal.fold.slice.done) == 1 }) // of the writer alone, but it hangs
	path := copied(t, s)
	unhang()
	killed := openAt(t, path)
	claimAll(t, killed, active, 101, 3, otp.Used)
	claimAll(t, killed, active, 102, 3, otp.Claimed)
	folded(t, s)
	used(t, s, active, 101)
}

// TestASliceThatFailsWhileStatesChange is folded later: some with what they are then, the others with what they were.
func TestASliceThatFailsWhileStatesChange(t *testing.T) {
	const changed = active / 2
	s, release := besideASlice(t)
	claimAll(t, s, changed, 101, 2, otp.Claimed)
	handle := s.db.Load().handle // so that nothing is written
	if err := handle.Close(); err != nil {
		t.Fatal(err)
	}
	release()
	folded(t, s)
	if _, err := s.Ping(t.Context()); err == nil {
		t.Error("Ping does not tell")
	}
	claimAll(t, s, changed, 102, 3, otp.Claimed)
	folded(t, s)
	if _, err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for n := changed; n < active; n++ {
		if r := claimOne(s, useStep(accountName(n), 100, 4)); r.Answer != otp.Used {
			t.Errorf("account %d: %+v", n, r)
		}
	}
	used(t, s, changed, 102)
}

// TestASliceThatFailsInAFileThatWasReplaced: what is known is of the file that was there, and not of the one that was put in
// its place, which is looked at whole before anything is answered by it.
func TestASliceThatFailsInAFileThatWasReplaced(t *testing.T) {
	s, release := besideASlice(t)
	path := s.options.Path
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".backup", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".backup", path); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Load().handle.Close(); err != nil { // so that nothing is written
		t.Fatal(err)
	}
	release()
	over := time.After(10 * time.Second)
	for poll := time.Tick(time.Millisecond); s.db.Load() != nil; {
		select {
		case <-poll:
		case <-over:
			t.Fatal("the other file is used under what is known of the first")
		}
	}
	claimAll(t, s, active, 100, 2, otp.Used)
	claimAll(t, s, active, 101, 3, otp.Claimed)
}

// TestAGroupThatFailsBesideASlice looks at the file anew when the slice is over.
func TestAGroupThatFailsBesideASlice(t *testing.T) {
	s, release := besideASlice(t)
	claimAll(t, s, active, 101, 2, otp.Claimed)
	finish := waits(t, "a look at the file", func() {
		if err := s.do(t.Context(), &request{run: func(c *commit) { c.fail(errors.New("no")) }}); !errors.Is(err, otp.ErrUnavailable) {
			t.Error(err)
		}
	})
	release()
	finish()
	claimAll(t, s, active, 101, 3, otp.Used)
	claimAll(t, s, active, 102, 4, otp.Claimed) // it can be written: folds go on
	folded(t, s)
	used(t, s, active, 102)
}

// TestCloseWaitsForASlice and leaves nothing beside the file.
func TestCloseWaitsForASlice(t *testing.T) {
	s, release := besideASlice(t)
	claimAll(t, s, active, 101, 2, otp.Claimed)
	finish := waits(t, "Close", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	release()
	finish()
	if left, err := filepath.Glob(s.options.Path + "?*"); len(left) != 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	claimAll(t, openAt(t, s.options.Path), active, 101, 3, otp.Used)
}

// TestAStuckFileBesideASlice keeps nobody waiting, and is opened again when the slice is over; one that never is has the
// file to itself until the process ends.
func TestAStuckFileBesideASlice(t *testing.T) {
	for name, over := range map[string]bool{"over": true, "never": false} {
		t.Run(name, func(t *testing.T) {
			s, release := besideASlice(t)
			s.db.Load().stuck.Store(true) // as after a panic that left bbolt's locks taken
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if r := s.Claim(ctx, []otp.Claim{useStep(accountName(0), 101, 2)})[0]; !errors.Is(r.Err, ErrDamaged) {
					t.Errorf("%+v", r)
				}
				cancel()
			}
			if _, err := Open(Options{Path: s.options.Path}); !errors.Is(err, otp.ErrLocked) {
				t.Errorf("somebody else opens it: %v", err)
			}
			if over {
				release()
				until(t, "it works again", func() bool { return claimOne(s, useStep(accountName(0), 101, 2)).Answer == otp.Claimed })
				claimAll(t, s, active, 101, 2, otp.Claimed)
				folded(t, s)
				used(t, s, active, 101)
				return
			}
			path := copied(t, s)
			if err := s.Close(); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			claimAll(t, openAt(t, path), active, 100, 3, otp.Used)
		})
	}
}

// TestAJournalThatCannotBegin after a fold has begun: the file is looked at anew, and nobody is kept out for long.
func TestAJournalThatCannotBegin(t *testing.T) {
	s := people(t, active, newHolder(), some)
	claimAll(t, s, some.foldAccounts, 100, 1, otp.Claimed)
	next := s.generation(s.journal.last + 1) // of the writer alone, but it has nothing to do
	if err := os.MkdirAll(filepath.Join(next, "is no file"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := claimOne(s, useStep(accountName(some.foldAccounts), 100, 1)); r.Answer != otp.Claimed { // one too many
		t.Errorf("%+v", r)
	}
	if err := s.do(t.Context(), &request{run: func(*commit) {}}); !errors.Is(err, otp.ErrUnavailable) { // although it writes nothing
		t.Errorf("the file was not looked at anew: %v", err)
	}
	if err := os.RemoveAll(next); err != nil {
		t.Fatal(err)
	}
	claimAll(t, s, active, 101, 2, otp.Claimed)
	used(t, s, active, 101)
}

// TestClaimsWaitForAFoldThatIsBehind, so that what waits to be folded is bounded; each for one slice, not for all.
func TestClaimsWaitForAFoldThatIsBehind(t *testing.T) {
	const all = 200
	for name, b := range map[string]bounds{
		"accounts": {remembered: 4, foldAccounts: 20, foldOctets: 1 << 20, foldSlice: 4},
		"octets":   {remembered: 4, foldAccounts: 1000, foldOctets: 20 * 512, foldSlice: 4},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHolder()
			s := people(t, all, h, b)
			release := h.close(t)
			claim := func(n int, patience time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				return s.Claim(ctx, []otp.Claim{useStep(accountName(n), 100, 1)})[0].Err
			}
			most := hurry*20 - 2
			for n := range most {
				if err := claim(n, 10*time.Second); err != nil {
					t.Fatalf("account %d: %v", n, err)
				}
			}
			claimed := most
			for ; claimed < all && claim(claimed, time.Second) == nil; claimed++ {
			}
			if claimed > hurry*20+2 {
				t.Errorf("%d were claimed, and then no more", claimed)
			}
			if n := len(h.held); n != 1 {
				t.Errorf("%d slices are held", n)
			}
			h.pass(t) // one slice
			if err := claim(claimed+1, 10*time.Second); err != nil {
				t.Errorf("after a slice: %v", err)
			}
			release()
			for n := range all {
				r := claimOne(s, useStep(accountName(n), 100, 2))
				// Of the one that was not waited for nobody knows.
				if n != claimed && n <= claimed+1 && r.Answer != otp.Used || n > claimed+1 && r.Answer != otp.Claimed {
					t.Errorf("account %d: %+v", n, r)
				}
			}
		})
	}
}
