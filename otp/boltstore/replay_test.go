package boltstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// TestAnEmptyStateIsDamage: an account whose state has gone from the file does not get an older one from the journal,
// by which a code would be good again. It is the trouble of its account alone.
func TestAnEmptyStateIsDamage(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	addDevice(t, s, "b")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := s.do(t.Context(), &request{file: true, run: func(c *commit) {
		claim := useStep("a", 105, 2)
		if r := c.claim(&claim); r.Answer != otp.Claimed {
			t.Errorf("%+v", r)
		}
		c.put(c.tx.Bucket(metaBucket), pingKey, []byte{1}) // so that it is in the file, and the former step in the journal
	}}); err != nil {
		t.Fatal(err)
	}
	path := Killed(t, s)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(statesBucket).Put(accountKey("a"), []byte{}) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if r := claimOne(again, useStep("a", 105, 3)); !errors.Is(r.Err, ErrDamaged) {
		t.Errorf("step 105 once more: %+v", r)
	}
	if _, err := again.Devices(t.Context(), "a"); !errors.Is(err, ErrDamaged) {
		t.Errorf("its devices: %v", err)
	}
	if r := claimOne(again, useStep("b", 100, 1)); r.Answer != otp.Claimed {
		t.Errorf("another account: %+v", r)
	}
	file, generation := again.db.Load(), again.journal.last
	for range 3 {
		if _, err := again.Ping(t.Context()); !errors.Is(err, ErrDamaged) {
			t.Errorf("Ping: %v", err)
		}
	}
	if again.db.Load() != file || again.journal.last > generation+1 {
		t.Errorf("each Ping looks at all anew: %d generations", again.journal.last-generation)
	}
}

// TestABadPageUnderClaimsThatAreNotFolded is the trouble of those who are on it: when the store is opened, and when it looks
// at the disk anew. What the journal has of them is there when the page is.
func TestABadPageUnderClaimsThatAreNotFolded(t *testing.T) {
	path, content := filled(t)
	s := openAt(t, path)
	var batch []otp.Claim
	for n := 690; n < 710; n++ {
		batch = append(batch, useStep(accountName(n), 101, 2))
	}
	for _, r := range s.Claim(t.Context(), batch) {
		if r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
	}
	unlucky, step := accountName(700), int64(101)
	spoil(t, path, content, unlucky)
	goesOn := func(when string, s *Store) {
		t.Helper()
		step++
		if r := claimOne(s, useStep(accountName(1), step, byte(step))); r.Answer != otp.Claimed {
			t.Fatalf("%s: another account: %+v", when, r)
		}
	}
	if err := s.RenameDevice(t.Context(), unlucky, "device", "lost phone"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a device of the bad page: %v", err)
	}
	goesOn("after a write to the bad page", s)
	lookAnew(t, s)
	goesOn("looked at anew", s)
	again := openAt(t, Killed(t, s))
	goesOn("opened again", again)
	if r := claimOne(again, useStep(unlucky, 102, 3)); !errors.Is(r.Err, ErrDamaged) {
		t.Errorf("the account of the bad page: %+v", r)
	}
	if _, err := again.Ping(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Ping: %v", err)
	}
	for range 3 { // which must not drop what the journal has
		if err := again.PutTicket(t.Context(), otp.Ticket{Account: accountName(2), Tries: 3, Expires: noon}); err != nil {
			t.Error(err)
		}
	}
	if err := again.Close(); !errors.Is(err, errUnfolded) {
		t.Errorf("Close: %v", err)
	}
	last := openAt(t, again.options.Path)
	if r := claimOne(last, useStep(unlucky, 101, 4)); !errors.Is(r.Err, ErrDamaged) {
		t.Errorf("closed and opened again: %+v", r)
	}
	mend(t, again.options.Path, content)
	if _, err := last.Ping(t.Context()); err != nil {
		t.Errorf("Ping after the page was mended: %v", err)
	}
	if r := claimOne(last, useStep(unlucky, 101, 5)); r.Answer != otp.Used {
		t.Errorf("the step of before, after the page was mended: %+v", r)
	}
	goesOn("mended", last)
}

