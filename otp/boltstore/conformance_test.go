package boltstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/storetest"
)

// opened opens a store in a folder of the test's own.
func opened(open func(boltstore.Options) (*boltstore.Store, error)) storetest.Open {
	return func(t *testing.T) otp.Store {
		t.Helper()
		s, err := open(boltstore.Options{Path: filepath.Join(t.TempDir(), "otp.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
}

func TestStore(t *testing.T)           { storetest.Run(t, opened(boltstore.Open)) }
func TestStoreConcurrent(t *testing.T) { storetest.RunConcurrent(t, opened(boltstore.Open)) }

// The same with a store that forgets what it has in memory, and folds its journal, all the time.
func TestTinyStore(t *testing.T)           { storetest.Run(t, opened(boltstore.OpenTiny)) }
func TestTinyStoreConcurrent(t *testing.T) { storetest.RunConcurrent(t, opened(boltstore.OpenTiny)) }

// A process is killed at random points under load; the tiny store is folding its journal at each of them.
func TestStoreCrashSoak(t *testing.T)     { runCrash(t, boltstore.Open) }
func TestTinyStoreCrashSoak(t *testing.T) { runCrash(t, boltstore.OpenTiny) }

func runCrash(t *testing.T, open func(boltstore.Options) (*boltstore.Store, error)) {
	rounds := 20
	if os.Getenv("OTPGATE_SOAK") != "" {
		rounds = 200
	}
	storetest.RunCrash(t, storetest.Crash{
		Start:  func(t *testing.T) string { return filepath.Join(t.TempDir(), "otp.db") },
		Open:   func(path string) (otp.Store, error) { return open(boltstore.Options{Path: path}) },
		Rounds: rounds,
	})
}

// BenchmarkClaim measures claims per second with so many callers waiting.
func BenchmarkClaim(b *testing.B) {
	for _, waiting := range []int{1, 64, 256} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) { benchmarkClaim(b, waiting) })
	}
}

func benchmarkClaim(b *testing.B, waiting int) {
	const accounts = 20_000
	s, err := boltstore.Open(boltstore.Options{Path: filepath.Join(b.TempDir(), "otp.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	var devices []otp.Device
	for n := range accounts {
		devices = append(devices, otp.Device{Account: fmt.Sprintf("0c1d2e3f-4a5b-6c7d-8e9f-%012d", n), ID: "abcdefgh22222222", Label: "phone", Sealed: make([]byte, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute})
	}
	if _, err := s.AddDevices(ctx, devices, 0); err != nil {
		b.Fatal(err)
	}
	now := time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)
	var next atomic.Int64
	var callers sync.WaitGroup
	b.ResetTimer()
	for range waiting {
		callers.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				round := n / accounts
				c := otp.Claim{Kind: otp.UseStep, Account: devices[n%accounts].Account, Version: 1, Device: "abcdefgh22222222", Step: 100 + round, Now: now.Add(time.Duration(round) * time.Minute)}
				binary.BigEndian.PutUint64(c.Token[:], uint64(n))
				if r := s.Claim(ctx, []otp.Claim{c})[0]; r.Answer != otp.Claimed && r.Answer != otp.Used {
					b.Errorf("%+v", r)
					return
				}
			}
		})
	}
	callers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
}
