package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

// runLifetimes proves how long a token is claimed again.
func runLifetimes(t *testing.T, open Open) {
	lasting := func(d time.Duration, c otp.Claim) otp.Claim {
		c.Lifetime = d
		return c
	}
	cases{
		{"a receipt says whether a token was claimed before", func(x *exam) {
			x.wantFirst(x.use(100, 1, 1, 0))
			for range 3 {
				if r := x.want(x.use(100, 1, 1, time.Second), otp.Claimed); !r.Again {
					x.Fatalf("%+v", r)
				}
			}
		}},
		{"Lifetime is how long it is claimed again, by clocks that differ in either direction", func(x *exam) {
			const life = 5 * time.Second
			x.want(lasting(life, x.use(100, 1, 1, 0)), otp.Claimed)
			x.want(lasting(life, x.use(100, 1, 1, life)), otp.Claimed)
			x.want(lasting(life, x.use(100, 1, 1, -life)), otp.Claimed)
			x.want(lasting(life, x.use(100, 1, 1, life+time.Millisecond)), otp.Used)
			x.want(lasting(life, x.use(100, 1, 1, -life-time.Millisecond)), otp.Used)
		}},
		{"it is that of whoever asks again", func(x *exam) {
			x.want(lasting(time.Second, x.use(100, 1, 1, 0)), otp.Claimed)
			x.want(x.use(100, 1, 1, 20*time.Second), otp.Claimed)
			x.want(lasting(time.Second, x.use(100, 1, 1, 20*time.Second)), otp.Used)
		}},
		{"it is never more than ClaimLifetime", func(x *exam) {
			x.want(lasting(time.Hour, x.use(100, 1, 1, 0)), otp.Claimed)
			x.want(lasting(time.Hour, x.use(100, 1, 1, otp.ClaimLifetime)), otp.Claimed)
			x.want(lasting(time.Hour, x.use(100, 1, 1, otp.ClaimLifetime+time.Millisecond)), otp.Used)
		}},
		{"less than none is none", func(x *exam) {
			x.want(lasting(-time.Hour, x.use(100, 1, 1, 0)), otp.Claimed)
			x.want(lasting(-time.Hour, x.use(100, 1, 1, time.Millisecond)), otp.Used)
		}},
		{"asking again with a short one does not end it for others", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(lasting(time.Second, x.use(100, 1, 1, 10*time.Second)), otp.Used)
			x.want(lasting(time.Second, x.use(101, 2, 1, 10*time.Second)), otp.Claimed)
			x.want(x.use(100, 1, 1, 20*time.Second), otp.Claimed)
		}},
	}.run(t, open)
}

// preview makes a claim a question.
func preview(c otp.Claim) otp.Claim {
	c.Kind = otp.Preview
	return c
}

// about makes a claim a question about its place alone.
func about(version uint64, c otp.Claim) otp.Claim {
	c.Kind, c.Device, c.Version, c.Step = otp.Preview, "", version, 0
	return c
}

// wantSame asks what would become of a claim, several times, and then carries it out.
func (x *exam) wantSame(c otp.Claim) {
	x.Helper()
	var asked otp.Receipt
	for range 3 {
		asked = x.claim(preview(c))
	}
	if asked.Answer == otp.Claimed {
		x.Fatal("a preview was answered Claimed")
	}
	got := x.claim(c)
	if got.Answer == otp.Claimed {
		got.Answer = otp.Free
	}
	if got.Err != nil || asked != got {
		x.Fatalf("%s %+v before, then %s %+v", name(asked.Answer), asked, name(got.Answer), got)
	}
}

