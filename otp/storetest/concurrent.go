package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
)

// crowd is how many ask at once.
const crowd = 1000

// RunConcurrent proves that one step, one ticket and one place in the list of devices have one
// winner each. Where several nodes may share a store, each of more opens it once more: on what the last
// store of open has. Claims are made at all of them in turn.
func RunConcurrent(t *testing.T, open func(t *testing.T) otp.Store, more ...Open) {
	cases{
		{"1000 claims of one step with different tokens: one is claimed", func(x *exam) {
			answers := x.crowd(func(n int) otp.Claim { return x.use(100, n, n, 0) })
			if answers[otp.Claimed] != 1 || answers[otp.Used] != crowd-1 {
				x.Fatalf("%d Claimed, %d Used", answers[otp.Claimed], answers[otp.Used])
			}
		}},
		{"1000 claims of one step with the same token: all are claimed", func(x *exam) {
			answers := x.crowd(func(int) otp.Claim { return x.use(100, 1, 1, 0) })
			if answers[otp.Claimed] != crowd {
				x.Fatalf("%d Claimed, %d Used", answers[otp.Claimed], answers[otp.Used])
			}
		}},
		{"1000 wrong codes in one moment: one is counted, then the place backs off", func(x *exam) {
			answers := x.crowd(func(n int) otp.Claim {
				c := x.wrongCode(n, n, 0)
				c.Backoff = []time.Duration{time.Minute}
				return c
			})
			if answers[otp.Counted] != 1 || answers[otp.Throttled] != crowd-1 {
				x.Fatalf("%d Counted, %d Throttled", answers[otp.Counted], answers[otp.Throttled])
			}
		}},
		{"1000 wrong passwords: three are counted, then the step is used", func(x *exam) {
			answers := x.crowd(func(n int) otp.Claim { return x.wrongPassword(100, n, n, 0) })
			if answers[otp.Counted] != otp.MaxWrongPasswords || answers[otp.Used] != crowd-otp.MaxWrongPasswords {
				x.Fatalf("%d Counted, %d Used", answers[otp.Counted], answers[otp.Used])
			}
		}},
		{"1000 wrong codes to one challenge: its tries are counted, then it is spent", testTriesTogether},
		{"1000 steps to one challenge: one is claimed, then it is spent", testAnswerOnce},
		{"1000 uses of one shared step: as many are claimed as may be", testShareTogether},
		{"1000 uses of one shared step with few tokens: each counts once", testShareTokenTogether},
		{"1000 right and wrong passwords in one moment: one is counted, then the place backs off", testRightAgainstWrong},
		{"1000 right and wrong passwords without a wait: each right one begins a new count", testRightBetweenWrong},
		{"1000 right passwords from as many places: MaxPlaces are known", testRightPlacesTogether},
		{"notes that are put together are found together", testNotesTogether},
		{"there are never too many notes", testNotesBounded},
		{"batches with the same steps: each step is claimed once", testOverlappingBatches},
		{"one ticket is taken once", testTakeOnce},
		{"tries are not spent twice over", testTriesOnce},
		{"the limit of devices holds", testLimitHolds},
		{"one keyset is bound", testBindOnce},
		{"nothing is claimed once RemoveDevice has returned", testClaimsAgainstRemove},
	}.run(t, open, more...)
}

// together runs n functions that begin at the same moment.
func together(n int, run func(n int)) {
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i := range n {
		end.Go(func() {
			begin.Wait()
			run(i)
		})
	}
	begin.Done()
	end.Wait()
}

// crowd counts the answers to claims that are made at once.
func (x *exam) crowd(claim func(n int) otp.Claim) map[otp.Answer]int {
	x.Helper()
	ctx := x.context()
	receipts := make([]otp.Receipt, crowd)
	together(crowd, func(n int) { receipts[n] = x.node(n).Claim(ctx, []otp.Claim{claim(n)})[0] })
	answers := make(map[otp.Answer]int)
	for _, r := range receipts {
		if r.Err != nil {
			x.Fatal(r.Err)
		}
		answers[r.Answer]++
	}
	return answers
}

