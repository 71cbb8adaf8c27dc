//go:build !race

package otp

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/otp/keyset"
)

// TestAllocations holds what the steps of a login allocate to what they did when that was last written
// down: neither more, nor less, so that what was gained stays. The race detector allocates by itself, so
// `make unit` runs this without it.
func TestAllocations(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1e9, 0)
	keys, _, err := keyset.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := keys.Seal(plainSeed, boundTo("account", "device"))
	if err != nil {
		t.Fatal(err)
	}
	store := Observe(nodding{sealed: sealed}, prometheus.NewRegistry(), func() time.Time { return now })
	v, err := New(Options{Store: store, Keys: keys, Now: func() time.Time { return now }, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	walked, err := v.Walk(ctx, Attempt{
		Account: "account", Proof: TypedCode(CodeAt(SHA1, plainSeed, 6, time.Minute, now)), Place: v.Place("vpn", "station"),
		Token: v.Token([]byte("packet")),
	})
	if err != nil || len(walked.Matches) != 1 {
		t.Fatalf("%d matches, %v", len(walked.Matches), err)
	}
	right := walked.Attempt
	wrong := right
	wrong.Proof = TypedCode("000000")
	unmatched, _ := v.WalkKnown(wrong)
	batch := make([]Walked, 64)
	for i := range batch {
		batch[i] = walked
	}
	for _, c := range []struct {
		what string
		want float64
		do   func()
	}{
		{"a walk of a known account that finds the step", 1, func() { v.WalkKnown(right) }},
		{"a walk of a known account that finds nothing", 0, func() { v.WalkKnown(wrong) }},
		{"a place", 0, func() { v.Place("vpn", "station") }},
		{"a token", 1, func() { v.Token([]byte("packet")) }},
		{"a claim of a step", 0, func() { v.claim(&walked) }},
		{"a claim of a wrong code", 0, func() { v.claim(&unmatched) }},
		{"the settling of one", 2, func() { v.Settle(ctx, batch[:1]) }},
		{"the settling of 64", 2, func() { v.Settle(ctx, batch) }},
	} {
		if got := testing.AllocsPerRun(500, c.do); got != c.want {
			t.Errorf("%s: %v allocations, written down are %v", c.what, got, c.want)
		}
	}
}

var plainSeed = []byte("a seed of 20 octets.")

// nodding is a store with one device for everybody, that says yes to every claim, and allocates what it answers.
type nodding struct {
	Store
	sealed []byte
}

func (nodding) Claim(_ context.Context, claims []Claim) []Receipt {
	receipts := make([]Receipt, len(claims))
	for i := range receipts {
		receipts[i].Answer = Claimed
	}
	return receipts
}

func (n nodding) Devices(_ context.Context, account string) (Snapshot, error) {
	return Snapshot{Account: account, Version: 1, Devices: []Device{{
		Account: account, ID: "device", Sealed: n.sealed, Algorithm: SHA1, Digits: 6, Period: time.Minute,
	}}}, nil
}
