package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
	"otpgate/otp/boltstore/wal"
)

// claimed makes a store in which step 100 of an account was used, and returns what its death leaves.
func claimed(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	return Killed(t, s)
}

func TestWhatIsInTheJournalAloneIsUsed(t *testing.T) {
	path := claimed(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bbolt.Tx) error {
		r, err := load(tx, accountKey("a")).record()
		if err == nil && r.devices[0].lastStep != 0 {
			t.Error("the claim is in the file already: nothing is proven")
		}
		return err
	}); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	if r := claimOne(s, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed || !r.Again {
		t.Errorf("the same attempt once more: %+v", r)
	}
	if _, err := s.Ping(context.Background()); err != nil { // by now the journal was folded
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left beside the store: %v, %v", left, err)
	}
}

// TestAJournalThatIsMissing, another's or not whole: the store does not open, because codes that were used
// would be good again, unless the operator says that the journal is lost.
func TestAJournalThatIsMissing(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"cut off": func(path string) error { return os.Truncate(path, 4096) },
		"another store's": func(path string) error {
			f, err := wal.Create(path, wal.ID{1}, 1)
			if err != nil {
				return err
			}
			return f.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := claimed(t)
			if err := spoil(path + ".journal.1"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := Open(Options{Path: path}); !errors.Is(err, ErrNoJournal) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path+".journal.1") {
					t.Fatalf("%v", err)
				}
			}
			mark := path + ".journal.lost"
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var logged strings.Builder
			s, err := Open(Options{Path: path, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if r := claimOne(s, useStep("a", 100, 2)); r.Answer != otp.Claimed {
				t.Errorf("%+v", r)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(logged.String(), "journal given up") {
				t.Errorf("what was given up is not told: %s", logged.String())
			}
			if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the operator's word counts more than once: %v", err)
			}
			if r := claimOne(openAt(t, path), useStep("a", 100, 3)); r.Answer != otp.Used {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestAWordThatNobodyNeeds goes: it must not be there when a journal is lost later.
func TestAWordThatNobodyNeeds(t *testing.T) {
	path := claimed(t)
	mark := path + ".journal.lost"
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := claimOne(openAt(t, path), useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(mark); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestAnEntryThatIsMissing within the journal is more than what a crash leaves.
func TestAnEntryThatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	for n := range 3 {
		claimOne(s, useStep("a", int64(100+n), byte(n)))
	}
	path = Killed(t, s)
	f, err := os.OpenFile(path+".journal.1", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 512), 1024); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); !errors.Is(err, ErrNoJournal) {
		t.Fatalf("%v", err)
	}
}

// TestADeathAtEachStep kills a store that folds all the time after each of its calls.
func TestADeathAtEachStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s, err := OpenTiny(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		addDevice(t, s, name)
	}
	last := map[string]int64{}
	for n := range 40 {
		name := names[n*n%len(names)]
		step := int64(100 + n)
		if r := claimOne(s, useStep(name, step, byte(n))); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
		last[name] = step
		if n%7 == 3 {
			if err := s.RenameDevice(context.Background(), name, "device", "renamed"); err != nil {
				t.Fatal(err)
			}
		}
		copied := Killed(t, s)
		after, err := OpenTiny(Options{Path: copied})
		if err != nil {
			t.Fatal(err)
		}
		for name, step := range last {
			if r := claimOne(after, useStep(name, step, 200)); r.Answer != otp.Used {
				t.Errorf("after call %d: step %d of %s: %+v", n, step, name, r)
			}
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheJournalOfAnOlderVersion was in buckets of the file.
func TestTheJournalOfAnOlderVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket := append([]byte("journal-"), 0, 0, 0, 0, 0, 0, 0, 9)
	if err := db.Update(func(tx *bbolt.Tx) error {
		r, err := load(tx, accountKey("a")).record()
		if err != nil {
			return err
		}
		claim := useStep("a", 100, 1)
		r.apply(&claim)
		r.number = uint64(tx.ID())
		b, err := tx.CreateBucket(bucket)
		if err != nil {
			return err
		}
		images := appendString(appendString(nil, accountKey("a")), r.appendState(nil))
		return errors.Join(b.Put(binary.BigEndian.AppendUint64(nil, uint64(tx.ID())), images), tx.Bucket(metaBucket).Delete(journalKey))
	}); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	for n, want := range []otp.Answer{otp.Used, otp.Claimed} {
		if r := claimOne(s, useStep("a", int64(100+n), byte(2+n))); r.Answer != want {
			t.Errorf("step %d: %+v", 100+n, r)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if r := claimOne(s, useStep("a", 101, 4)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
	if err := s.db.Load().View(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucket) != nil {
			t.Error("the old journal is left")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// foldedAfterAll sees that a store told once that it could not fold, and later that it could, and that it forgot no claim of
// accounts 690 to 709, 0 to 39 and 100 to 139.
func foldedAfterAll(t *testing.T, s *Store, path string, logged *bytes.Buffer) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logged.String(), "journal cannot be folded"); n != 1 || !strings.Contains(logged.String(), "journal can be folded again") {
		t.Errorf("told %d times:\n%s", n, logged.String())
	}
	again := openAt(t, path)
	for _, n := range []int{690, 700, 709, 0, 39, 100, 139} {
		if r := claimOne(again, useStep(accountName(n), 101, 3)); r.Answer != otp.Used {
			t.Errorf("account %d: %+v", n, r)
		}
	}
}

// TestAFoldThatFails, here because a page has gone bad, keeps nobody out but those of that page; Ping tells of
// it, and has it tried again.
func TestAFoldThatFails(t *testing.T) {
	path, content := filled(t)
	var logged bytes.Buffer
	s, err := open(Options{Path: path, Logger: slog.New(slog.NewTextHandler(&logged, nil))}, bounds{remembered: 100, foldAccounts: 30, foldOctets: 1 << 20, foldSlice: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	pass := func(from, to int) {
		t.Helper()
		var batch []otp.Claim
		for n := from; n < to; n++ {
			batch = append(batch, useStep(accountName(n), 101, 2))
		}
		for n, r := range s.Claim(t.Context(), batch) {
			if r.Answer != otp.Claimed {
				t.Errorf("account %d: %+v", from+n, r)
			}
		}
	}
	pass(690, 710)
	spoil(t, path, content, accountName(700))
	pass(0, 40) // more than may wait
	folded(t, s)
	if _, err := s.Ping(t.Context()); !errors.Is(err, ErrDamaged) || !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	pass(100, 140)
	for n := range 20 { // which has nothing tried again
		if err := s.PutTicket(t.Context(), otp.Ticket{Account: accountName(n), Tries: 3, Expires: noon}); err != nil {
			t.Error(err)
		}
	}
	mend(t, path, content)
	_, _ = s.Ping(t.Context()) // which has it tried again
	if _, err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping after the page was mended: %v", err)
	}
	foldedAfterAll(t, s, path, &logged)
}

// TestAJournalThatIsFull takes nothing more, until it can be folded: of many accounts, or of a few that log in often.
func TestAJournalThatIsFull(t *testing.T) {
	for name, c := range map[string]struct {
		bounds
		people, most int
	}{
		"accounts": {bounds{remembered: 2, foldAccounts: 3, foldOctets: 1 << 20, foldSlice: 1}, 100, patience*3 + 1},
		"octets":   {bounds{remembered: 2, foldAccounts: 100, foldOctets: 2000, foldSlice: 1}, 2, patience*2000/512 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "otp.db")
			s, err := open(Options{Path: path}, c.bounds)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			for n := range c.people {
				addDevice(t, s, accountName(n))
			}
			step := int64(100)
			pass := func(times int) (claimed int) {
				for n := range times {
					step++
					r := claimOne(s, useStep(accountName(n%c.people), step, byte(step)))
					switch {
					case r.Answer == otp.Claimed:
						claimed++
					case !errors.Is(r.Err, otp.ErrUnavailable):
						t.Errorf("%+v", r)
					}
				}
				return claimed
			}
			fails := func() {
				t.Helper()
				if err := s.do(t.Context(), &request{file: true, run: func(*commit) { s.journal.broken = errors.New("no") }}); err != nil {
					t.Fatal(err)
				}
			}
			fails() // as a fold does
			if got := pass(100); got != c.most {
				t.Errorf("%d were taken, want %d", got, c.most)
			}
			if _, err := s.Ping(t.Context()); !errors.Is(err, otp.ErrUnavailable) {
				t.Errorf("Ping: %v", err)
			}
			if _, err := s.Ping(t.Context()); err != nil {
				t.Errorf("Ping, when it can be folded: %v", err)
			}
			if got := pass(100); got != 100 {
				t.Errorf("%d were taken afterwards", got)
			}
			fails()
			if pass(1) != 1 {
				t.Error("not taken")
			}
			if err := s.Close(); err == nil {
				t.Error("Close does not say that something is left in the journal")
			}
			n := c.people - 1
			again := openAt(t, path)
			for ; n >= 0; n-- {
				if r := claimOne(again, useStep(accountName(n), 101, 99)); r.Answer != otp.Used {
					t.Errorf("account %d: %+v", n, r)
				}
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhatWasReadIsWrittenOnceMore: the last entry that a process finds may never get to the disk, because the one
// before it ended, or its fsync failed. Before anything is answered by it, it is in another generation.
func TestWhatWasReadIsWrittenOnceMore(t *testing.T) {
	path := claimed(t)
	s := openAt(t, path)
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed || !r.Again {
		t.Fatalf("%+v", r)
	}
	entries, id := 0, wal.ID{}
	if err := s.do(t.Context(), &request{run: func(*commit) { id = s.journal.id }}); err != nil {
		t.Fatal(err)
	}
	if _, err := wal.Read(path+".journal.2", id, 2, func(uint64, []byte) error {
		entries++
		return nil
	}); err != nil || entries != 1 {
		t.Errorf("%d entries, %v", entries, err)
	}
}

// ledgerOf reads what a store that nobody has open says of its journal.
func ledgerOf(t *testing.T, path string) (l ledger) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bbolt.Tx) (err error) {
		l, err = decodeLedger(tx.Bucket(metaBucket).Get(journalKey))
		return err
	}); err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	return l
}

// TestAnEndThatIsMissing: what the file knows to be on disk is missed.
func TestAnEndThatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	for n := range 3 {
		claimOne(s, useStep("a", int64(100+n), byte(n)))
	}
	if _, err := s.Ping(t.Context()); err != nil { // which writes to the file how far the journal goes
		t.Fatal(err)
	}
	path = Killed(t, s)
	writeAt(t, path+".journal.1", make([]byte, 512), 512+2*512)
	if _, err := Open(Options{Path: path}); !errors.Is(err, ErrNoJournal) {
		t.Fatalf("%v", err)
	}
}

// TestTheOperatorsWordIsAboutTheJournal, not about what a newer version has written.
func TestTheOperatorsWordIsAboutTheJournal(t *testing.T) {
	path := claimed(t)
	f, err := wal.Create(path+".journal.1", ledgerOf(t, path).id, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Append(100, appendString(appendString(nil, accountKey("a")), []byte{format + 1, 0})); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".journal.lost", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Path: path}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("%v", err)
	}
}

// TestWhatIsOfANewerVersion is not called damaged.
func TestWhatIsOfANewerVersion(t *testing.T) {
	for name, read := range map[string]func() error{
		"ledger": func() error {
			b := (&ledger{first: 1, last: 2}).encode()
			b[0] = format + 1
			_, err := decodeLedger(b)
			return err
		},
		"ticket": func() error {
			b := (&ticket{tries: 3}).encode()
			b[0] = format + 1
			_, err := decodeTicket(b)
			return err
		},
		"ticket that is shorter": func() error {
			_, err := decodeTicket([]byte{format + 1})
			return err
		},
	} {
		if err := read(); err == nil || errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOlderVersionsStayOut: they would not see the journal. What they find in their own place is of a newer version.
func TestOlderVersionsStayOut(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	claimOne(s, useStep("a", 100, 1))
	if err := s.db.Load().View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(newer)
		if b == nil || !bytes.HasPrefix(newer, []byte("journal-")) {
			t.Fatal("nothing keeps them out")
		}
		return b.ForEach(func(_, images []byte) error { return newReplayed().entry(tx, images) })
	}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("%v", err)
	}
}

// TestNumbersOfAnOlderVersion are those of the file's transactions, which may be ahead of ours.
func TestNumbersOfAnOlderVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	claimOne(s, useStep("a", 100, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			r, err := load(tx, accountKey("a")).record()
			if err != nil {
				return err
			}
			r.number = uint64(tx.ID())
			return tx.Bucket(statesBucket).Put(accountKey("a"), r.appendState(nil))
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	claimOne(s, useStep("a", 101, 2))
	after := Killed(t, s)
	if r := claimOne(openAt(t, after), useStep("a", 101, 3)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
}

// TestAGenerationThatWasLeft, by a crash before it was removed, goes with the next fold.
func TestAGenerationThatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	claimOne(s, useStep("a", 100, 1))
	if err := os.Link(path+".journal.1", path+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".kept", path+".journal.1"); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	if r := claimOne(s, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
	claimOne(s, useStep("a", 101, 3))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left beside the store: %v, %v", left, err)
	}
}

// TestAFoldIsTriedAgainByItself, also where nobody asks whether the store works.
func TestAFoldIsTriedAgainByItself(t *testing.T) {
	path, content := filled(t)
	var logged bytes.Buffer
	var slices atomic.Int64 // begun
	s, err := open(Options{Path: path, Logger: slog.New(slog.NewTextHandler(&logged, nil))}, bounds{
		remembered: 100, foldAccounts: 30, foldOctets: 1 << 20, foldSlice: 8, again: 20 * time.Millisecond, hold: func() { slices.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	look := func(so func() bool) bool {
		t.Helper()
		is := false
		if err := s.do(t.Context(), &request{file: true, run: func(*commit) { is = so() }}); err != nil {
			t.Fatal(err)
		}
		return is
	}
	claim := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			if r := claimOne(s, useStep(accountName(n), 101, 2)); r.Answer != otp.Claimed {
				t.Errorf("account %d: %+v", n, r)
			}
		}
	}
	claim(690, 710)
	spoil(t, path, content, accountName(700))
	claim(0, 40) // more than may wait
	until(t, "the fold fails", func() bool { return look(func() bool { return s.journal.broken != nil }) })
	failed := slices.Load()
	until(t, "it is tried again", func() bool { return slices.Load() > failed+1 })
	claim(100, 140)
	mend(t, path, content)
	until(t, "it is folded", func() bool { return look(func() bool { return s.journal.fold == nil && s.journal.broken == nil }) })
	foldedAfterAll(t, s, path, &logged)
}

// TestAFileThatIsOlderThanItsJournal: the operator has restored it from a backup, and not what was beside it.
func TestAFileThatIsOlderThanItsJournal(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed { // the journal has begun
		t.Fatalf("%+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(s.options.Path)
	if err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.options.Path)
	if r := claimOne(s, useStep("a", 101, 2)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	path := Killed(t, s)
	if err := os.WriteFile(path, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(Options{Path: path}); !errors.Is(err, ErrNoJournal) || !strings.Contains(err.Error(), "older") {
			t.Fatalf("it opens: %v", err)
		}
	}
	if err := os.WriteFile(path+lostSuffix, nil, 0o600); err != nil { // the operator has waited
		t.Fatal(err)
	}
	again := openAt(t, path)
	for n, want := range []otp.Answer{otp.Used, otp.Claimed} {
		if r := claimOne(again, useStep("a", int64(100+2*n), byte(3+n))); r.Answer != want {
			t.Errorf("step %d: %+v", 100+2*n, r)
		}
	}
	used(t, again, 0, 0) // it closes, and leaves nothing
}