func runPreviews(t *testing.T, open Open) {
	cases{
		{"what would be claimed is free, and nothing is changed", func(x *exam) {
			before := x.snapshot(x.account)
			c := sharing(answering(1, x.use(100, 1, 1, time.Minute)))
			c.Drift = 2
			for range 5 {
				x.wantReceipt(preview(c), otp.Free, 0, never)
			}
			if after := x.snapshot(x.account); after.Version != before.Version || after.Devices[0].LastStep != 0 || !after.Devices[0].LastUsed.IsZero() || after.Devices[0].Drift != 0 {
				x.Fatalf("%+v became %+v", before, after)
			}
			x.throttle(9) // no place has become known
			x.want(x.use(100, 2, 1, time.Second), otp.Throttled)
			x.wantFirst(c)
			c.Drift, c.Token = 0, token(3)
			x.refresh()
			c.Version = x.version
			x.want(c, otp.Spent)
		}},
		{"it answers as UseStep does", testPreviewAnswers},
		{"it shares nothing away", func(x *exam) {
			x.wantFirst(sharing(x.use(100, 1, 1, 0)))
			for tok := range 20 {
				if r := x.want(preview(sharing(x.use(100, 10+tok, 1, 0))), otp.Free); !r.Shared {
					x.Fatalf("%+v", r)
				}
			}
			x.wantSame(sharing(x.use(100, 2, 1, 0)))
			x.wantSame(sharing(x.use(100, 3, 1, 0)))
			x.wantSame(sharing(x.use(100, 4, 1, 0)))
			x.want(preview(sharing(x.use(100, 5, 1, 0))), otp.Used)
		}},
		{"it counts no wrong code", func(x *exam) {
			for n := range 50 {
				c := answering(1, x.wrongCode(n, 1, 0))
				c.Device, c.Step = x.device, 100
				x.want(preview(c), otp.Free)
				x.want(about(x.version, c), otp.Free)
			}
			x.wantTries(answering(1, x.wrongCode(1, 1, 0)), otp.Counted, tries-1)
			x.wantReceipt(x.wrongCode(2, 1, 0), otp.Counted, 2, start.Add(backoff[1]))
		}},
		{"a place alone", testPreviewPlace},
		{"any version is for a place alone", func(x *exam) {
			for _, c := range []otp.Claim{x.use(100, 1, 1, 0), x.wrongCode(1, 1, 0), x.wrongPassword(100, 1, 1, 0), preview(x.use(100, 1, 1, 0))} {
				c.Version = otp.AnyVersion
				x.want(c, otp.Stale)
			}
		}},
		{"in a batch it sees what was claimed before it", func(x *exam) {
			c := x.use(100, 1, 1, 0)
			x.wantAll([]otp.Claim{preview(c), c, preview(c), preview(x.use(100, 2, 1, 0))}, otp.Free, otp.Claimed, otp.Free, otp.Used)
		}},
	}.run(t, open)
}

func testPreviewAnswers(x *exam) {
	x.wantSame(x.use(100, 1, 1, 0))
	x.wantSame(x.use(100, 1, 1, time.Second)) // again
	x.wantSame(x.use(100, 2, 1, time.Second))
	x.wantSame(x.use(99, 3, 1, time.Second))
	short := x.use(100, 1, 1, 10*time.Second)
	short.Lifetime = time.Second
	x.wantSame(short)
	stale := x.use(101, 4, 1, 0)
	stale.Version++
	x.wantSame(stale)
	stale = x.use(100, 1, 1, time.Second)
	stale.Version++
	x.wantSame(stale) // again
	gone := x.use(101, 4, 1, 0)
	gone.Device = deviceID(9)
	x.wantSame(gone)
	x.throttle(2)
	x.wantSame(x.use(101, 5, 2, time.Second))
	x.wantSame(answering(1, x.use(101, 5, 2, time.Second)))
	x.wantTries(answering(1, x.wrongCode(1, 1, time.Second)), otp.Counted, 2)
	wrong := answering(1, x.use(101, 6, 1, time.Second))
	wrong.Miss = miss(1)
	x.wantSame(wrong)
	x.wantSame(answering(1, x.use(100, 7, 1, time.Second))) // Used, with tries left
	for n := range otp.MaxWrongPasswords {
		x.want(x.wrongPassword(101, 20+n, 1, time.Second), otp.Counted)
	}
	x.wantSame(x.use(101, 8, 1, time.Second))
	x.wantSame(answering(1, x.use(102, 9, 1, time.Second)))
	x.wantSame(answering(1, x.use(103, 10, 1, time.Second))) // Spent
}

func testPreviewPlace(x *exam) {
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
	x.throttle(2)
	for _, version := range []uint64{x.version, otp.AnyVersion} {
		x.want(about(version, x.use(100, 1, 1, time.Second)), otp.Free)
		x.wantReceipt(about(version, x.use(100, 1, 3, time.Second)), otp.Throttled, 1, start.Add(time.Minute))
		x.want(about(version, x.use(100, 1, 3, time.Minute)), otp.Free)
	}
	x.want(about(x.version+1, x.use(100, 1, 1, time.Second)), otp.Stale)
	x.want(answering(1, x.use(101, 2, 1, time.Second)), otp.Claimed)
	x.want(about(otp.AnyVersion, answering(1, x.use(0, 3, 1, time.Second))), otp.Spent)
	x.want(about(otp.AnyVersion, answering(2, x.use(0, 3, 1, time.Second))), otp.Free)
	nobody := about(otp.AnyVersion, x.use(0, 3, 1, time.Second))
	nobody.Account = "nobody"
	x.want(nobody, otp.Free)
	if s := x.snapshot("nobody"); s.Version != 0 {
		x.Fatalf("%+v", s)
	}
	nobody.Version = 0
	x.want(nobody, otp.Free) // it is the version of an account that was never seen
}
