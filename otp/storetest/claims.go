package storetest

import (
	"math"
	"testing"
	"time"

	"otpgate/otp"
)

// never is the zero time of a receipt.
var never time.Time

func runClaims(t *testing.T, open Open) {
	cases{
		{"a step is claimed once", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 2, 1, 0), otp.Used)
			x.want(x.use(100, 3, 2, time.Hour), otp.Used)
		}},
		{"steps are claimed in rising order only", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(99, 2, 1, 0), otp.Used)
			x.want(x.use(101, 3, 1, 0), otp.Claimed)
			x.want(x.use(100, 4, 1, 0), otp.Used)
		}},
		{"a code that two steps have is used when either is", testSpan},
		{"devices have steps of their own", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			other := deviceID(2)
			x.add(x.account, other)
			x.refresh()
			c := x.use(100, 2, 1, 0)
			c.Device = other
			x.want(c, otp.Claimed)
			x.want(x.use(100, 3, 1, 0), otp.Used)
		}},
		{"the same token is claimed again within ClaimLifetime", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 1, 1, otp.ClaimLifetime), otp.Claimed)
		}},
		{"the same token after ClaimLifetime is used", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 1, 1, otp.ClaimLifetime+time.Millisecond), otp.Used)
		}},
		{"asking again does not lengthen ClaimLifetime", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 1, 1, 20*time.Second), otp.Claimed)
			x.want(x.use(100, 1, 1, 40*time.Second), otp.Used)
		}},
		{"the token of a lower step is claimed again after a higher one", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(101, 2, 1, time.Second), otp.Claimed)
			x.want(x.use(100, 1, 1, 2*time.Second), otp.Claimed)
			x.want(x.use(101, 2, 1, 3*time.Second), otp.Claimed)
			x.want(x.use(100, 3, 1, 4*time.Second), otp.Used)
		}},
		{"the token on a node whose clock is behind is claimed again", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 1, 1, -otp.ClaimLifetime), otp.Claimed)
			x.want(x.use(100, 1, 1, -otp.ClaimLifetime-time.Millisecond), otp.Used)
		}},
		{"a claim is kept: LastStep, LastUsed", func(x *exam) {
			x.want(x.use(100, 1, 1, 90*time.Second), otp.Claimed)
			d := x.snapshot(x.account).Devices[0]
			if d.LastStep != 100 || !d.LastUsed.Equal(start.Add(90*time.Second)) {
				x.Fatalf("LastStep %d, LastUsed %v", d.LastStep, d.LastUsed)
			}
		}},
		{"an answer other than Claimed keeps nothing of the claim", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			c := x.use(100, 2, 2, time.Minute)
			c.Drift = 1
			x.want(c, otp.Used)
			d := x.snapshot(x.account).Devices[0]
			if d.Drift != 0 || !d.LastUsed.Equal(start) {
				x.Fatalf("Drift %d, LastUsed %v after Used", d.Drift, d.LastUsed)
			}
		}},
		{"drift raises the version only when it changes", testDrift},
		{"a step of zero or less is used", func(x *exam) {
			x.want(x.use(0, 1, 1, 0), otp.Used)
			x.want(x.use(-5, 2, 1, 0), otp.Used)
			x.want(x.use(1, 3, 1, 0), otp.Claimed)
		}},
	}.run(t, open)
}

func testDrift(x *exam) {
	c := x.use(100, 1, 1, 0)
	c.Drift = -2
	x.want(c, otp.Claimed)
	changed := x.snapshot(x.account)
	if changed.Version <= x.version || changed.Devices[0].Drift != -2 {
		x.Fatalf("version %d (was %d), drift %d after a change of drift", changed.Version, x.version, changed.Devices[0].Drift)
	}
	c = x.use(101, 2, 1, 0)
	c.Drift = -2
	x.want(c, otp.Stale)
	c.Version = changed.Version
	x.want(c, otp.Claimed)
	if again := x.snapshot(x.account); again.Version != changed.Version {
		x.Fatalf("version %d (was %d) though the drift is the same", again.Version, changed.Version)
	}
}

