//go:build !race

package redisstore_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestAllocations holds what a claim allocates, from the call to its answer, to what it did when that was
// last written down: neither more, nor less. The race detector allocates by itself, so `make unit` runs this
// without it.
func TestAllocations(t *testing.T) {
	s := open(t, redisstore.Options{Addresses: []string{redistest.Start(t, "--appendfsync", "no").Addr}})
	const accounts = 64
	var names [accounts]string
	for n := range names {
		names[n] = fmt.Sprint("account-", n)
		addDevice(t, s, names[n])
	}
	step := int64(100)
	for _, c := range []struct{ size, written int }{{1, 29}, {accounts, 1}} {
		batch := make([]otp.Claim, c.size)
		claim := func() {
			step++
			for i := range batch {
				batch[i] = useStep(names[i], step, 0)
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
