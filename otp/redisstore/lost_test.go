package redisstore_test

import (
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestALostRedisTellsNoVersionAgain: nodes remember accounts with their versions, and go on running while Redis is
// emptied, or gets back what it had earlier. Whose devices change then gets no version that a node may remember with
// other devices, or it would compare codes with those.
func TestALostRedisTellsNoVersionAgain(t *testing.T) {
	const key = "otpgate:{a}:a"
	server := redistest.Start(t)
	now := noon
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Now: func() time.Time { return now }})
	seen := make(map[uint64]bool)
	version := func(account string) {
		t.Helper()
		snap, err := s.Devices(background(t), account)
		if err != nil || snap.Version == 0 || seen[snap.Version] {
			t.Fatalf("version %d after %v, %v", snap.Version, seen, err)
		}
		seen[snap.Version] = true
	}
	add := func(account, id string) {
		t.Helper()
		now = now.Add(time.Second)
		d := otp.Device{Account: account, ID: id, Sealed: make([]byte, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: noon}
		if errs, err := s.AddDevices(background(t), []otp.Device{d}, 0); err != nil || errs[0] != nil {
			t.Fatal(errs, err)
		}
		version(account)
	}
	remove := func(id string) {
		t.Helper()
		now = now.Add(time.Second)
		if err := s.RemoveDevice(background(t), "a", id); err != nil {
			t.Fatal(err)
		}
		version("a")
	}
	add("a", "first")
	add("a", "second")
	old, err := admin(t, server).Dump(background(t), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	restore := func() {
		t.Helper()
		if err := admin(t, server).RestoreReplace(background(t), key, 0, old).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("a", "third")
	restore()
	add("a", "fourth")
	restore()
	remove("first")
	restore()
	remove("second")
	if err := admin(t, server).FlushAll(background(t)).Err(); err != nil {
		t.Fatal(err)
	}
	add("a", "first")
	now = time.Time{} // a clock that lost its battery
	add("a", "second")
	remove("first")
	add("b", "first")
}
