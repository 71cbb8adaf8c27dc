package boltstore_test

import (
	"path/filepath"
	"testing"

	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/storetest"
)

func openTemp(t *testing.T) otp.Store {
	t.Helper()
	s, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "otp.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) { storetest.Run(t, openTemp) }
