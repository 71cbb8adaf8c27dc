package redisstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// BenchmarkClaim measures claims by so many in one call, and what each costs the processor here and in Redis.
func BenchmarkClaim(b *testing.B) {
	server := redistest.Start(b, "--appendonly", "no")
	benchmarkClaims(b, redisstore.Options{Addresses: []string{server.Addr}}, server)
}

// BenchmarkClaimOnDisk is the same with an append-only file, as it is to be.
func BenchmarkClaimOnDisk(b *testing.B) {
	server := redistest.Start(b, "--appendfsync", "everysec")
	benchmarkClaims(b, redisstore.Options{Addresses: []string{server.Addr}}, server)
}

// BenchmarkClaimReplicated has a replica, which need not confirm, or has to.
func BenchmarkClaimReplicated(b *testing.B) {
	server := redistest.Start(b, "--appendonly", "no", "--repl-diskless-sync-delay", "0")
	redistest.StartReplica(b, server.Addr, "--appendonly", "no")
	for replicas := range 2 {
		b.Run(fmt.Sprint("min_replicas=", replicas), func(b *testing.B) {
			benchmarkClaims(b, redisstore.Options{
				Addresses: []string{server.Addr}, MinReplicas: replicas, KeyPrefix: fmt.Sprint("replicated-", replicas, ":"), Timeout: patient,
			}, server)
		})
	}
}

// benchmarkClaims claims as logins do that come from the same place as the time before, at least a minute later.
// The accounts are many, and come in no order: what Redis reads of one is in no cache of the processor.
func benchmarkClaims(b *testing.B, o redisstore.Options, server *redistest.Server) {
	s := open(b, o)
	const accounts = 100_000
	names := make([]string, accounts)
	devices := make([]otp.Device, accounts)
	for n := range accounts {
		names[n] = fmt.Sprintf("3f0c1d2e-4a5b-6c7d-8e9f-a0b1c2d%05d", n)
		devices[n] = otp.Device{
			Account: names[n], ID: fmt.Sprintf("abcdefghijk%05d", n), Label: "Phone of Alice", Sealed: bytes.Repeat([]byte{byte(n)}, 53),
			Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: noon,
		}
	}
	for some := range slices.Chunk(devices, 1000) {
		if _, err := s.AddDevices(b.Context(), some, 0); err != nil {
			b.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	step := int64(0)
	claims := func(batch []otp.Claim) {
		for i := range batch {
			n := random.IntN(accounts)
			step++
			batch[i] = otp.Claim{
				Kind: otp.UseStep, Account: names[n], Version: firstVersion, Device: devices[n].ID, Step: step,
				Now: noon.Add(time.Duration(step) * time.Minute), Place: otp.Place{byte(n), byte(n >> 8), byte(n >> 16), 1},
			}
			for j := 0; j < len(batch[i].Token); j += 8 {
				binary.BigEndian.PutUint64(batch[i].Token[j:], random.Uint64())
			}
			binary.BigEndian.PutUint32(batch[i].Miss[:], random.Uint32())
		}
		for _, r := range s.Claim(b.Context(), batch) {
			if r.Err != nil || r.Answer != otp.Claimed {
				b.Fatalf("%+v", r)
			}
		}
	}
	for range 3 * accounts / 100 { // so that nearly all have logged in before
		claims(make([]otp.Claim, 100))
	}
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			batch := make([]otp.Claim, size)
			theirs, ours := redisCPU(b, server), ownCPU()
			for b.Loop() {
				claims(batch)
			}
			claims := float64(b.N * size)
			b.ReportMetric(claims/b.Elapsed().Seconds(), "claims/s")
			b.ReportMetric((redisCPU(b, server)-theirs)*1e6/claims, "redis-us/claim")
			b.ReportMetric((ownCPU()-ours)*1e6/claims, "own-us/claim")
		})
	}
}

// BenchmarkClaimsOneByOne has many callers claim one step each, as logins do that waited for the directory.
func BenchmarkClaimsOneByOne(b *testing.B) {
	server := redistest.Start(b, "--appendonly", "no")
	s := open(b, redisstore.Options{Addresses: []string{server.Addr}})
	const accounts = 4096
	for n := range accounts {
		addDevice(b, s, fmt.Sprint("account-", n))
	}
	var count atomic.Int64
	theirs, ours := redisCPU(b, server), ownCPU()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := count.Add(1)
			c := useStep(fmt.Sprint("account-", n%accounts), 1_000_000+n, 0)
			c.Token = otp.Token{1, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
			if r := claimOne(b.Context(), s, c); r.Err != nil {
				b.Error(r.Err)
			}
		}
	})
	b.ReportMetric((redisCPU(b, server)-theirs)*1e6/float64(b.N), "redis-us/claim")
	b.ReportMetric((ownCPU()-ours)*1e6/float64(b.N), "own-us/claim")
}

// redisCPU is how many seconds of processor time the server has used.
func redisCPU(b *testing.B, server *redistest.Server) (seconds float64) {
	b.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer func() { _ = client.Close() }()
	text, err := client.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			v, _ := strconv.ParseFloat(value, 64)
			seconds += v
		}
	}
	return seconds
}

// ownCPU is how many seconds of processor time this process has used.
func ownCPU() float64 {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}
