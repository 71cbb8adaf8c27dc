package boltstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// TestAnEmptyStateIsDamage: an account whose state has gone from the file does not get an older one from the journal,
// by which a code would be good again.
func TestAnEmptyStateIsDamage(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	addDevice(t, s, "a")
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
	if again, err := Open(Options{Path: path}); !errors.Is(err, ErrDamaged) {
		if err == nil {
			t.Errorf("step 105 once more: %+v", claimOne(again, useStep("a", 105, 3)))
			_ = again.Close()
		}
		t.Errorf("opened: %v", err)
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