// lookAnew has the writer look at the disk anew, as after a commit that failed.
func lookAnew(t *testing.T, s *Store) {
	t.Helper()
	if err := s.do(t.Context(), &request{run: func(c *commit) { c.fail(errors.New("no")) }}); err == nil {
		t.Fatal("it did not fail")
	}
}

// TestABadPageOfTicketsIsNobodyElsesTrouble: those whose requests share a transaction with one for it are answered, and
// nothing on the disk is looked at anew, also when it is asked for over and over.
func TestABadPageOfTicketsIsNobodyElsesTrouble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	for n := range 600 {
		if err := s.PutTicket(t.Context(), otp.Ticket{Account: accountName(n), Tries: 3, Expires: noon}); err != nil {
			t.Fatal(err)
		}
	}
	addDevice(t, s, "a")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, path, content, accountName(300))
	file, generation := s.db.Load(), s.journal.last
	for range 3 {
		release := hang(s)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.CheckTicket(t.Context(), 0, accountName(300), otp.Digest{}, noon); !errors.Is(err, ErrDamaged) {
				t.Errorf("a ticket of the bad page: %v", err)
			}
		})
		wg.Go(func() {
			if err := s.PutTicket(t.Context(), otp.Ticket{Account: accountName(599), Tries: 3, Expires: noon}); err != nil {
				t.Errorf("another ticket: %v", err)
			}
		})
		wg.Go(func() {
			if err := s.RenameDevice(t.Context(), "a", "device", "phone"); err != nil {
				t.Errorf("a device: %v", err)
			}
		})
		for poll := time.Tick(time.Millisecond); len(s.queue) < 3; {
			<-poll
		}
		release()
		wg.Wait()
	}
	if s.db.Load() != file || s.journal.last != generation {
		t.Error("the disk was looked at anew")
	}
	mend(t, path, content)
	if _, err := s.CheckTicket(t.Context(), 0, accountName(300), otp.Digest{}, noon); err != nil {
		t.Errorf("after the page was mended: %v", err)
	}
}

