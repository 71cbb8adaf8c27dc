package boltstore

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"otpgate/otp"
	"otpgate/otp/boltstore/wal"
)

// FuzzRecord: what a damaged file holds for a record is refused, or a record that comes back as it is when it
// is written.
func FuzzRecord(f *testing.F) {
	devices, _ := hex.DecodeString(firstDevices)
	state, _ := hex.DecodeString(firstState)
	f.Add(devices, state)
	r, err := image{devices: string(devices), state: string(state)}.record()
	if err != nil {
		f.Fatal(err)
	}
	r.challenges = []challenge{{id: [8]byte{1}, wrong: 2, token: otp.Token{3}, at: 4}}
	r.shares = []share{{place: otp.Place{5}, device: r.devices[0].id, step: 6, at: 7, uses: 8}}
	f.Add(devices, r.appendState(nil))
	f.Add([]byte{format, 0}, []byte{format, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{format + 1}, []byte{})
	full := image{devices: string(devices), state: string(r.appendState(nil))}
	f.Fuzz(func(t *testing.T, devices, state []byte) {
		r, err := image{devices: string(devices), state: string(state)}.record()
		if err != nil {
			return
		}
		written := image{devices: string(r.appendDevices(nil)), state: string(r.appendState(nil))}
		again, err := written.record()
		if err != nil || string(again.appendState(nil)) != written.state || string(again.appendDevices(nil)) != written.devices {
			t.Fatalf("%+v comes back as %+v, %v", r, again, err)
		}
		used, err := full.record() // whatever a record held before
		if err != nil {
			t.Fatal(err)
		}
		if err := used.decode(string(devices), string(state)); err != nil || string(used.appendState(nil)) != written.state || string(used.appendDevices(nil)) != written.devices {
			t.Fatalf("%+v comes back as %+v, %v", r, used, err)
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
	entry := func(key string, state []byte) []byte { return appendString(appendString(nil, key), state) }
	f.Add(entry("account", state))
	f.Add(append(entry("account", state), entry("another", []byte{format, 1, 1, 0, 0, 0, 0})...))
	f.Add(entry("", nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, images []byte) {
		found := newReplayed()
		err := db.View(func(tx *bbolt.Tx) error { return found.entry(tx, images) })
		for key, m := range found.dirty {
			if _, bad := m.record(); m.key != key || bad != nil {
				t.Fatalf("%q has %+v, which is no record: %v (%v)", key, m, bad, err)
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

// FuzzLedger: what a damaged file holds for the journal's ledger is refused, or comes back as it is when it is written.
func FuzzLedger(f *testing.F) {
	f.Add((&ledger{id: wal.ID{1}, first: 2, last: 3, sequence: 4, entry: 5, entryIn: 3}).encode())
	f.Add((&ledger{first: 1, last: maxGenerations + 2}).encode())
	f.Add([]byte{format})
	f.Add([]byte{format + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLedger(b)
		if err != nil {
			return
		}
		if again, err := decodeLedger(l.encode()); err != nil || again != l || l.last >= l.first && l.last-l.first > maxGenerations {
			t.Fatalf("%+v comes back as %+v, %v", l, again, err)
		}
	})
}

// FuzzTicket: what a damaged file holds for a ticket is refused, or comes back as it is when it is written.
func FuzzTicket(f *testing.F) {
	f.Add((&ticket{digest: otp.Digest{1}, tries: 3, expires: 1e12}).encode())
	f.Add((&ticket{tries: -1, expires: -1}).encode())
	f.Add([]byte{format})
	f.Add([]byte{format + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := decodeTicket(b)
		if err != nil {
			return
		}
		if again, err := decodeTicket(read.encode()); err != nil || *again != *read {
			t.Fatalf("%+v comes back as %+v, %v", read, again, err)
		}
	})
}
