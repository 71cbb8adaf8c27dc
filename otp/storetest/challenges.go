package storetest

import (
	"testing"
	"time"

	"otpgate/otp"
)

// tries is how many wrong codes a challenge of the suite takes.
const tries = 3

// answering makes a claim that answers a challenge.
func answering(id byte, c otp.Claim) otp.Claim {
	c.Challenge = otp.Challenged{ID: [8]byte{7: id}, Tries: tries}
	if c.Kind == otp.WrongCode {
		c.Backoff = nil // or the place would be waiting
	}
	return c
}

// wantTries carries out one claim and compares how many tries its challenge has left.
func (x *exam) wantTries(c otp.Claim, answer otp.Answer, left int) {
	x.Helper()
	if r := x.want(c, answer); r.TriesLeft != left {
		x.Fatalf("%s with %d tries left, want %d", name(answer), r.TriesLeft, left)
	}
}

// spend has a challenge answered with wrong codes until it has no tries left.
func (x *exam) spend(id byte, mark int, after time.Duration) {
	x.Helper()
	for n := 1; n <= tries; n++ {
		x.wantTries(answering(id, x.wrongCode(mark+n, 1, after)), otp.Counted, tries-n)
	}
}

func runChallenges(t *testing.T, open Open) {
	cases{
		{"wrong codes spend it", func(x *exam) {
			x.spend(1, 0, 0)
			x.want(answering(1, x.wrongCode(50, 1, 0)), otp.Spent)
			x.want(answering(1, x.use(100, 1, 1, 0)), otp.Spent)
			x.want(answering(1, x.use(100, 1, 2, time.Minute)), otp.Spent) // from elsewhere too
		}},
		{"spent changes nothing", func(x *exam) {
			x.spend(1, 0, 0)
			for n := range 10 {
				x.wantReceipt(answering(1, x.wrongCode(50+n, 1, 0)), otp.Spent, 0, never)
			}
			x.want(answering(1, x.use(100, 1, 1, 0)), otp.Spent)
			x.wantReceipt(x.wrongCode(90, 1, 0), otp.Counted, tries+1, start.Add(time.Minute))
			x.want(x.use(100, 2, 9, 2*time.Minute), otp.Claimed)
		}},
		{"a claimed step spends it", func(x *exam) {
			x.want(answering(1, x.use(100, 1, 1, 0)), otp.Claimed)
			x.want(answering(1, x.use(101, 2, 1, time.Minute)), otp.Spent)
			x.want(answering(1, x.wrongCode(1, 1, time.Minute)), otp.Spent)
			x.want(answering(2, x.use(101, 2, 1, time.Minute)), otp.Claimed)
		}},
		{"the token that was claimed is claimed again though it is spent", func(x *exam) {
			c := answering(1, x.use(100, 1, 1, 0))
			x.want(c, otp.Claimed)
			x.want(c, otp.Claimed)
			c.Now = start.Add(otp.ClaimLifetime)
			x.want(c, otp.Claimed)
			c.Now = start.Add(otp.ClaimLifetime + time.Millisecond)
			x.want(c, otp.Spent)
		}},
		{"it can be answered until it is spent", func(x *exam) {
			x.wantTries(answering(1, x.wrongCode(1, 1, 0)), otp.Counted, 2)
			x.wantTries(answering(1, x.wrongCode(2, 1, time.Minute)), otp.Counted, 1)
			x.want(answering(1, x.use(100, 1, 1, 2*time.Minute)), otp.Claimed)
		}},
		{"a wrong code counts against its place as ever", func(x *exam) {
			for n := 1; n <= tries; n++ {
				c := x.wrongCode(n, 1, time.Duration(n)*time.Hour/2)
				want := x.wrongCode(n, 1, time.Duration(n)*time.Hour/2)
				want.Account = "twin"
				if n == 1 {
					x.add("twin", x.device)
				}
				with, without := x.claim(challenged(c)), x.claim(want)
				if with.TriesLeft = 0; with != without {
					x.Fatalf("%+v with a challenge, %+v without", with, without)
				}
			}
		}},
		{"the same token counts once", testChallengeTokens},
		{"Used counts nothing, and says what is left", func(x *exam) {
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
			x.wantTries(answering(1, x.use(100, 2, 1, 0)), otp.Used, 3)
			x.wantTries(answering(1, x.wrongCode(1, 1, 0)), otp.Counted, 2)
			for tok := range 5 {
				x.wantTries(answering(1, x.use(100, 10+tok, 1, 0)), otp.Used, 2)
			}
			x.wantTries(x.use(100, 20, 1, 0), otp.Used, 0)
		}},
		{"a step whose code is remembered as wrong counts nothing, and says what is left", func(x *exam) {
			x.wantTries(answering(1, x.wrongCode(1, 1, 0)), otp.Counted, 2)
			c := answering(1, x.use(100, 1, 1, 0))
			c.Miss = miss(1)
			for range 5 {
				x.wantTries(c, otp.Counted, 2)
			}
			x.want(answering(1, x.use(101, 2, 1, 0)), otp.Claimed)
		}},
		{"stale and throttled come first, and count nothing", testChallengeOrder},
		{"each has a count of its own, in each account", func(x *exam) {
			x.spend(1, 0, 0)
			x.wantTries(answering(2, x.wrongCode(50, 1, 0)), otp.Counted, 2)
			x.add("another", x.device)
			c := answering(1, x.use(100, 1, 1, 0))
			c.Account = "another"
			x.want(c, otp.Claimed)
		}},
		{"every octet of its id counts", func(x *exam) {
			x.spend(0xff, 0, 0)
			for i := range 8 {
				c := x.wrongCode(50+i, 1, 0)
				c.Backoff, c.Challenge = nil, otp.Challenged{ID: [8]byte{7: 0xff}, Tries: tries}
				c.Challenge.ID[i] ^= 0x80
				x.wantTries(c, otp.Counted, 2)
			}
		}},
		{"without a challenge nothing is spent", func(x *exam) {
			for n := range 20 {
				c := x.wrongCode(n, 1, 0)
				c.Backoff, c.Challenge.Tries = nil, 1
				x.wantTries(c, otp.Counted, 0)
			}
			x.want(x.use(100, 1, 1, 0), otp.Claimed)
		}},
		{"Tries is taken from each claim", func(x *exam) {
			x.wantTries(answering(1, x.wrongCode(1, 1, 0)), otp.Counted, 2)
			c := answering(1, x.use(100, 1, 1, 0))
			c.Challenge.Tries = 1
			x.want(c, otp.Spent)
			c = answering(2, x.wrongCode(2, 1, 0))
			c.Challenge.Tries = 1
			x.wantTries(c, otp.Counted, 0)
			x.want(answering(2, x.use(100, 1, 1, 0)), otp.Spent) // it was spent when it had one
		}},
		{"a wrong password has no challenge", func(x *exam) {
			x.spend(1, 0, 0)
			x.want(answering(1, x.wrongPassword(100, 1, 1, 0)), otp.Counted)
		}},
		{"what is older than ChallengeLifetime is forgotten", func(x *exam) {
			x.spend(1, 0, 0)
			x.want(answering(1, x.use(100, 1, 1, otp.ChallengeLifetime)), otp.Spent)
			x.want(answering(1, x.use(100, 1, 1, otp.ChallengeLifetime+time.Millisecond)), otp.Claimed)
		}},
		{"a clock that is behind forgets nothing", func(x *exam) {
			x.spend(1, 0, 0)
			x.want(answering(1, x.use(100, 1, 1, -24*time.Hour)), otp.Spent)
		}},
		{"MaxChallenges are known, the one that changed longest ago makes room", testMaxChallenges},
	}.run(t, open)
}

