package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

func runCodes(t *testing.T, open Open) {
	cases{
		{"each entry of Backoff, the last one for all that follow", testBackoff},
		{"no Backoff is no wait", func(x *exam) {
			for n := 1; n <= 20; n++ {
				c := x.wrongCode(n, 1, 0)
				c.Backoff = nil
				x.wantReceipt(c, otp.Counted, n, never)
			}
		}},
		{"Backoff is taken from each claim", func(x *exam) {
			x.want(x.wrongCode(1, 1, 0), otp.Counted)
			c := x.wrongCode(2, 1, 0)
			c.Backoff = []time.Duration{time.Second, 1500 * time.Millisecond}
			x.wantReceipt(c, otp.Counted, 2, start.Add(1500*time.Millisecond))
		}},
		{"a wrong code older than Forget is forgotten", func(x *exam) {
			x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(2, 1, time.Minute), otp.Counted, 2, start.Add(time.Minute+backoff[1]))
			x.wantReceipt(x.wrongCode(3, 1, 61*time.Minute), otp.Counted, 3, start.Add(61*time.Minute+backoff[2]))
			x.wantReceipt(x.wrongCode(4, 1, 121*time.Minute+time.Millisecond), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(1, 1, 122*time.Minute), otp.Counted, 2, start.Add(122*time.Minute+backoff[1]))
		}},
		{"a Forget of zero forgets nothing", func(x *exam) {
			for n := 1; n <= 3; n++ {
				c := x.wrongCode(n, 1, time.Duration(n)*24*time.Hour)
				c.Forget = 0
				if r := x.want(c, otp.Counted); r.Failures != n {
					x.Fatalf("%d failures, want %d", r.Failures, n)
				}
			}
		}},
		{"the same wrong code counts once", func(x *exam) {
			for range 5 {
				x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
			}
			until := start.Add(backoff[1])
			x.wantReceipt(x.wrongCode(2, 1, 0), otp.Counted, 2, until)
			x.wantReceipt(x.wrongCode(1, 1, time.Second), otp.Throttled, 2, until)
			x.wantReceipt(x.wrongCode(1, 1, time.Minute), otp.Counted, 2, never)
			x.wantReceipt(x.wrongCode(2, 1, time.Minute), otp.Counted, 2, never)
		}},
		{"asking again does not put off forgetting", func(x *exam) {
			x.want(x.wrongCode(1, 1, 0), otp.Counted)
			x.wantReceipt(x.wrongCode(1, 1, 50*time.Minute), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(1, 1, 70*time.Minute), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(2, 1, 71*time.Minute), otp.Counted, 2, start.Add(71*time.Minute+backoff[1]))
		}},
		{"MaxMisses wrong codes are remembered", testMisses},
		{"a code that was wrong stays wrong at its place", testStaysWrong},
		{"a wrong code changes neither version nor devices", func(x *exam) {
			for n := range 10 {
				x.claim(x.wrongCode(n, 1, time.Duration(n)*time.Minute))
			}
			s := x.snapshot(x.account)
			if s.Version != x.version || s.Devices[0].LastStep != 0 || !s.Devices[0].LastUsed.IsZero() {
				x.Fatalf("wrong codes made %+v", s)
			}
		}},
		{"a wait that a clock made which was ahead is over when the clock is right", testClockAhead},
		{"a clock that goes back by ClaimLifetime ends no wait", func(x *exam) {
			x.throttle(1)
			until := start.Add(time.Minute)
			x.wantReceipt(x.use(100, 1, 1, -otp.ClaimLifetime), otp.Throttled, 1, until)
			x.wantReceipt(x.wrongCode(5, 1, -otp.ClaimLifetime), otp.Throttled, 1, until)
			x.want(x.use(100, 1, 1, -otp.ClaimLifetime-time.Millisecond), otp.Claimed)
		}},
		{"nodes whose clocks differ give no more tries than one", testClocksDiffer},
		{"many wrong codes", func(x *exam) {
			for n := 1; n <= 300; n++ {
				c := x.wrongCode(n, 1, time.Duration(n)*time.Second)
				c.Backoff = []time.Duration{time.Second}
				x.wantReceipt(c, otp.Counted, n, start.Add(time.Duration(n+1)*time.Second))
			}
		}},
	}.run(t, open)
}

