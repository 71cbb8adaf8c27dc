package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// What the first release wrote: a device with a wrong password, a claim, a known place, wrong codes.
const (
	firstDevices = "010110616263646566676832323232323232320570686f6e65067365616c656404534841310c80e0ba84bf0380e0998dcc6e"
	firstState   = "010703011061626364656667683232323232323232c0faa58dcc6ed8c7991e010a01dac7991e0201000000000000000000000000000000020000000000000000" +
		"0000000000000001090000000000000000000000000000001061626364656667683232323232323232c0faa58dcc6e01040000000000000001a0ed9f8dcc6e0001" +
		"0707000002a0ed9f8dcc6ed0d7a18dcc6e020800000009000000"
)

func firstRecord(t *testing.T) (*record, []byte, []byte) {
	t.Helper()
	devices, err := hex.DecodeString(firstDevices)
	if err != nil {
		t.Fatal(err)
	}
	state, err := hex.DecodeString(firstState)
	if err != nil {
		t.Fatal(err)
	}
	r, err := image{devices: string(devices), state: string(state)}.record()
	if err != nil {
		t.Fatal(err)
	}
	return r, devices, state
}

func TestARecordOfTheFirstReleaseOpens(t *testing.T) {
	r, devices, state := firstRecord(t)
	if r.version != 3 || r.devices[0].lastStep != 31_666_668 || len(r.devices[0].wrong[0].tokens) != 2 || r.claims[0].token != (otp.Token{9}) ||
		r.places[0].count != 1 || r.others.count != 2 || len(r.challenges)+len(r.shares) != 0 {
		t.Errorf("%+v", r)
	}
	if !bytes.Equal(r.appendState(nil), state) || !bytes.Equal(r.appendDevices(nil), devices) {
		t.Error("a record without anything new is written in another way")
	}
}

func TestChallengesAndSharesComeBack(t *testing.T) {
	r, devices, state := firstRecord(t)
	r.challenges = []challenge{{id: [8]byte{1, 7: 2}, wrong: 3, token: otp.Token{4}, at: 1_900_000_000_000}, {id: [8]byte{3}, wrong: 300, spent: true, at: -1}}
	r.shares = []share{{place: otp.Place{5}, device: "abcdefgh22222222", step: 31_666_668, at: 1_900_000_000_000, uses: 200}}
	written := r.appendState(nil)
	got, err := image{devices: string(devices), state: string(written)}.record()
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v came back as %+v (%v)", r, got, err)
	}
	if !bytes.HasPrefix(written, state) {
		t.Error("an older release does not find what it knows where it was")
	}
	for n := len(state) + 1; n < len(written); n++ {
		if _, err := (image{devices: string(devices), state: string(written[:n])}).record(); err == nil {
			t.Fatalf("the first %d of %d octets pass for a record", n, len(written))
		}
	}
}

// The file of the first release has no bucket for notes.
func TestAFileOfTheFirstReleaseOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	s := openAt(t, path)
	addDevice(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, devices, state := firstRecord(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for name, value := range map[string][]byte{"devices": devices, "states": state} {
			if err := tx.Bucket([]byte(name)).Put(accountKey("old"), value); err != nil {
				return err
			}
		}
		return tx.DeleteBucket(notesBucket)
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	ctx := context.Background()
	now := fromMillis(1_900_000_100_000)
	c := otp.Claim{Kind: otp.UseStep, Account: "old", Version: 3, Device: "abcdefgh22222222", Step: 31_666_670, Token: otp.Token{1}, Place: otp.Place{4}, Now: now}
	c.Challenge, c.Share = otp.Challenged{ID: [8]byte{1}, Tries: 3}, otp.Share{Times: 2, Within: time.Minute}
	if r := claimOne(s, c); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if err := s.PutNotes(ctx, []otp.Note{{Kind: "k", Key: "a", Field: "f", Value: []byte("v"), Expires: noon}}); err != nil {
		t.Fatal(err)
	}
	if notes, err := s.Notes(ctx, "k", "a", noon.Add(-time.Second)); err != nil || len(notes) != 1 {
		t.Fatalf("%+v, %v", notes, err)
	}
}

// What is new is on the disk like what is old: in the journal first, then in the records.
func TestWhatIsNewOutlivesTheProcess(t *testing.T) {
	for name, open := range map[string]func(Options) (*Store, error){"usual": Open, "tiny": OpenTiny} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "otp.db")
			reopen := func() *Store {
				s, err := open(Options{Path: path})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			s := reopen()
			addDevice(t, s, "a")
			c := useStep("a", 100, 1)
			c.Challenge, c.Share = otp.Challenged{ID: [8]byte{1}, Tries: 3}, otp.Share{Times: 2, Within: time.Minute}
			want := []otp.Answer{otp.Claimed, otp.Spent, otp.Claimed, otp.Used}
			var got []otp.Answer
			for token := range len(want) {
				if token >= 2 {
					c.Challenge.ID[7]++
				}
				c.Token = otp.Token{byte(1 + token)}
				got = append(got, claimOne(s, c).Answer)
				if err := s.PutNotes(context.Background(), []otp.Note{{Kind: "k", Key: "a", Field: string(rune('a' + token)), Value: []byte("v"), Expires: noon}}); err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = reopen()
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			if notes, err := s.Notes(context.Background(), "k", "a", noon.Add(-time.Second)); err != nil || len(notes) != len(want) {
				t.Errorf("%+v, %v", notes, err)
			}
		})
	}
}