func testOverlappingBatches(x *exam) {
	const callers, steps = 20, 50
	ctx := x.context()
	var winners [steps]atomic.Int32
	together(callers, func(n int) {
		for step := range steps {
			batch := []otp.Claim{x.use(int64(100+step), n*1000+step, n, 0), x.use(int64(101+step), n*1000+step+500, n, 0)}
			for i, r := range x.node(n).Claim(ctx, batch) {
				if r.Err != nil {
					x.Error(r.Err)
				}
				if r.Answer == otp.Claimed && step+i < steps {
					winners[step+i].Add(1)
				}
			}
		}
	})
	for step := range winners {
		if n := winners[step].Load(); n > 1 {
			x.Fatalf("step %d was claimed by %d", step, n)
		}
	}
}

func testTakeOnce(x *exam) {
	x.put(otp.InvitationTicket, digest(1), 5)
	ctx := x.context()
	var taken atomic.Int32
	together(200, func(int) {
		ok, err := x.store.TakeTicket(ctx, otp.InvitationTicket, x.account, digest(1), start)
		if err != nil {
			x.Error(err)
		}
		if ok {
			taken.Add(1)
		}
	})
	if n := taken.Load(); n != 1 {
		x.Fatalf("the ticket was taken %d times", n)
	}
}

func testTriesOnce(x *exam) {
	x.put(otp.EnrollmentTicket, digest(1), 5)
	ctx := x.context()
	var right atomic.Int32
	together(200, func(int) {
		ok, err := x.store.CheckTicket(ctx, otp.EnrollmentTicket, x.account, digest(1), start)
		if err != nil {
			x.Error(err)
		}
		if ok {
			right.Add(1)
		}
	})
	if n := right.Load(); n != 5 {
		x.Fatalf("the ticket with 5 tries was right %d times", n)
	}
}

func testLimitHolds(x *exam) {
	const limit = 5
	ctx := x.context()
	var added atomic.Int32
	together(100, func(n int) {
		devices := []otp.Device{newDevice("crowded", deviceID(2*n)), newDevice("crowded", deviceID(2*n+1))}[:1+n%2]
		errs, err := x.store.AddDevices(ctx, devices, limit)
		if err != nil {
			x.Error(err)
		}
		for _, err := range errs {
			if err == nil {
				added.Add(1)
			}
		}
	})
	if s := x.snapshot("crowded"); len(s.Devices) > limit || len(s.Devices) != int(added.Load()) || len(s.Devices) < limit-1 {
		x.Fatalf("%d devices, limit %d, %d reported as added", len(s.Devices), limit, added.Load())
	}
}

func testBindOnce(x *exam) {
	ctx := x.context()
	var bound atomic.Int32
	together(50, func(n int) {
		if x.store.Bind(ctx, fmt.Sprint("keyset ", n)) == nil {
			bound.Add(1)
		}
	})
	if n := bound.Load(); n != 1 {
		x.Fatalf("%d keysets were bound", n)
	}
}

// testClaimsAgainstRemove has many claim rising steps of a device, with the version they read last, while
// it is removed.
func testClaimsAgainstRemove(x *exam) {
	ctx := x.context()
	busy := make(chan struct{}) // closed when the others are at it
	var removed atomic.Bool
	var step atomic.Int64
	var claimed, late atomic.Int32
	together(33, func(n int) {
		if n == 0 {
			select {
			case <-busy:
			case <-ctx.Done():
			}
			if err := x.store.RemoveDevice(ctx, x.account, x.device); err != nil {
				x.Error(err)
			}
			removed.Store(true)
			return
		}
		for after := 0; after < 20 && ctx.Err() == nil; {
			began := removed.Load()
			c := x.use(step.Add(1), int(step.Add(1)), n, 0)
			r := x.store.Claim(ctx, []otp.Claim{c})[0]
			if r.Err != nil {
				x.Error(r.Err)
				return
			}
			if r.Answer == otp.Claimed {
				if claimed.Add(1) == 200 {
					close(busy)
				}
				if began {
					late.Add(1)
				}
			}
			if began {
				after++
			}
		}
	})
	if late.Load() > 0 || claimed.Load() == 0 {
		x.Fatalf("%d claimed, %d of them after RemoveDevice had returned", claimed.Load(), late.Load())
	}
}