// challenged is answering without a change of the back-off.
func challenged(c otp.Claim) otp.Claim {
	c.Challenge = otp.Challenged{ID: [8]byte{1}, Tries: 100}
	return c
}

func testChallengeTokens(x *exam) {
	c := answering(1, x.wrongCode(1, 1, 0))
	for range 5 {
		x.wantTries(c, otp.Counted, 2)
	}
	// Its place remembers the code: that counts there once, and here with each new token.
	c.Token = token(2)
	x.wantTries(c, otp.Counted, 1)
	x.wantTries(c, otp.Counted, 1)
	// The place has forgotten it, and counts it again; the challenge has not.
	x.want(x.use(100, 1, 1, 0), otp.Claimed)
	if r := x.want(c, otp.Counted); r.Failures != 1 || r.TriesLeft != 1 {
		x.Fatalf("%+v", r)
	}
	c.Token = token(3)
	x.wantTries(c, otp.Counted, 0)
	x.want(c, otp.Spent)
}

func testChallengeOrder(x *exam) {
	x.want(answering(1, x.use(100, 1, 1, 0)), otp.Claimed)
	x.throttle(2)
	x.want(answering(1, x.wrongCode(1, 2, time.Second)), otp.Throttled)
	x.want(answering(1, x.use(101, 2, 2, time.Second)), otp.Throttled)
	x.want(answering(1, x.use(101, 2, 1, time.Second)), otp.Spent)
	c := answering(1, x.use(101, 2, 1, time.Second))
	c.Version++
	x.want(c, otp.Stale)
	for n := range 10 {
		x.want(answering(2, x.wrongCode(10+n, 2, time.Second)), otp.Throttled)
		c := answering(2, x.wrongCode(10+n, 1, time.Second))
		c.Version++
		x.want(c, otp.Stale)
	}
	x.wantTries(answering(2, x.wrongCode(10, 1, time.Second)), otp.Counted, 2)
}

func testMaxChallenges(x *exam) {
	mark := 0
	wrong := func(id byte, left int) {
		x.Helper()
		mark++
		x.wantTries(answering(id, x.wrongCode(mark, 1, 0)), otp.Counted, left)
	}
	for id := byte(1); id <= otp.MaxChallenges; id++ {
		wrong(id, 2)
	}
	wrong(1, 1) // changed again: 2 is the one that changed longest ago
	wrong(100, 2)
	for id := byte(3); id <= otp.MaxChallenges; id++ {
		wrong(id, 1)
	}
	wrong(1, 0)
	wrong(2, 2)
}

// testTriesTogether answers one challenge at once, with many wrong codes.
func testTriesTogether(x *exam) {
	answers := x.crowd(func(n int) otp.Claim { return answering(1, x.wrongCode(n, n, 0)) })
	if answers[otp.Counted] != tries || answers[otp.Spent] != crowd-tries {
		x.Fatalf("%d Counted, %d Spent", answers[otp.Counted], answers[otp.Spent])
	}
	x.want(answering(1, x.use(100, crowd, 1, 0)), otp.Spent)
}

// testAnswerOnce answers one challenge at once, with codes of many steps.
func testAnswerOnce(x *exam) {
	answers := x.crowd(func(n int) otp.Claim { return answering(1, x.use(int64(100+n), n, n, 0)) })
	if answers[otp.Claimed] != 1 || answers[otp.Spent] != crowd-1 {
		x.Fatalf("%d Claimed, %d Spent", answers[otp.Claimed], answers[otp.Spent])
	}
}
