package storetest

import (
	"errors"
	"testing"
	"time"

	"otpgate/otp"
)

// sharing makes a claim that may share its step: three uses within a minute.
func sharing(c otp.Claim) otp.Claim {
	c.Share = otp.Share{Times: 3, Within: time.Minute}
	return c
}

// wantShared carries out a claim that is to pass because its step is shared.
func (x *exam) wantShared(c otp.Claim) {
	x.Helper()
	if r := x.want(c, otp.Claimed); !r.Shared || r.Again {
		x.Fatalf("%+v, want it shared", r)
	}
}

// wantFirst carries out a claim that is to pass by itself.
func (x *exam) wantFirst(c otp.Claim) {
	x.Helper()
	if r := x.want(c, otp.Claimed); r.Shared || r.Again {
		x.Fatalf("%+v, want it claimed by itself", r)
	}
}

func runShares(t *testing.T, open Open) {
	cases{
		{"a step is used Times times", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			x.wantShared(sharing(x.use(100, 2, 1, time.Second)))
			x.wantShared(sharing(x.use(100, 3, 1, 2*time.Second)))
			x.want(sharing(x.use(100, 4, 1, 3*time.Second)), otp.Used)
			x.want(sharing(x.use(100, 5, 1, 0)), otp.Used)
		}},
		{"a token is claimed again, and counts once", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			x.wantShared(sharing(x.use(100, 2, 1, 0)))
			for tok := 1; tok <= 2; tok++ {
				for range 5 {
					if r := x.want(sharing(x.use(100, tok, 1, time.Second)), otp.Claimed); !r.Again || r.Shared {
						x.Fatalf("%+v", r)
					}
				}
			}
			x.wantShared(sharing(x.use(100, 3, 1, time.Second)))
			x.want(sharing(x.use(100, 4, 1, time.Second)), otp.Used)
		}},
		{"all who share a step are told so again", func(x *exam) {
			often := func(tok int) otp.Claim {
				c := x.use(100, tok, 1, time.Duration(tok)*100*time.Millisecond)
				c.Share = otp.Share{Times: otp.MaxShareTimes, Within: time.Minute}
				return c
			}
			x.wantFirst(often(1))
			for tok := 2; tok <= otp.MaxShareTimes; tok++ {
				x.wantShared(often(tok))
			}
			for tok := 1; tok <= otp.MaxShareTimes; tok++ {
				if r := x.want(often(tok), otp.Claimed); !r.Again || r.Shared {
					x.Fatalf("token %d: %+v", tok, r)
				}
			}
			x.want(often(otp.MaxShareTimes+1), otp.Used)
		}},
		{"both claims must allow it", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(sharing(x.use(100, 2, 1, 0)), otp.Used)
			x.wantFirst(sharing(x.use(101, 3, 1, 0)))
			x.want(x.use(101, 4, 1, 0), otp.Used)
			x.wantShared(sharing(x.use(101, 5, 1, 0)))
		}},
		{"fewer than two times, or no time at all, share nothing", func(x *exam) {
			step := int64(100)
			for _, s := range []otp.Share{{}, {Times: 1, Within: time.Minute}, {Times: -1, Within: time.Minute}, {Times: 5}, {Times: 5, Within: -time.Second}} {
				c := x.use(step, int(step), 1, 0)
				c.Share = s
				x.want(c, otp.Claimed)
				x.want(sharing(x.use(step, int(step)+1000, 1, 0)), otp.Used)
				step++
				x.wantFirst(sharing(x.use(step, int(step), 1, 0)))
				c = x.use(step, int(step)+1000, 1, 0)
				c.Share = s
				x.want(c, otp.Used)
				step++
			}
		}},
		{"from its place only", func(x *exam) {
			x.want(x.use(99, 9, 2, 0), otp.Claimed)
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			x.want(sharing(x.use(100, 2, 2, 0)), otp.Used)
			x.want(sharing(x.use(100, 3, 3, 0)), otp.Used)
			x.wantShared(sharing(x.use(100, 4, 1, 0)))
		}},
		{"this step of this device only", testShareStep},
		{"within its time, by clocks that differ in either direction", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			x.want(sharing(x.use(100, 2, 1, time.Minute+time.Millisecond)), otp.Used)
			x.want(sharing(x.use(100, 3, 1, -time.Minute-time.Millisecond)), otp.Used)
			x.wantShared(sharing(x.use(100, 4, 1, time.Minute)))
			x.wantShared(sharing(x.use(100, 5, 1, -time.Minute)))
		}},
		{"sharing does not lengthen its time", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			x.wantShared(sharing(x.use(100, 2, 1, 50*time.Second)))
			x.want(sharing(x.use(100, 3, 1, 70*time.Second)), otp.Used)
		}},
		{"Within is ShareLifetime at most", func(x *exam) {
			long := func(c otp.Claim) otp.Claim {
				c.Share = otp.Share{Times: 5, Within: 24 * time.Hour}
				return c
			}
			x.wantFirst(long(x.use(100, 1, 1, 0)))
			x.wantShared(long(x.use(100, 2, 1, otp.ShareLifetime)))
			x.want(long(x.use(100, 3, 1, otp.ShareLifetime+time.Millisecond)), otp.Used)
		}},
		{"Times and Within are taken from each claim", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			c := x.use(100, 2, 1, 30*time.Second)
			c.Share = otp.Share{Times: 100, Within: time.Second}
			x.want(c, otp.Used)
			c.Share = otp.Share{Times: 2, Within: 2 * time.Minute}
			x.wantShared(c)
			c.Token = token(3)
			x.want(c, otp.Used)
			c.Share.Times = 3
			x.wantShared(c)
		}},
		{"it keeps LastUsed, and changes nothing else", testShareKeeps},
		{"what was wrong here, and what wrong passwords used up, is not shared", testShareRefused},
		{"a challenge is spent by it, and a spent one ends it", func(x *exam) {
			x.wantFirst(sharing(answering(1, x.use(100, 1, 1, 0))))
			x.want(sharing(answering(1, x.use(100, 2, 1, 0))), otp.Spent)
			x.wantShared(sharing(answering(2, x.use(100, 2, 1, 0))))
			x.want(sharing(answering(2, x.use(100, 3, 1, 0))), otp.Spent)
		}},
		{"throttled and stale come first", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			c := sharing(x.use(100, 2, 1, 0))
			c.Version++
			x.want(c, otp.Stale)
			x.throttle(1)
			x.want(sharing(x.use(100, 2, 1, time.Second)), otp.Throttled)
		}},
		{"a removed device shares nothing when it comes back", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
				x.Fatal(err)
			}
			x.add(x.account, x.device)
			x.refresh()
			x.want(x.use(101, 2, 1, 0), otp.Claimed)
			x.want(sharing(x.use(100, 3, 1, 0)), otp.Used)
		}},
		{"MaxShares steps are shared, the oldest makes room", func(x *exam) {
			for n := range otp.MaxShares + 1 {
				x.wantFirst(sharing(x.use(int64(100+n), n, 1, 0)))
			}
			x.want(sharing(x.use(100, 50, 1, 0)), otp.Used)
			for n := 1; n <= otp.MaxShares; n++ {
				x.wantShared(sharing(x.use(int64(100+n), 50+n, 1, 0)))
			}
		}},
	}.run(t, open)
}

