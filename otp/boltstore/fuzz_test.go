package boltstore

import (
	"encoding/hex"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
)

// FuzzRecord: what a damaged file holds for a record is refused, or a record that comes back as it is when it
// is written.
func FuzzRecord(f *testing.F) {
	devices, _ := hex.DecodeString(firstDevices)
	state, _ := hex.DecodeString(firstState)
	f.Add(devices, state)
	list, err := decodeDevices(devices)
	if err != nil {
		f.Fatal(err)
	}
	r, err := decodeState(state, list)
	if err != nil {
		f.Fatal(err)
	}
	r.challenges = []challenge{{id: [8]byte{1}, wrong: 2, token: otp.Token{3}, at: 4}}
	r.shares = []share{{place: otp.Place{5}, device: r.devices[0].id, step: 6, at: 7, uses: 8}}
	f.Add(devices, r.appendState(nil))
	f.Add([]byte{format, 0}, []byte{format, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{format + 1}, []byte{})
	f.Fuzz(func(t *testing.T, devices, state []byte) {
		list, err := decodeDevices(devices)
		if err != nil {
			return
		}
		r, err := decodeState(state, list)
		if err != nil {
			return
		}
		written := r.appendState(nil)
		again, err := decodeState(written, list)
		if err != nil || !reflect.DeepEqual(again.appendState(nil), written) {
			t.Fatalf("%+v comes back as %+v, %v", r, again, err)
		}
		rewritten, err := decodeDevices(r.appendDevices(nil))
		if err != nil || len(rewritten) != len(r.devices) {
			t.Fatalf("%d devices come back as %d, %v", len(r.devices), len(rewritten), err)
		}
	})
}

// FuzzJournal: what a damaged file holds for a journal is refused, or read without fail.
func FuzzJournal(f *testing.F) {
	devices, _ := hex.DecodeString(firstDevices)
	state, _ := hex.DecodeString(firstState)
	db, err := bbolt.Open(filepath.Join(f.TempDir(), "otp.db"), 0o600, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	if err := createBuckets(db); err != nil {
		f.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(devicesBucket).Put([]byte("account"), devices) }); err != nil {
		f.Fatal(err)
	}
	image := func(key string, state []byte) []byte { return appendString(appendString(nil, key), state) }
	f.Add(image("account", state))
	f.Add(append(image("account", state), image("another", []byte{format, 1, 1, 0, 0, 0, 0})...))
	f.Add(image("", nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, images []byte) {
		dirty := map[string]*record{}
		err := db.View(func(tx *bbolt.Tx) error { return replayImages(tx, images, dirty) })
		for key, r := range dirty {
			if r == nil && err == nil {
				t.Fatalf("no record for %q", key)
			}
		}
	})
}

// FuzzNote: what a damaged file holds for a note is refused, or a note with what follows its time.
func FuzzNote(f *testing.F) {
	f.Add(encodeNote(&otp.Note{Value: []byte("value"), Expires: time.Unix(1e9, 0)}))
	f.Add([]byte{})
	f.Add([]byte{format, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		if value, _, err := decodeNote(b); err == nil && len(value) > len(b)-2 {
			t.Fatalf("%d octets of a value in %d", len(value), len(b))
		}
	})
}