// runAnswers proves the order in which the rules apply.
func runAnswers(t *testing.T, open Open) {
	cases{
		{"stale for all kinds, and nothing is changed", testStale},
		{"stale comes before throttled", func(x *exam) {
			x.throttle(9)
			c := x.wrongCode(99, 9, time.Second)
			c.Version++
			x.want(c, otp.Stale)
		}},
		{"a claimed token comes before stale", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			c := x.use(100, 1, 1, time.Second)
			c.Version--
			x.want(c, otp.Claimed)
			c.Token = token(2)
			x.want(c, otp.Stale)
		}},
		{"a claimed token comes before throttled", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.throttle(1)
			x.want(x.use(100, 1, 1, time.Second), otp.Claimed)
			x.want(x.use(101, 2, 1, time.Second), otp.Throttled)
		}},
		{"a claimed token that is too old is stale when the version is", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			c := x.use(100, 1, 1, time.Minute)
			c.Version--
			x.want(c, otp.Stale)
		}},
		{"a claimed token of a removed device is not claimed again", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
				x.Fatal(err)
			}
			x.want(x.use(100, 1, 1, time.Second), otp.Stale)
			x.refresh()
			x.want(x.use(100, 1, 1, time.Second), otp.Stale)
		}},
		{"throttled for all kinds, and nothing is changed", testThrottled},
		{"throttled comes before used", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.throttle(9)
			x.want(x.use(100, 2, 9, time.Second), otp.Throttled)
			x.want(x.use(100, 2, 1, time.Second), otp.Used)
		}},
		{"a device that is not there is stale", func(x *exam) {
			c := x.use(100, 1, 1, 0)
			c.Device = deviceID(77)
			x.want(c, otp.Stale)
		}},
		{"an account that was never seen", func(x *exam) {
			c := x.use(100, 1, 1, 0)
			c.Account = "nobody"
			x.want(c, otp.Stale)
		}},
		{"an invalid kind is an error and changes nothing", func(x *exam) {
			for _, kind := range []otp.ClaimKind{0, otp.RightFactor + 1, 255} {
				c := x.use(100, 1, 1, 0)
				c.Kind = kind
				if r := x.claim(c); r.Err == nil || r.Answer != otp.NoAnswer {
					x.Fatalf("kind %d: answer %s, error %v", kind, name(r.Answer), r.Err)
				}
			}
			x.want(x.use(100, 2, 1, 0), otp.Claimed)
		}},
		{"a span out of range is an error and changes nothing", func(x *exam) {
			for _, span := range []int{-1, otp.MaxSpan + 1, math.MaxInt} {
				c := x.use(100, 1, 1, 0)
				c.Span = span
				if r := x.claim(c); r.Err == nil || r.Answer != otp.NoAnswer {
					x.Fatalf("span %d: answer %s, error %v", span, name(r.Answer), r.Err)
				}
			}
			x.want(x.use(100, 2, 1, 0), otp.Claimed)
		}},
	}.run(t, open)
}

// testSpan has codes that belong to several steps, by coincidence.
func testSpan(x *exam) {
	over := func(c otp.Claim, span int) otp.Claim {
		c.Span = span
		return c
	}
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
	x.want(over(x.use(101, 2, 1, 0), 1), otp.Used) // 100 has it as well
	x.want(over(x.wrongPassword(101, 3, 1, 0), 1), otp.Used)
	x.want(over(x.use(103, 4, 1, 0), 2), otp.Claimed)
	x.want(x.use(102, 5, 1, 0), otp.Used)
	x.want(over(x.use(103, 4, 1, time.Second), 2), otp.Claimed) // sent again
	x.want(over(x.use(104+otp.MaxSpan, 6, 1, 0), otp.MaxSpan), otp.Claimed)

	for tok := range otp.MaxWrongPasswords {
		x.want(x.wrongPassword(200, 10+tok, 1, 0), otp.Counted)
	}
	x.want(over(x.use(201, 20, 1, 0), 1), otp.Used) // wrong passwords have used up 200
	x.want(over(x.wrongPassword(202, 21, 1, 0), 2), otp.Used)
	x.want(over(x.wrongPassword(202, 22, 1, 0), 1), otp.Counted)
	x.want(over(x.use(203, 23, 1, 0), 2), otp.Claimed)
}

// throttle makes a place back off, for a minute from start on.
func (x *exam) throttle(from int) {
	x.Helper()
	c := x.wrongCode(7000+from, from, 0)
	c.Backoff = []time.Duration{time.Minute}
	x.want(c, otp.Counted)
}

func testStale(x *exam) {
	before := x.snapshot(x.account)
	for _, c := range []otp.Claim{x.use(100, 1, 1, 0), x.wrongPassword(100, 2, 1, 0), x.wrongCode(1, 1, 0)} {
		for _, version := range []uint64{0, x.version - 1, x.version + 1, 1 << 60} {
			if version != x.version {
				c.Version, c.Drift = version, 1
				x.want(c, otp.Stale)
			}
		}
	}
	after := x.snapshot(x.account)
	if after.Version != before.Version || after.Devices[0].LastStep != 0 || after.Devices[0].Drift != 0 {
		x.Fatalf("stale claims changed %+v to %+v", before, after)
	}
	x.wantReceipt(x.wrongCode(2, 1, 0), otp.Counted, 1, never)
	x.wantReceipt(x.wrongPassword(100, 3, 1, 0), otp.Counted, 1, never)
	x.want(x.use(100, 4, 1, 0), otp.Claimed)
}

func testThrottled(x *exam) {
	x.throttle(1)
	until := start.Add(time.Minute)
	x.wantReceipt(x.use(100, 1, 1, time.Second), otp.Throttled, 1, until)
	x.wantReceipt(x.wrongPassword(100, 2, 1, time.Second), otp.Throttled, 1, until)
	x.wantReceipt(x.wrongCode(5, 1, time.Second), otp.Throttled, 1, until)
	x.wantReceipt(x.wrongCode(6, 1, time.Minute-time.Millisecond), otp.Throttled, 1, until)
	if d := x.snapshot(x.account).Devices[0]; d.LastStep != 0 {
		x.Fatalf("throttled claims changed %+v", d)
	}
	x.wantReceipt(x.wrongPassword(100, 2, 1, time.Minute), otp.Counted, 1, never)
	x.want(x.use(100, 1, 1, time.Minute), otp.Claimed)
}
