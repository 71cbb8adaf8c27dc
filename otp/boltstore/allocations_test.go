//go:build !race

package boltstore_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/boltstore"
)

// TestAllocations holds what a claim allocates, from the call to its answer, to what it did when that was
// last written down: neither more, nor less. The race detector allocates by itself, so `make unit` runs this
// without it.
func TestAllocations(t *testing.T) {
	s, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "otp.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const accounts = 64
	var devices []otp.Device
	for n := range accounts {
		devices = append(devices, otp.Device{Account: fmt.Sprint("account-", n), ID: "abcdefgh22222222", Label: "phone", Sealed: make([]byte, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute})
	}
	if _, err := s.AddDevices(t.Context(), devices, 0); err != nil {
		t.Fatal(err)
	}
	step := int64(100)
	noon := time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ size, written int }{{1, 11}, {accounts, 1}} {
		batch := make([]otp.Claim, c.size)
		claim := func() {
			step++
			for i := range batch {
				batch[i] = otp.Claim{Kind: otp.UseStep, Account: devices[i].Account, Version: 1, Device: devices[i].ID, Step: step, Now: noon}
				binary.BigEndian.PutUint64(batch[i].Token[:], uint64(step)<<8|uint64(i))
			}
			for _, r := range s.Claim(t.Context(), batch) {
				if r.Answer != otp.Claimed {
					t.Fatalf("%+v", r)
				}
			}
		}
		if got := int(testing.AllocsPerRun(300, claim)/float64(c.size) + 0.5); got != c.written {
			t.Errorf("a claim among %d: %d allocations, written down are %d", c.size, got, c.written)
		}
	}
}
