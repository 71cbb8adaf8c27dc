package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
	"otpgate/otp/storetest"
)

var noon = time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func addDevice(t *testing.T, s otp.Store, account string) {
	t.Helper()
	errs, err := s.AddDevices(context.Background(), []otp.Device{{Account: account, ID: "device", Sealed: []byte("sealed"), Digits: 6, Period: time.Minute}}, 0)
	if err = errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
}

func useStep(account string, step int64, token byte) otp.Claim {
	return otp.Claim{Kind: otp.UseStep, Account: account, Version: 1, Device: "device", Step: step, Token: otp.Token{token}, Now: noon}
}

func claimOne(s otp.Store, c otp.Claim) otp.Receipt {
	return s.Claim(context.Background(), []otp.Claim{c})[0]
}

// TestDiskThatCannotBeWritten runs in a child whose files may not grow: the kernel refuses its
// writes with EFBIG, as it would with ENOSPC on a full disk.
func TestDiskThatCannotBeWritten(t *testing.T) {
	if os.Getenv("OTPGATE_BOLTSTORE_DISK") != "" {
		for _, limit := range []uint64{0, 512, 1024} {
			t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) { testDisk(t, limit) })
		}
		for _, limit := range []uint64{12 << 10, 16 << 10, 20 << 10, 24 << 10, 32 << 10, 48 << 10} {
			t.Run(fmt.Sprint("some writes below ", limit), func(t *testing.T) { testHalfADisk(t, limit) })
		}
		t.Run("no room to fold", testNoRoomToFold)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestDiskThatCannotBeWritten$", "-test.v")
	child.Env = append(os.Environ(), "OTPGATE_BOLTSTORE_DISK=1")
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestDiskThatCannotBeWritten/limit_0")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// limitFiles forbids this process to write at or beyond the offset; it returns what undoes that.
func limitFiles(t *testing.T, offset uint64) (undo func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: offset, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

func testDisk(t *testing.T, limit uint64) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	undo := limitFiles(t, limit)
	for range 3 {
		var waiting sync.WaitGroup
		for n := range 64 {
			waiting.Go(func() {
				r := claimOne(s, useStep("a", int64(101+n), byte(10+n)))
				if !errors.Is(r.Err, otp.ErrUnavailable) || r.Answer != otp.NoAnswer {
					t.Errorf("claim on a disk that cannot be written: %+v", r)
				}
			})
		}
		waiting.Wait()
	}
	if _, err := s.Ping(context.Background()); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	if err := s.RemoveDevice(context.Background(), "a", "device"); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("RemoveDevice: %v", err)
	}
	if snap, err := s.Devices(context.Background(), "a"); err != nil || snap.Devices[0].LastStep != 100 {
		t.Errorf("what is on disk can be read: %+v, %v", snap, err)
	}
	undo()
	if _, err := s.Ping(context.Background()); err != nil {
		t.Fatalf("the store does not recover: %v", err)
	}
	check := func(s otp.Store, step int64, token byte, want otp.Answer) {
		t.Helper()
		if r := claimOne(s, useStep("a", step, token)); r.Answer != want {
			t.Errorf("step %d: %+v, want answer %d", step, r, want)
		}
	}
	check(s, 100, 2, otp.Used)
	check(s, 100, 1, otp.Claimed)
	check(s, 101, 200, otp.Claimed) // not used in memory alone
	check(s, 101, 201, otp.Used)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	check(again, 101, 202, otp.Used)
	check(again, 102, 203, otp.Claimed)
}

// testHalfADisk lets some transactions through, and some pages of others.
func testHalfADisk(t *testing.T, limit uint64) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 99, 99)); r.Answer != otp.Claimed { // which begins a journal
		t.Fatalf("%+v", r)
	}
	undo := limitFiles(t, limit)
	defer undo()
	var mu sync.Mutex
	var claimed []int64
	for round := range 5 {
		var waiting sync.WaitGroup
		for n := range 32 {
			waiting.Go(func() {
				step := int64(100 + 32*round + n)
				if r := claimOne(s, useStep("a", step, byte(step))); r.Answer == otp.Claimed {
					mu.Lock()
					claimed = append(claimed, step)
					mu.Unlock()
				}
			})
		}
		waiting.Wait()
	}
	undo()
	if _, err := s.Ping(context.Background()); err != nil {
		t.Fatalf("the store does not recover: %v", err)
	}
	usedUp := func(s otp.Store) {
		t.Helper()
		for _, step := range claimed {
			c := useStep("a", step, 0)
			c.Token[1] = 1 // of nobody who has claimed
			if r := claimOne(s, c); r.Answer != otp.Used {
				t.Errorf("step %d: %+v", step, r)
			}
		}
	}
	usedUp(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	usedUp(openAt(t, path))
}

