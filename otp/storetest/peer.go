package storetest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
)

// Peer is the server behind a store, to be killed by [RunPeerCrash].
type Peer struct {
	Kill  func() // at once, as by a power failure
	Start func() // on the same address, with what it had on its disk; returns when it listens
}

// RunPeerCrash proves that no claim that was answered is lost when the server behind the store is
// killed under load, and that the store recovers by itself.
func RunPeerCrash(t *testing.T, open func(t *testing.T) otp.Store, peer Peer, rounds int) {
	x := &exam{T: t, store: open(t)}
	x.addAll()
	for round := 1; round <= rounds; round++ {
		load := &peerLoad{exam: x, first: int64(round * roundSteps), fatal: 1 + rand.IntN(2000), killed: make(chan struct{})}
		var workers sync.WaitGroup
		for n := range crashWorkers {
			workers.Go(func() { load.work(n % crashAccounts) })
		}
		select {
		case <-load.killed:
		case <-x.context().Done():
			t.Fatal("the claims never came as far as to be interrupted")
		}
		peer.Kill()
		load.down.Store(true)
		workers.Wait()
		peer.Start()
		x.recovered()
		for account := range crashAccounts {
			x.wantUsed(account, load.claimed[account])
			x.wantOnce(account, load.unknown[account])
		}
	}
}

// peerLoad claims until the server is gone.
type peerLoad struct {
	*exam
	first  int64
	fatal  int // after so many claims
	killed chan struct{}
	down   atomic.Bool
	count  atomic.Int64
	steps  [crashAccounts]atomic.Int64

	mu      sync.Mutex
	claimed [crashAccounts][]int64
	unknown [crashAccounts][]int64 // the store could not tell
}

func (l *peerLoad) work(account int) {
	ctx := l.context()
	for !l.down.Load() && ctx.Err() == nil {
		step := l.first + l.steps[account].Add(1)
		r := l.store.Claim(ctx, []otp.Claim{l.of(account, step, 0)})[0]
		l.mu.Lock()
		switch {
		case r.Err != nil:
			l.unknown[account] = append(l.unknown[account], step)
		case r.Answer == otp.Claimed:
			l.claimed[account] = append(l.claimed[account], step)
		}
		l.mu.Unlock()
		if l.count.Add(1) == int64(l.fatal) {
			close(l.killed)
		}
	}
}

// recovered waits until the store answers again.
func (x *exam) recovered() {
	x.Helper()
	ctx := x.context()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		_, err := x.store.Ping(ctx)
		if err == nil {
			return
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			x.Fatalf("the store does not recover: %v", err)
		}
	}
}

// wantOnce proves that of a step whose fate is not known the first token gets the same answer twice,
// and no other gets the step.
func (x *exam) wantOnce(account int, steps []int64) {
	x.Helper()
	for _, step := range steps {
		first, again := x.claim(x.of(account, step, 0)), x.claim(x.of(account, step, 0))
		if first.Err != nil || first.Answer != again.Answer || first.Answer != otp.Claimed && first.Answer != otp.Used {
			x.Fatalf("step %d of account %d: %s, then %s (%v)", step, account, name(first.Answer), name(again.Answer), first.Err)
		}
		x.want(x.of(account, step, 1), otp.Used)
	}
}