// TestReplayLooksAtNothingThatIsFolded: a page that has gone bad is the trouble of those who are on it, also when the
// journal has something of them that was written to the file since.
func TestReplayLooksAtNothingThatIsFolded(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	devices := make([]otp.Device, accounts)
	for n := range devices {
		devices[n] = otp.Device{Account: accountName(n), ID: "device", Label: "label", Sealed: make([]byte, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute}
	}
	if _, err := s.AddDevices(t.Context(), devices, 0); err != nil {
		t.Fatal(err)
	}
	unlucky := accountName(700)
	if r := claimOne(s, useStep(unlucky, 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := s.RenameDevice(t.Context(), unlucky, "device", "another label"); err != nil {
		t.Fatal(err)
	}
	path := Killed(t, s)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for at := 2 * page; at+page <= len(content); at += page {
		if p := content[at : at+page]; bytes.Contains(p, []byte("label")) && bytes.Contains(p, []byte(unlucky)) {
			writeAt(t, path, bytes.Repeat([]byte{0xff}, 16), at)
			bad++
		}
	}
	if bad == 0 {
		t.Fatal("no page has the device: nothing is proven")
	}
	again := openAt(t, path)
	if r := claimOne(again, useStep(accountName(10), 100, 2)); r.Answer != otp.Claimed {
		t.Errorf("an account of another page: %+v", r)
	}
	if r := claimOne(again, useStep(unlucky, 100, 2)); !errors.Is(r.Err, ErrDamaged) {
		t.Errorf("the account of the bad page: %+v", r)
	}
}

// TestWhatIsNotWrittenIsNotSeen, also while the file cannot be opened again, when the index is not made anew.
func TestWhatIsNotWrittenIsNotSeen(t *testing.T) {
	for name, claimInVain := range map[string]func(*Store) error{
		"journal": func(s *Store) error {
			release := hang(s)
			_ = s.journal.current.Close()
			release()
			return claimOne(s, useStep("a", 101, 2)).Err
		},
		"file": func(s *Store) error {
			return s.do(t.Context(), &request{file: true, run: func(c *commit) {
				claim := useStep("a", 101, 2)
				c.claim(&claim)
				c.fail(otp.ErrUnavailable)
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "otp.db")
			s := openAt(t, path)
			addDevice(t, s, "a")
			if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
				t.Fatalf("%+v", r)
			}
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			if err := claimInVain(s); !errors.Is(err, otp.ErrUnavailable) {
				t.Fatal(err)
			}
			if s.db.Load() != nil {
				t.Fatal("opened again: nothing is proven")
			}
			if d, err := s.Devices(t.Context(), "a"); err != nil || d.Devices[0].LastStep != 100 {
				t.Fatalf("%+v, %v", d, err)
			}
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
			if r := claimOne(s, useStep("a", 101, 3)); r.Answer != otp.Claimed || r.Again {
				t.Fatalf("%+v", r)
			}
		})
	}
}

// TestALargeAccountLeavesNoRoomBehind: what is kept for the next group is what usual accounts need.
func TestALargeAccountLeavesNoRoomBehind(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	devices := make([]otp.Device, 300)
	for n := range devices {
		devices[n] = otp.Device{Account: "large", ID: accountName(n), Sealed: make([]byte, 53), Digits: 6, Period: time.Minute}
	}
	addDevice(t, s, "a")
	if _, err := s.AddDevices(t.Context(), devices, 0); err != nil {
		t.Fatal(err)
	}
	claim := func(account, device string) {
		t.Helper()
		c := useStep(account, 100, byte(len(device)))
		c.Device = device
		if r := claimOne(s, c); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
	}
	claim("large", accountName(299))
	claim("a", "device")
	if err := s.do(t.Context(), &request{run: func(c *commit) {
		if len(c.group) != 0 || len(c.touched) != 0 || len(c.spare) == 0 {
			t.Errorf("%d and %d of the last group, %d for this one", len(c.group), len(c.touched), len(c.spare))
		}
		for _, spare := range c.spare {
			if n := cap(spare.record.devices); n > 16 {
				t.Errorf("room for %d devices", n)
			}
		}
	}}); err != nil {
		t.Fatal(err)
	}
}

// TestAnOlderVersionsJournalBesideAnothersGenerations: what is folded first is before all generations, and those that another
// store has left are passed over.
func TestAnOlderVersionsJournalBesideAnothersGenerations(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	left := Killed(t, s) // with its generation 1
	old := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, old, "b")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(old.options.Path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		state := tx.Bucket(statesBucket).Get(accountKey("b"))
		b, err := tx.CreateBucketIfNotExists([]byte("journal-1"))
		return errors.Join(err, tx.Bucket(metaBucket).Delete(journalKey), tx.DeleteBucket(newer),
			b.Put([]byte{1}, appendString(appendString(nil, string(accountKey("b"))), bytes.Clone(state))), tx.Bucket(statesBucket).Delete(accountKey("b")))
	})
	if err := errors.Join(err, db.Close(), os.Rename(old.options.Path, left)); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, left)
	if r := claimOne(again, useStep("b", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	folded(t, again)
	last := openAt(t, Killed(t, again))
	if r := claimOne(last, useStep("b", 100, 2)); r.Answer != otp.Used {
		t.Errorf("%+v", r)
	}
}

// TestAStoreThatTookAnothersPlace for a while leaves the journal alone that was there, also when it ends as it should.
func TestAStoreThatTookAnothersPlace(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	path := Killed(t, s)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	other, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	addDevice(t, other, "b")
	if r := claimOne(other, useStep("b", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, path)
	if r := claimOne(again, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Errorf("the step that was used: %+v", r)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(path + ".journal.*"); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestWhoHasLeftIsToldNothing: a request whose caller had left when its turn came was not carried out, which is no success.
func TestWhoHasLeftIsToldNothing(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &request{ctx: ctx, done: make(chan struct{}), run: func(*commit) { t.Error("it was carried out") }}
	s.queue <- r
	<-r.done
	if !errors.Is(r.err, context.Canceled) || !errors.Is(r.err, otp.ErrUnavailable) {
		t.Errorf("%v", r.err)
	}
}
