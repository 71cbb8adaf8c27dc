package storetest

import (
	"fmt"
	"testing"
	"time"

	"otpgate/otp"
)

func runBatches(t *testing.T, open Open) {
	cases{
		{"no claims, no receipts", func(x *exam) {
			if r := x.store.Claim(x.context(), nil); len(r) != 0 {
				x.Fatalf("%d receipts", len(r))
			}
		}},
		{"two claims of one step in one batch: the first one wins", func(x *exam) {
			batch := []otp.Claim{x.use(100, 1, 1, 0), x.use(100, 2, 1, 0), x.use(100, 1, 1, 0), x.use(101, 3, 1, 0), x.use(100, 1, 1, 0)}
			x.wantAll(batch, otp.Claimed, otp.Used, otp.Claimed, otp.Claimed, otp.Claimed)
		}},
		{"a claim that raises the version makes the next one stale", func(x *exam) {
			drifted := x.use(100, 1, 1, 0)
			drifted.Drift = 1
			x.wantAll([]otp.Claim{drifted, x.use(101, 2, 1, 0), drifted}, otp.Claimed, otp.Stale, otp.Claimed)
		}},
		{"wrong codes in one batch are counted in order", func(x *exam) {
			batch := []otp.Claim{x.wrongCode(1, 1, 0), x.wrongCode(1, 1, 0), x.wrongCode(2, 1, 0), x.wrongCode(3, 1, 0), x.use(100, 1, 1, 0)}
			x.wantAll(batch, otp.Counted, otp.Counted, otp.Counted, otp.Throttled, otp.Throttled)
		}},
		{"an invalid claim leaves the others alone", func(x *exam) {
			bad := x.use(100, 1, 1, 0)
			bad.Kind = 0
			r := x.store.Claim(x.context(), []otp.Claim{bad, x.use(100, 2, 1, 0), bad, x.use(101, 3, 1, 0)})
			if r[0].Err == nil || r[2].Err == nil || r[1].Answer != otp.Claimed || r[3].Answer != otp.Claimed {
				x.Fatalf("%+v", r)
			}
		}},
		{"500 mixed claims are answered in their order", test500},
	}.run(t, open)
}

// wantAll carries out a batch and compares the answers.
func (x *exam) wantAll(batch []otp.Claim, want ...otp.Answer) {
	x.Helper()
	receipts := x.store.Claim(x.context(), batch)
	if len(receipts) != len(want) {
		x.Fatalf("%d receipts for %d claims", len(receipts), len(want))
	}
	for i, r := range receipts {
		if r.Err != nil || r.Answer != want[i] {
			x.Fatalf("receipt %d: %s (error %v), want %s", i, name(r.Answer), r.Err, name(want[i]))
		}
	}
}

func test500(x *exam) {
	const accounts = 100
	var devices []otp.Device
	for n := range accounts {
		devices = append(devices, newDevice(fmt.Sprint("account-", n), deviceID(n)))
	}
	if errs, err := x.store.AddDevices(x.context(), devices, 0); err != nil || errs[0] != nil {
		x.Fatal(errs[0], err)
	}
	version := x.snapshot("account-0").Version
	var batch []otp.Claim
	var want []otp.Answer
	add := func(account int, answer otp.Answer, c otp.Claim) {
		c.Account, c.Device = fmt.Sprint("account-", account), deviceID(account)
		c.Version = version
		if answer == otp.Stale {
			c.Version += 7
		}
		batch, want = append(batch, c), append(want, answer)
	}
	for round, makes := range []func(n int){
		func(n int) { add(n, otp.Claimed, x.use(100, n, 1, 0)) },
		func(n int) { add(n, otp.Used, x.use(100, 1000+n, 2, 0)) },
		func(n int) { add(n, otp.Counted, x.wrongPassword(101, 2000+n, 1, 0)) },
		func(n int) { add(n, otp.Stale, x.wrongCode(n, 1, 0)) },
		func(n int) { add(n, otp.Claimed, x.use(int64(101+n), 3000+n, 3, time.Second)) },
	} {
		for n := range accounts {
			makes((n*37 + round*11) % accounts) // every account once, in another order each time
		}
	}
	x.wantAll(batch, want...)
}