func TestANoteThatIsDamagedGoesFirst(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	ctx := context.Background()
	notes := make([]otp.Note, otp.MaxNotes)
	for n := range notes {
		notes[n] = otp.Note{Kind: "k", Key: "a", Field: string(rune('0' + n)), Value: []byte("v"), Expires: noon}
	}
	if err := s.PutNotes(ctx, notes); err != nil {
		t.Fatal(err)
	}
	damage := func(c *commit) { c.put(c.tx.Bucket(notesBucket), noteKey("k", "a", notes[9].Field), []byte{99}) }
	if err := s.do(ctx, &request{file: true, run: damage}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Notes(ctx, "k", "a", noon.Add(-time.Second)); err == nil {
		t.Error("a damaged note was read")
	}
	addDevice(t, s, "a")
	if r := claimOne(s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Errorf("%+v", r)
	}
	if err := s.PutNotes(ctx, []otp.Note{{Kind: "k", Key: "a", Field: "new", Value: []byte("v"), Expires: noon}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Notes(ctx, "k", "a", noon.Add(-time.Second)); err != nil || len(got) != otp.MaxNotes {
		t.Errorf("%d notes, %v", len(got), err)
	}
}

// A group that fails leaves nothing on disk, nor in what the next group uses again.
func TestAGroupThatFailsLeavesNothingBehind(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "otp.db"))
	for _, account := range []string{"a", "b"} {
		addDevice(t, s, account)
		if r := claimOne(s, useStep(account, 100, 1)); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
	}
	c := useStep("a", 101, 2)
	c.Challenge, c.Share = otp.Challenged{ID: [8]byte{1}, Tries: 3}, otp.Share{Times: 3, Within: time.Minute}
	wrong := c
	wrong.Kind, wrong.Miss = otp.WrongCode, otp.Miss{1}
	passwords := c
	passwords.Kind = otp.WrongPassword
	removal := func(c *commit) {
		t := c.account("a")
		t.record.remove(useStep("a", 1, 1).Device)
		t.changed, t.devices = true, true
	}
	failure := errors.New("failed on purpose")
	for name, run := range map[string]func(*commit){
		"claim":        func(group *commit) { group.claim(&c) },
		"wrong code":   func(group *commit) { group.claim(&wrong) },
		"wrong factor": func(group *commit) { group.claim(&passwords) },
		"removal":      removal,
		"all of it":    func(group *commit) { group.claim(&wrong); group.claim(&passwords); group.claim(&c); removal(group) },
	} {
		before, _, _ := s.index.get(accountKey("b"))
		err := s.do(t.Context(), &request{file: true, run: func(group *commit) { run(group); group.fail(failure) }})
		if !errors.Is(err, failure) {
			t.Fatal(name, err)
		}
		// The next group begins with what this one leaves, and looks at another account.
		if r := claimOne(s, useStep("b", 100, 1)); r.Answer != otp.Claimed || !r.Again {
			t.Fatalf("%s: %+v", name, r)
		}
		if after, _, _ := s.index.get(accountKey("b")); after != before {
			t.Fatalf("%s: another account was %+v and is %+v", name, before, after)
		}
		if devices, err := s.Devices(t.Context(), "a"); err != nil || len(devices.Devices) != 1 || devices.Devices[0].LastStep != 100 {
			t.Fatalf("%s: %+v, %v", name, devices, err)
		}
	}
	if r := claimOne(s, c); r.Answer != otp.Claimed || r.Failures != 0 || r.Again {
		t.Errorf("%+v", r)
	}
}

// TestNothingIsCountedBeyondWhatThereIs: a number that is no number of times is damage, and not one below zero.
func TestNothingIsCountedBeyondWhatThereIs(t *testing.T) {
	for n, good := range map[uint64]bool{0: true, math.MaxInt32: true, math.MaxInt32 + 1: false, 1 << 63: false, math.MaxUint64: false} {
		d := &decoder{b: string(binary.AppendUvarint(nil, n))}
		if got := d.times(); good && (d.err != nil || uint64(got) != n) || !good && (!errors.Is(d.err, ErrDamaged) || got != 0) {
			t.Errorf("%d: %d, %v", n, got, d.err)
		}
	}
}