// testStaysWrong sends a wrong code again when it would be the right one.
func testStaysWrong(x *exam) {
	was := func(mark int, step int64, tok, from int, after time.Duration) otp.Claim {
		c := x.use(step, tok, from, after)
		c.Miss = miss(mark)
		return c
	}
	x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
	for tok := range 3 {
		x.wantReceipt(was(1, 100, tok, 1, time.Minute), otp.Counted, 1, never) // at any place that is not known
		x.wantReceipt(was(1, 100, tok, 2, 2*time.Hour), otp.Counted, 1, never) // even if Forget has passed
	}
	if s := x.snapshot(x.account); s.Devices[0].LastStep != 0 {
		x.Fatalf("it was claimed: %+v", s)
	}
	x.want(was(2, 100, 7, 1, time.Minute), otp.Claimed)
	x.want(was(1, 101, 8, 1, 2*time.Minute), otp.Claimed) // another one was right here since
	x.wantReceipt(x.wrongCode(3, 1, 3*time.Minute), otp.Counted, 1, never)
	x.want(was(3, 102, 9, 2, 3*time.Minute), otp.Claimed) // was wrong elsewhere
	x.wantReceipt(was(3, 103, 10, 1, 4*time.Minute), otp.Counted, 1, never)
	x.want(was(4, 102, 11, 2, 4*time.Minute), otp.Used)
}

func testBackoff(x *exam) {
	waits := []time.Duration{0, 0, time.Millisecond, 7 * time.Second, 90 * time.Minute, 2 * time.Hour}
	now := time.Duration(0)
	for n := 1; n <= len(waits)+3; n++ {
		wait := waits[min(n, len(waits))-1]
		until := never
		if wait > 0 {
			until = start.Add(now + wait)
		}
		c := x.wrongCode(n, 1, now)
		c.Backoff, c.Forget = waits, 24*time.Hour
		x.wantReceipt(c, otp.Counted, n, until)
		if wait > 0 {
			c = x.wrongCode(900+n, 1, now+wait-time.Millisecond)
			x.wantReceipt(c, otp.Throttled, n, until)
		}
		now += wait
	}
}

// testClockAhead has wrong codes counted on a node whose clock is a year ahead: at a known place, and
// at all others.
func testClockAhead(x *exam) {
	const year, month = 365 * 24 * time.Hour, 30 * 24 * time.Hour
	known, others := 1, 2
	x.want(x.use(100, 1, known, 0), otp.Claimed)
	for _, from := range []int{known, others} {
		for n := 1; n <= 3; n++ {
			c := x.wrongCode(10*from+n, from, year)
			c.Backoff = []time.Duration{0, 0, time.Hour}
			x.want(c, otp.Counted)
		}
		x.want(x.wrongCode(99, from, year+time.Second), otp.Throttled)
	}
	// Counted anew by the clock that is right: the count stays, and a known code makes no wait.
	x.wantReceipt(x.wrongCode(10*others+3, others, month), otp.Counted, 3, never)
	x.wantReceipt(x.wrongCode(50, others, month), otp.Counted, 4, start.Add(month+backoff[2]))
	x.want(x.use(101, 2, others, month+time.Second), otp.Throttled)
	x.want(x.use(101, 2, known, month), otp.Claimed)
	x.wantReceipt(x.wrongCode(51, known, month), otp.Counted, 1, never)
}

// testClocksDiffer has somebody guess at two nodes in turn, as fast as they answer.
func testClocksDiffer(x *exam) {
	for _, apart := range []time.Duration{100 * time.Millisecond, 2 * time.Second, otp.ClaimLifetime} {
		account := "guessed at " + apart.String()
		x.add(account, x.device)
		counted, mark := 0, 0
		for at := time.Duration(0); at < 10*time.Minute; at += time.Second {
			for _, clock := range []time.Duration{at + apart, at} {
				c := x.wrongCode(mark, 1, clock)
				c.Account, c.Backoff = account, []time.Duration{time.Minute}
				if mark++; x.claim(c).Answer == otp.Counted {
					counted++
				}
			}
		}
		if counted > 10 {
			x.Errorf("clocks %v apart: %d guesses in ten minutes, with a wait of one minute", apart, counted)
		}
	}
}

func testMisses(x *exam) {
	count := func(mark, failures int) {
		x.Helper()
		c := x.wrongCode(mark, 1, 0)
		c.Backoff = nil
		x.wantReceipt(c, otp.Counted, failures, never)
	}
	for n := 1; n <= otp.MaxMisses; n++ {
		count(n, n)
	}
	for n := 1; n <= otp.MaxMisses; n++ {
		count(n, otp.MaxMisses) // all are remembered
	}
	count(100, otp.MaxMisses+1) // the first one makes room
	count(2, otp.MaxMisses+1)
	count(1, otp.MaxMisses+2)
}