func testShareStep(x *exam) {
	other := deviceID(2)
	x.add(x.account, other)
	x.refresh()
	of := func(device string, step int64, tok int) otp.Claim {
		c := sharing(x.use(step, tok, 1, 0))
		c.Device = device
		return c
	}
	x.wantFirst(of(x.device, 100, 1))
	x.want(of(x.device, 99, 2), otp.Used)
	x.wantFirst(of(other, 100, 3))
	x.wantFirst(of(other, 101, 4))
	x.wantShared(of(x.device, 100, 5))
	x.want(of(x.device, 101, 6), otp.Claimed) // its own first time
	x.wantShared(of(x.device, 100, 7))        // though a higher one was used since
	x.want(of(x.device, 100, 8), otp.Used)
	x.wantShared(of(other, 100, 9))
	x.want(of(other, 99, 10), otp.Used)
}

func testShareKeeps(x *exam) {
	x.wantFirst(sharing(x.use(100, 1, 1, 0)))
	x.wantFirst(sharing(x.use(101, 2, 1, 0)))
	before := x.snapshot(x.account)
	x.want(x.wrongCode(1, 1, 0), otp.Counted)
	c := sharing(x.use(100, 3, 1, time.Second))
	c.Drift = 2
	x.wantShared(c)
	after := x.snapshot(x.account)
	d := after.Devices[0]
	if after.Version != before.Version || d.Drift != 0 || d.LastStep != 101 || !d.LastUsed.Equal(start.Add(time.Second)) {
		x.Fatalf("%+v became %+v", before, after)
	}
	x.wantReceipt(x.wrongCode(2, 1, time.Second), otp.Counted, 2, start.Add(time.Second+backoff[1]))
}

func testShareRefused(x *exam) {
	many := func(step int64, tok int) otp.Claim {
		c := x.use(step, tok, 1, 0)
		c.Share = otp.Share{Times: 100, Within: time.Minute}
		return c
	}
	x.wantFirst(many(100, 1))
	x.want(x.wrongCode(1, 1, 0), otp.Counted)
	c := many(100, 2)
	c.Miss = miss(1)
	x.want(c, otp.Counted)
	x.wantFirst(many(101, 3))
	for n := 1; n <= otp.MaxWrongPasswords; n++ {
		x.wantShared(many(101, 10+n))
		x.wantReceipt(x.wrongPassword(101, 10+n, 1, 0), otp.Counted, n, never)
	}
	x.want(many(101, 50), otp.Used)
}

// testShareTogether has many use one step at once.
func testShareTogether(x *exam) {
	const times = 6
	answers := x.crowd(func(n int) otp.Claim {
		c := x.use(100, n, 1, 0)
		c.Share = otp.Share{Times: times, Within: time.Minute}
		return c
	})
	if answers[otp.Claimed] != times || answers[otp.Used] != crowd-times {
		x.Fatalf("%d Claimed, %d Used", answers[otp.Claimed], answers[otp.Used])
	}
}

// testShareTokenTogether has the same few tokens use one step at once, again and again.
func testShareTokenTogether(x *exam) {
	const times = 6
	ctx := x.context()
	receipts := make([]otp.Receipt, crowd)
	together(crowd, func(n int) {
		c := x.use(100, n%times, 1, 0)
		c.Share = otp.Share{Times: times, Within: time.Minute}
		receipts[n] = x.store.Claim(ctx, []otp.Claim{c})[0]
	})
	counted := 0
	for _, r := range receipts {
		if r.Err != nil || r.Answer != otp.Claimed {
			x.Fatal(errors.Join(r.Err, errors.New(name(r.Answer))))
		}
		if !r.Again {
			counted++
		}
	}
	if counted != times {
		x.Fatalf("%d uses were counted, want %d", counted, times)
	}
}
