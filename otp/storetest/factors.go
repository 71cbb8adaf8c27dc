package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

// right makes the claim that a password was right where nothing else is asked for.
func (x *exam) right(from int, after time.Duration) otp.Claim {
	return otp.Claim{
		Kind: otp.RightFactor, Account: x.account, Version: otp.AnyVersion, Token: token(2_000_000 + from), Place: place(from), Now: start.Add(after),
	}
}

// nobody makes a claim one of an account that was never seen.
func nobody(c otp.Claim) otp.Claim {
	c.Account = "nobody"
	if c.Version != otp.AnyVersion {
		c.Version = 0
	}
	return c
}

// runFactors proves what a right password does, and how wrong ones count for an account without devices.
func runFactors(t *testing.T, open Open) {
	cases{
		{"a right password makes its place known", func(x *exam) {
			x.wantReceipt(x.right(1, 0), otp.Welcomed, 0, never)
			x.throttle(2)
			x.want(x.use(100, 1, 3, time.Second), otp.Throttled)
			x.want(x.right(3, time.Second), otp.Throttled)
			x.want(x.right(1, time.Second), otp.Welcomed)
			x.want(x.use(100, 1, 1, time.Second), otp.Claimed)
		}},
		{"it ends the count of a known place, and no other", func(x *exam) {
			x.want(x.right(1, 0), otp.Welcomed)
			x.want(x.right(2, 0), otp.Welcomed)
			for _, from := range []int{1, 2, 3} {
				x.wantReceipt(x.wrongCode(50, from, 0), otp.Counted, 1, never)
			}
			x.want(x.right(1, time.Second), otp.Welcomed)
			x.wantReceipt(x.wrongCode(50, 1, 2*time.Second), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(50, 2, 2*time.Second), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(51, 3, 2*time.Second), otp.Counted, 2, start.Add(2*time.Second+backoff[1]))
		}},
		{"it ends the shared count where there is no device", testSharedCountEnds},
		{"it does not end the shared count where there is a device, from any number of places", testSharedCountStays},
		{"it may be told again", func(x *exam) {
			for n := range 5 {
				x.wantReceipt(x.right(1, time.Duration(n)*time.Second), otp.Welcomed, 0, never)
			}
			x.want(x.wrongCode(50, 1, time.Minute), otp.Counted)
			for range 5 {
				x.want(x.right(1, time.Minute), otp.Welcomed)
			}
			x.wantReceipt(x.wrongCode(50, 1, time.Minute), otp.Counted, 1, never)
		}},
		{"it ends no wait", func(x *exam) {
			x.throttle(1)
			x.wantReceipt(x.right(1, time.Second), otp.Throttled, 1, start.Add(time.Minute))
			x.want(x.right(1, time.Minute), otp.Welcomed)
			c := x.wrongCode(50, 1, time.Minute)
			c.Backoff = []time.Duration{time.Minute}
			x.want(c, otp.Counted)
			for range 3 { // nothing was changed
				x.wantReceipt(x.right(1, 2*time.Minute-time.Millisecond), otp.Throttled, 1, start.Add(2*time.Minute))
			}
			x.want(x.use(100, 1, 1, 2*time.Minute-time.Millisecond), otp.Throttled)
			x.want(x.right(1, 2*time.Minute), otp.Welcomed)
		}},
		{"it needs no version, and one that is given must fit", func(x *exam) {
			c := x.right(1, 0)
			for _, version := range []uint64{x.version + 1, x.version - 1, otp.AnyVersion - 1} {
				c.Version = version
				x.want(c, otp.Stale)
			}
			x.throttle(2)
			x.want(x.right(1, time.Second), otp.Throttled) // the place has not become known
			c = x.right(1, time.Minute)
			c.Version = x.version
			x.want(c, otp.Welcomed)
		}},
		{"stale comes before throttled, for it too", func(x *exam) {
			x.throttle(1)
			c := x.right(1, time.Second)
			c.Version = x.version + 1
			x.want(c, otp.Stale)
		}},
		{"nothing but places is changed", testRightChangesPlacesOnly},
		{"what else a claim may hold does not matter", testRightAlone},
		{"MaxPlaces are known, the one used longest ago makes room", testMaxRightPlaces},
		{"in a batch it ends what was counted before it", func(x *exam) {
			x.wantAll([]otp.Claim{x.right(1, 0), x.wrongCode(1, 1, 0), x.right(1, 0), x.wrongCode(1, 1, 0), x.wrongCode(2, 1, 0), x.right(1, 0)},
				otp.Welcomed, otp.Counted, otp.Welcomed, otp.Counted, otp.Counted, otp.Throttled)
		}},
		{"an account without devices has wrong ones counted", testNobodyCounted},
		{"so has one whose last device was removed", func(x *exam) {
			if err := x.store.RemoveDevice(x.context(), x.account, x.device); err != nil {
				x.Fatal(err)
			}
			x.want(x.wrongCode(1, 1, 0), otp.Stale)
			x.refresh()
			x.wantReceipt(x.wrongCode(1, 1, 0), otp.Counted, 1, never)
			x.wantReceipt(x.wrongCode(2, 1, 0), otp.Counted, 2, start.Add(backoff[1]))
			x.want(x.right(2, time.Second), otp.Throttled)
			x.want(x.right(2, time.Minute), otp.Welcomed)
			x.wantReceipt(x.wrongCode(3, 1, time.Minute), otp.Counted, 1, never)
		}},
	}.run(t, open)
}