// runPlaces proves whose wrong codes count against whom.
func runPlaces(t *testing.T, open Open) {
	cases{
		{"places that are not known share one count", func(x *exam) {
			x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(2, 2, 0), otp.Counted, 2, start.Add(backoff[1]))
			x.want(x.wrongCode(3, 3, time.Second), otp.Throttled)
			x.want(x.use(100, 1, 4, time.Second), otp.Throttled)
		}},
		{"a known place is not slowed down by others", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.throttle(2)
			x.want(x.use(101, 2, 3, time.Second), otp.Throttled)
			x.want(x.use(101, 3, 1, time.Second), otp.Claimed)
			x.wantReceipt(x.wrongCode(50, 1, time.Second), otp.Counted, 1, never)
		}},
		{"a known place does not slow down others", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(101, 2, 2, 0), otp.Claimed)
			x.throttle(1)
			x.want(x.use(102, 3, 1, time.Second), otp.Throttled)
			x.wantReceipt(x.wrongCode(50, 2, time.Second), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(50, 9, time.Second), otp.Counted, 1, never)
			x.want(x.use(102, 3, 9, time.Second), otp.Claimed)
		}},
		{"a claim from a known place ends its count", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongCode(50, 1, 0), otp.Counted)
			x.want(x.use(101, 2, 1, time.Second), otp.Claimed)
			x.wantReceipt(x.wrongCode(50, 1, 2*time.Second), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(51, 1, 3*time.Second), otp.Counted, 2, start.Add(3*time.Second+backoff[1]))
		}},
		{"a claim from a place that was not known ends the shared count", func(x *exam) {
			x.want(x.wrongCode(50, 1, 0), otp.Counted)
			x.want(x.use(100, 1, 2, time.Second), otp.Claimed)
			x.wantReceipt(x.wrongCode(50, 3, 2*time.Second), otp.Counted, 1, never)
		}},
		{"a claim from a known place leaves the shared count", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongCode(50, 2, 0), otp.Counted)
			x.want(x.use(101, 2, 1, time.Second), otp.Claimed)
			x.wantReceipt(x.wrongCode(51, 3, time.Second), otp.Counted, 2, start.Add(time.Second+backoff[1]))
		}},
		{"a place that becomes known leaves its shared count behind", func(x *exam) {
			x.want(x.wrongCode(50, 1, 0), otp.Counted)
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.wantReceipt(x.wrongCode(51, 1, time.Second), otp.Counted, 1, never)
		}},
		{"an answer other than Claimed makes no place known", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.use(100, 2, 2, 0), otp.Used)
			x.throttle(3)
			x.want(x.use(101, 4, 2, time.Second), otp.Throttled)
		}},
		{"a place that made room and comes back has no count", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.want(x.wrongCode(50, 1, 0), otp.Counted)
			for p := 2; p <= otp.MaxPlaces+1; p++ {
				x.want(x.use(int64(100+p), p, p, time.Second), otp.Claimed)
			}
			x.want(x.use(200, 200, 1, time.Minute), otp.Claimed)
			x.wantReceipt(x.wrongCode(51, 1, time.Minute), otp.Counted, 1, never)
		}},
		{"MaxPlaces are known, the one used longest ago makes room", testMaxPlaces},
	}.run(t, open)
}

func testMaxPlaces(x *exam) {
	step := int64(100)
	from := func(p int) {
		x.Helper()
		step++
		x.want(x.use(step, int(step), p, time.Duration(step)*time.Second), otp.Claimed)
	}
	for p := 1; p <= otp.MaxPlaces; p++ {
		from(p)
	}
	from(1) // used again: place 2 is the one used longest ago
	from(100)
	late := 10 * time.Minute
	c := x.wrongCode(1, 200, late)
	c.Backoff = []time.Duration{time.Hour}
	x.want(c, otp.Counted) // everybody who is not known waits now
	for p := 1; p <= otp.MaxPlaces; p++ {
		answer := otp.Used
		if p == 2 {
			answer = otp.Throttled
		}
		x.want(x.use(step, 9000+p, p, late+time.Second), answer)
	}
	x.want(x.use(step, 9100, 100, late+time.Second), otp.Used)
}
