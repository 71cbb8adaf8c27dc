package quiet_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/radius/quiet"
)

func TestOnceAMinute(t *testing.T) {
	var l quiet.Limit
	now := time.Unix(1_700_000_000, 0)
	for _, step := range []struct {
		what string
		at   time.Duration
		want bool
	}{
		{"first", 0, true},
		{"at once again", 0, false},
		{"just before a minute", quiet.For - 1, false},
		{"after a minute", quiet.For, true},
		{"a clock that was set back", -time.Hour, true},
		{"and soon after", -time.Hour + time.Second, false},
	} {
		if got := l.Allow(now.Add(step.at)); got != step.want {
			t.Errorf("%s: %v", step.what, got)
		}
	}
	var next quiet.Limit
	next.Succeed(&l)
	if next.Allow(now.Add(-time.Hour + 2*time.Second)) {
		t.Error("what took its place has forgotten what was said")
	}
}

func TestOneOfManyMaySay(t *testing.T) {
	var l quiet.Limit
	var said atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if l.Allow(time.Unix(1_700_000_000, 0)) {
				said.Add(1)
			}
		})
	}
	wg.Wait()
	if said.Load() != 1 {
		t.Errorf("%d said it", said.Load())
	}
}

func TestStrangersAreBounded(t *testing.T) {
	s, now, said := quiet.NewStrangers(), time.Unix(1_700_000_000, 0), 0
	addr := netip.MustParseAddr("203.0.113.1")
	for range 10_000 {
		if s.Of(addr).Allow(now) {
			said++
		}
		addr = addr.Next()
	}
	if said == 0 || said > 64 {
		t.Errorf("%d lines about 10,000 addresses in one minute", said)
	}
}