func testSharedCountEnds(x *exam) {
	x.wantReceipt(nobody(x.wrongCode(1, 1, 0)), otp.Counted, 1, never)
	x.want(nobody(x.right(2, 0)), otp.Welcomed)
	x.wantReceipt(nobody(x.wrongCode(1, 3, 0)), otp.Counted, 1, never)
	x.wantReceipt(nobody(x.wrongCode(2, 3, 0)), otp.Counted, 2, start.Add(backoff[1]))
	x.want(nobody(x.right(2, time.Second)), otp.Welcomed) // known: the count does not apply to it
	x.want(nobody(x.wrongCode(3, 3, time.Second)), otp.Throttled)
	x.want(nobody(x.right(3, backoff[1])), otp.Welcomed)
	x.wantReceipt(nobody(x.wrongCode(3, 4, backoff[1])), otp.Counted, 1, never)
}

// testSharedCountStays guesses codes with a password at hand that lets in elsewhere by itself.
func testSharedCountStays(x *exam) {
	now := time.Duration(0)
	for n := 1; n <= 10; n++ {
		c := x.wrongCode(n, 1000, now)
		until := start.Add(now + c.Backoff[min(n, len(c.Backoff))-1])
		if n == 1 {
			until = never
		}
		x.wantReceipt(c, otp.Counted, n, until)
		now += time.Minute
		x.want(x.right(n, now), otp.Welcomed)
	}
	x.want(x.use(100, 1, 2000, now), otp.Claimed) // a code ends it
	x.wantReceipt(x.wrongCode(50, 1000, now), otp.Counted, 1, never)
}

func testRightChangesPlacesOnly(x *exam) {
	c := x.use(100, 1, 1, 0)
	x.want(c, otp.Claimed)
	x.want(x.wrongPassword(101, 2, 1, 0), otp.Counted)
	before := x.snapshot(x.account)
	for n := range 2 * otp.MaxPlaces {
		x.want(x.right(n, time.Second), otp.Welcomed)
	}
	after := x.snapshot(x.account)
	if after.Version != before.Version || len(after.Devices) != 1 || after.Devices[0].LastStep != 100 || !after.Devices[0].LastUsed.Equal(start) || after.Devices[0].Drift != 0 {
		x.Fatalf("%+v became %+v", before, after)
	}
	x.want(c, otp.Claimed)
	x.want(x.use(100, 3, 1, time.Second), otp.Used)
	x.wantReceipt(x.wrongPassword(101, 4, 1, time.Second), otp.Counted, 2, never)
	x.want(nobody(x.right(1, 0)), otp.Welcomed)
	if s := x.snapshot("nobody"); s.Version != 0 || len(s.Devices) != 0 {
		x.Fatalf("%+v", s)
	}
	x.want(nobody(x.use(100, 1, 1, 0)), otp.Stale)
}

// testRightAlone fills in what belongs to other kinds.
func testRightAlone(x *exam) {
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
	x.spend(1, 5, 0)
	x.want(x.wrongCode(7, 1, 0), otp.Counted)
	c := sharing(answering(1, x.use(101, 1, 1, time.Second))) // its token was claimed, its challenge is spent
	c.Kind, c.Miss, c.Version = otp.RightFactor, miss(7), otp.AnyVersion
	c.Drift, c.Lifetime, c.Backoff, c.Forget = 3, time.Second, backoff, time.Hour
	x.wantReceipt(c, otp.Welcomed, 0, never)
	c.Token, c.Device = token(9), "no such device"
	x.wantReceipt(c, otp.Welcomed, 0, never)
	if s := x.snapshot(x.account); s.Version != x.version || s.Devices[0].LastStep != 100 || s.Devices[0].Drift != 0 {
		x.Fatalf("%+v", s)
	}
	x.wantFirst(x.use(101, 9, 1, time.Second)) // the token was not claimed
}

func testMaxRightPlaces(x *exam) {
	at := time.Duration(0)
	from := func(p int) {
		x.Helper()
		at += time.Second
		x.want(x.right(p, at), otp.Welcomed)
	}
	for p := 1; p <= otp.MaxPlaces; p++ {
		from(p)
	}
	x.want(x.wrongCode(1, 2, at), otp.Counted)
	from(1) // used again: place 2 is the one used longest ago
	from(100)
	c := x.wrongCode(1, 200, at)
	c.Backoff = []time.Duration{time.Hour}
	x.want(c, otp.Counted) // everybody who is not known waits now
	for p := 1; p <= otp.MaxPlaces; p++ {
		answer := otp.Welcomed
		if p == 2 {
			answer = otp.Throttled
		}
		x.want(x.right(p, at), answer)
	}
	x.want(x.right(100, at), otp.Welcomed)
	x.want(x.right(2, at+time.Hour), otp.Welcomed)
	x.wantReceipt(x.wrongCode(1, 2, at+time.Hour), otp.Counted, 1, never) // it left its count behind
}

