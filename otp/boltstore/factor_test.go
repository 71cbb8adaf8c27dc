package boltstore

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"otpgate/otp"
)

// An account without devices has a state and nothing else: the file keeps it, and so does a file that is
// opened after the process has ended.
func TestTheCountOfAnAccountWithoutDevicesIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	wrong := otp.Claim{Kind: otp.WrongCode, Account: "a", Place: otp.Place{2}, Now: noon, Backoff: []time.Duration{time.Hour}}
	right := otp.Claim{Kind: otp.RightFactor, Account: "a", Version: otp.AnyVersion, Place: otp.Place{1}, Now: noon}
	s := openAt(t, path)
	if r := claimOne(s, right); r.Answer != otp.Welcomed {
		t.Fatalf("%+v", r)
	}
	if r := claimOne(s, wrong); r.Answer != otp.Counted {
		t.Fatalf("%+v", r)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, path)
		if snapshot, err := s.Devices(context.Background(), "a"); err != nil || snapshot.Version != 0 || len(snapshot.Devices) != 0 {
			t.Errorf("%+v, %v", snapshot, err)
		}
		if r := claimOne(s, right); r.Answer != otp.Welcomed {
			t.Errorf("its place is not known: %+v", r)
		}
		if r := claimOne(s, wrong); r.Answer != otp.Throttled || r.Failures != 1 {
			t.Errorf("its count is not there: %+v", r)
		}
	}
}

// What logs in by password alone, all day and from one place, costs no disk.
func TestARightFactorToldAgainWritesNothing(t *testing.T) {
	r := &record{}
	right := otp.Claim{Kind: otp.RightFactor, Version: otp.AnyVersion, Place: otp.Place{1}, Now: noon}
	wrong := otp.Claim{Kind: otp.WrongCode, Place: otp.Place{1}, Now: noon, Miss: otp.Miss{1}}
	for n, step := range []struct {
		claim   otp.Claim
		changed bool
	}{{right, true}, {right, false}, {right, false}, {wrong, true}, {right, true}, {right, false}} {
		if receipt, changed := r.apply(&step.claim); changed != step.changed || receipt.Err != nil {
			t.Errorf("claim %d: %+v, changed %t", n, receipt, changed)
		}
	}
}