// testNoRoomToFold lets the journal grow, and the file not: everybody gets in, until there is room again.
func testNoRoomToFold(t *testing.T) {
	const people, active = 6000, 3000 // of whom fewer wait than memory has room for
	path := filepath.Join(t.TempDir(), "otp.db")
	var logged bytes.Buffer
	options := Options{Path: path, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	s, err := open(options, bounds{remembered: 100, foldAccounts: 1000, foldOctets: 1 << 20, foldSlice: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	devices := make([]otp.Device, people)
	for n := range devices {
		devices[n] = otp.Device{Account: accountName(n), ID: "device", Sealed: make([]byte, 53), Digits: 6, Period: time.Minute}
	}
	if _, err := s.AddDevices(t.Context(), devices, 0); err != nil {
		t.Fatal(err)
	}
	var used int64 // of the file: what is free up to there is little
	if err := s.view(func(tx *bbolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		t.Fatal(err)
	}
	pass := func(s *Store, token byte, want otp.Answer) {
		t.Helper()
		for from := 0; from < active; from += 100 {
			var batch []otp.Claim
			for n := from; n < from+100; n++ {
				c := useStep(accountName(n), 100, token)
				c.Place = otp.Place{byte(n), byte(n >> 8)}
				batch = append(batch, c)
			}
			for n, r := range s.Claim(t.Context(), batch) {
				if r.Answer != want {
					t.Fatalf("account %d: %+v", from+n, r)
				}
			}
		}
	}
	undo := limitFiles(t, uint64(used))
	defer undo()
	pass(s, 1, otp.Claimed)
	folded(t, s)
	if _, err := s.Ping(t.Context()); !errors.Is(err, otp.ErrUnavailable) || !strings.Contains(logged.String(), "journal cannot be folded") {
		t.Fatalf("Ping: %v; the file grew, or did not have to: nothing is proven\n%s", err, logged.String())
	}
	pass(s, 2, otp.Used)
	undo()
	_, _ = s.Ping(t.Context()) // which has it tried again
	pass(s, 3, otp.Used)
	if _, err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping when there is room: %v", err)
	}
	pass(openAt(t, Killed(t, s)), 4, otp.Used)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logged.String(), "journal cannot be folded"); n != 1 || !strings.Contains(logged.String(), "journal can be folded again") {
		t.Errorf("told %d times:\n%s", n, logged.String())
	}
	pass(openAt(t, path), 5, otp.Used)
}

// folded waits until the fold that has begun is over, or has failed.
func folded(t *testing.T, s *Store) {
	t.Helper()
	for over := false; !over; {
		if err := s.do(t.Context(), &request{file: true, run: func(*commit) { // which waits for a slice
			if f := s.journal.fold; f != nil {
				f.sort()
			}
			over = s.journal.fold == nil || s.journal.broken != nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// hang blocks the writer as a disk that does not answer would.
func hang(s *Store) (release func()) {
	begun, released := make(chan struct{}), make(chan struct{})
	// Of the file, so that no slice of a fold is being written meanwhile.
	s.queue <- &request{ctx: context.Background(), file: true, done: make(chan struct{}), run: func(*commit) {
		close(begun)
		<-released
	}}
	<-begun
	return func() { close(released) }
}

// copied copies what a store has on disk at the moment.
func copied(t *testing.T, s *Store) (path string) {
	t.Helper()
	from := s.options.Path
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	files, err := filepath.Glob(from + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+file[len(from):], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestDiskThatHangs(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	release := hang(s)
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		if r := s.Claim(ctx, []otp.Claim{useStep("a", 100, 1)})[0]; !errors.Is(r.Err, otp.ErrUnavailable) || !errors.Is(r.Err, context.DeadlineExceeded) {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(30*time.Millisecond, cancel)
		if err := s.RemoveDevice(ctx, "a", "device"); !errors.Is(err, otp.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
	t.Run("more than the queue holds", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		var waiting sync.WaitGroup
		for range cap(s.queue) + 500 {
			waiting.Go(func() {
				if r := s.Claim(ctx, []otp.Claim{useStep("a", 100, 1)})[0]; !errors.Is(r.Err, otp.ErrUnavailable) {
					t.Errorf("%+v", r)
				}
			})
		}
		waiting.Wait()
	})
	release()
	// Whoever has left is not there to be told: the step was not taken for any of them, except for
	// the one whom the writer had already begun with.
	if r := claimOne(s, useStep("a", 101, 2)); r.Answer != otp.Claimed {
		t.Fatalf("after the hang: %+v", r)
	}
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	release := hang(s)
	answers := make([]otp.Receipt, 50)
	requests := make([]*request, len(answers))
	for n := range requests { // as Claim does, but all of them before Close
		claim := useStep("a", 100, byte(n))
		requests[n] = &request{ctx: context.Background(), claims: 1, done: make(chan struct{}), run: func(c *commit) { answers[n] = c.claim(&claim) }}
		s.queue <- requests[n]
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	release()
	claimed := 0
	for n, r := range requests {
		<-r.done
		if r.err != nil || answers[n].Err != nil {
			t.Errorf("%v, %+v", r.err, answers[n])
		}
		if answers[n].Answer == otp.Claimed {
			claimed++
		}
	}
	if err := <-closed; err != nil || claimed != 1 {
		t.Fatalf("%d claimed, Close: %v", claimed, err)
	}
	storetest.WantUnavailable(t, s, context.Background(), "closed", useStep("a", 101, 1))
	if r := claimOne(openAt(t, path), useStep("a", 100, 200)); r.Answer != otp.Used {
		t.Fatalf("%+v", r)
	}
}

// TestJournalIsFoldedAtClose looks into the file.
func TestJournalIsFoldedAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	for n := range 50 {
		claimOne(s, useStep("a", int64(100+n), byte(n)))
	}
	if _, err := os.Stat(s.generation(1)); err != nil || s.index.dirtyCount() == 0 {
		t.Fatal("claims did not go to the journal")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.View(func(tx *bbolt.Tx) error {
		l, err := decodeLedger(tx.Bucket(metaBucket).Get(journalKey))
		if err != nil || l.first <= l.last || l.sequence == 0 {
			t.Errorf("%+v, %v", l, err)
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left beside the store: %v, %v", left, err)
	}
	again := openAt(t, path)
	if snap, err := again.Devices(context.Background(), "a"); err != nil || snap.Devices[0].LastStep != 149 {
		t.Fatalf("%+v, %v", snap, err)
	}
}
