package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/boltstore"
)

// TestManyDevicesSoak opens a store with many devices that have all logged in: after it was closed, and
// after its process was killed. What that takes, in time and memory, does not grow with their number.
func TestManyDevicesSoak(t *testing.T) {
	n := 20_000
	if os.Getenv("OTPGATE_SOAK") != "" {
		n = 1_000_000
	}
	const batch = 1000
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := boltstore.Open(boltstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	each(n, batch, func(first int) {
		devices := make([]otp.Device, batch)
		for i := range devices {
			devices[i] = otp.Device{
				Account: manyAccount(first + i), ID: manyDevice(first + i), Label: "phone", Sealed: bytes.Repeat([]byte{7}, 53),
				Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: time.UnixMilli(1),
			}
		}
		if errs, err := s.AddDevices(t.Context(), devices, 0); err != nil || errs[0] != nil {
			t.Fatal(err, errs[0])
		}
	})
	added := time.Since(began)
	each(n, batch, func(first int) {
		claims := make([]otp.Claim, batch)
		for i := range claims {
			claims[i] = otp.Claim{Kind: otp.UseStep, Account: manyAccount(first + i), Version: 1, Device: manyDevice(first + i), Step: 100, Now: time.UnixMilli(1000)}
			binary.BigEndian.PutUint64(claims[i].Token[:], uint64(first+i))
			binary.BigEndian.PutUint64(claims[i].Place[:], uint64(first+i))
		}
		for _, r := range s.Claim(t.Context(), claims) {
			if r.Answer != otp.Claimed {
				t.Fatalf("%+v", r)
			}
		}
	})
	crashed := boltstore.Killed(t, s) // what is on disk while the store is open: its journal is not folded
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = nil
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	closedTook, closedHeap := openMany(t, path, n)
	crashedTook, crashedHeap := openMany(t, crashed, n)
	t.Logf("figures: embedded store, %d devices: %d octets of file a device, %d us to add one; opened in %v with %d KiB of memory, after a kill in %v with %d KiB",
		n, info.Size()/int64(n), added.Microseconds()/int64(n), closedTook, closedHeap>>10, crashedTook, crashedHeap>>10)
	if closedTook > 10*time.Second || crashedTook > 30*time.Second {
		t.Errorf("opened in %v, after a kill in %v", closedTook, crashedTook)
	}
	if closedHeap > 16<<20 || crashedHeap > 128<<20 {
		t.Errorf("%d KiB of memory, after a kill %d", closedHeap>>10, crashedHeap>>10)
	}
}

// openMany says how long a store takes to open, and how much memory it has then. Its last device is used.
func openMany(t *testing.T, path string, n int) (time.Duration, int64) {
	t.Helper()
	before := heapInUse()
	began := time.Now()
	s, err := boltstore.Open(boltstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	took := time.Since(began)
	grown := heapInUse() - before
	c := otp.Claim{Kind: otp.UseStep, Account: manyAccount(n - 1), Version: 1, Device: manyDevice(n - 1), Step: 100, Token: otp.Token{1}, Now: time.UnixMilli(100_000)}
	if r := s.Claim(t.Context(), []otp.Claim{c})[0]; r.Answer != otp.Used {
		t.Errorf("a used step: %+v", r)
	}
	return took, grown
}

// each calls do for every batch of n.
func each(n, batch int, do func(first int)) {
	for first := 0; first < n; first += batch {
		do(first)
	}
}

// manyAccount spreads accounts over the file, as random ids do.
func manyAccount(i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012d", uint32(i)*2654435761, i)
}

func manyDevice(i int) string { return fmt.Sprintf("abcdefgh%08d", i) }

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