func testNobodyCounted(x *exam) {
	stale := nobody(x.wrongCode(1, 1, 0))
	stale.Version = 1
	x.want(stale, otp.Stale)
	stale.Version = otp.AnyVersion
	x.want(stale, otp.Stale)
	x.wantReceipt(nobody(x.wrongCode(1, 1, 0)), otp.Counted, 1, never)
	x.wantReceipt(nobody(x.wrongCode(1, 1, 0)), otp.Counted, 1, never)
	until := start.Add(backoff[1])
	x.wantReceipt(nobody(x.wrongCode(2, 2, 0)), otp.Counted, 2, until)
	x.wantReceipt(nobody(x.wrongCode(3, 1, time.Second)), otp.Throttled, 2, until)
	x.wantReceipt(nobody(about(otp.AnyVersion, x.use(0, 1, 1, time.Second))), otp.Throttled, 2, until)
	if s := x.snapshot("nobody"); s.Version != 0 || len(s.Devices) != 0 {
		x.Fatalf("%+v", s)
	}
	x.want(x.use(100, 1, 1, time.Second), otp.Claimed) // no other account waits
	x.add("nobody", x.device)                          // and a first device ends no wait
	s := x.snapshot("nobody")
	if s.Version == 0 || len(s.Devices) != 1 {
		x.Fatalf("%+v", s)
	}
	c := x.use(100, 1, 1, time.Second)
	c.Account, c.Version = "nobody", s.Version
	x.wantReceipt(c, otp.Throttled, 2, until)
	c.Now = until
	x.want(c, otp.Claimed)
}

// testRightAgainstWrong has a right password and wrong ones from one place at once: the first wrong one makes
// it wait, and no right one ends that.
func testRightAgainstWrong(x *exam) {
	answers := x.crowd(func(n int) otp.Claim {
		if n%2 == 0 {
			return x.right(1, 0)
		}
		c := x.wrongCode(n, 1, 0)
		c.Backoff = []time.Duration{time.Minute}
		return c
	})
	if answers[otp.Counted] != 1 || answers[otp.Counted]+answers[otp.Throttled]+answers[otp.Welcomed] != crowd {
		x.Fatalf("%d Counted, %d Throttled, %d Welcomed", answers[otp.Counted], answers[otp.Throttled], answers[otp.Welcomed])
	}
	x.want(x.right(1, time.Minute-time.Millisecond), otp.Throttled)
	x.want(x.right(1, time.Minute), otp.Welcomed)
}

// testRightBetweenWrong has them without a wait: each right one begins a row of counts, 1, 2, 3 and so on,
// and none is lost or there twice.
func testRightBetweenWrong(x *exam) {
	ctx := x.context()
	x.want(x.right(1, 0), otp.Welcomed)
	receipts := make([]otp.Receipt, crowd)
	together(crowd, func(n int) {
		c := x.right(1, 0)
		if n%10 > 0 {
			c = x.wrongCode(n, 1, 0)
			c.Backoff = nil
		}
		receipts[n] = x.store.Claim(ctx, []otp.Claim{c})[0]
	})
	counts := map[int]int{}
	for n, r := range receipts {
		want := otp.Counted
		if n%10 == 0 {
			want = otp.Welcomed
		}
		if r.Err != nil || r.Answer != want {
			x.Fatalf("%s %+v, want %s", name(r.Answer), r, name(want))
		}
		counts[r.Failures]++
	}
	delete(counts, 0)
	if counts[1] > crowd/10+1 {
		x.Fatalf("%d rows of counts, with %d right ones", counts[1], crowd/10)
	}
	for n := 2; n <= crowd; n++ {
		if counts[n] > counts[n-1] {
			x.Fatalf("%d were counted as number %d, and %d as number %d", counts[n], n, counts[n-1], n-1)
		}
	}
}

// testRightPlacesTogether has right passwords from many places at once.
func testRightPlacesTogether(x *exam) {
	if answers := x.crowd(func(n int) otp.Claim { return x.right(n, 0) }); answers[otp.Welcomed] != crowd {
		x.Fatalf("%d Welcomed", answers[otp.Welcomed])
	}
	x.throttle(crowd)
	known := 0
	for n := range crowd {
		switch r := x.claim(about(otp.AnyVersion, x.use(0, 1, n, time.Second))); r.Answer {
		case otp.Free:
			known++
		case otp.Throttled:
		default:
			x.Fatalf("%s %+v", name(r.Answer), r)
		}
	}
	if known != otp.MaxPlaces {
		x.Fatalf("%d places are known", known)
	}
}
