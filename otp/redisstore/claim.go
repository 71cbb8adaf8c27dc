package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"otpgate/otp"
)

// limit48 bounds the numbers that a record holds in six octets: steps, and milliseconds since 1970.
const limit48 = 1 << 47

// Claim implements [otp.Store]: one pipeline, in a cluster one to each master that is concerned.
func (s *Store) Claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	if len(claims) == 0 {
		return nil
	}
	claims = slices.Clone(claims) // the call may outlive ours
	s.metrics.batch(len(claims))
	receipts, err := do(ctx, s, "claim", func(ctx context.Context) ([]otp.Receipt, error) {
		return s.claim(ctx, claims), nil
	})
	if err != nil {
		receipts = make([]otp.Receipt, len(claims))
		for i := range receipts {
			receipts[i].Err = err
		}
	}
	return receipts
}

func (s *Store) claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	receipts := make([]otp.Receipt, len(claims))
	calls := make([]call, 0, len(claims))
	asked := make([]int, 0, len(claims)) // of which claim each call is
	var w waits
	for i := range claims {
		if err := valid(&claims[i]); err != nil {
			receipts[i].Err = err
			continue
		}
		calls = append(calls, s.claimCall(&claims[i], &w))
		asked = append(asked, i)
	}
	if len(calls) == 0 {
		return receipts
	}
	for n, cmd := range s.run(ctx, calls) {
		reply, err := cmd.Result()
		receipts[asked[n]] = receipt(reply, err)
	}
	return receipts
}

// valid refuses what the records cannot hold, rather than to let it come back as something else.
func valid(c *otp.Claim) error {
	switch {
	case c.Kind < otp.UseStep || c.Kind > otp.RightFactor:
		return unavailable("claim", fmt.Errorf("kind %d", c.Kind))
	case c.Step >= limit48 || c.Step <= -limit48 || c.Drift != int(int32(c.Drift)) || len(c.Device) > 0xffff:
		return unavailable("claim", fmt.Errorf("step %d, drift %d or the device is out of range", c.Step, c.Drift))
	case c.Challenge.Tries != int(int16(c.Challenge.Tries)) || c.Share.Times != int(int32(c.Share.Times)):
		return unavailable("claim", fmt.Errorf("%d tries or %d times are out of range", c.Challenge.Tries, c.Share.Times))
	case millis(c.Now) < 0 || millis(c.Now) >= limit48/2:
		return unavailable("claim", fmt.Errorf("time %v is out of range", c.Now))
	}
	return nil
}

func (s *Store) claimCall(c *otp.Claim, w *waits) call {
	args := make([]any, 11, 16)
	args[0], args[1], args[2], args[3], args[4] = int(c.Kind), c.Version, c.Token[:], c.Place[:], millis(c.Now)
	args[5], args[6], args[7] = "", 0, 0
	args[8], args[9], args[10] = c.Miss[:], 0, ""
	switch c.Kind {
	case otp.RightFactor:
	case otp.WrongCode:
		args[9], args[10] = max(c.Forget.Milliseconds(), 0), w.of(c.Backoff)
	default:
		args[5], args[6], args[7] = c.Device, c.Step, c.Drift
	}
	if c.Lifetime != 0 || c.Challenge.Given() || c.Share.Given() { // as a rule nothing of it is
		args = append(args, c.TokenLifetime().Milliseconds(), challenge(c), c.Challenge.Tries, c.Share.Times, c.Share.Within.Milliseconds())
	}
	return call{script: s.scripts.claim, key: s.accountKey(c.Account), args: args}
}

// challenge is the id of the claim's challenge, "" without one.
func challenge(c *otp.Claim) []byte {
	if !c.Challenge.Given() {
		return nil
	}
	return c.Challenge.ID[:]
}

// waits writes back-offs as milliseconds, and remembers the last: as a rule all claims have the same.
type waits struct {
	last []time.Duration
	text string
}

func (w *waits) of(backoff []time.Duration) string {
	if len(backoff) == 0 {
		return ""
	}
	if len(w.last) == len(backoff) && &w.last[0] == &backoff[0] {
		return w.text
	}
	var b []byte
	for _, d := range backoff {
		// No wait that outlasts the program is longer than this one.
		b = append(strconv.AppendInt(b, min(max(d.Milliseconds(), 0), limit48/4), 10), ' ')
	}
	w.last, w.text = backoff, string(b)
	return w.text
}

// Why claim.lua lets pass what was used before.
const (
	again  = 1
	shared = 2
)

// receipt reads the reply of claim.lua. Whatever it does not know is no answer.
func receipt(reply any, err error) otp.Receipt {
	if err != nil {
		return otp.Receipt{Err: unavailable("claim", err)}
	}
	switch r := reply.(type) {
	case int64:
		switch a := otp.Answer(r); a {
		case otp.Claimed, otp.Used, otp.Stale, otp.Welcomed:
			return otp.Receipt{Answer: a}
		}
	case []any:
		var n [5]int64
		if len(r) != len(n) {
			break
		}
		whole := true
		for i := range n {
			var ok bool
			n[i], ok = r[i].(int64)
			whole = whole && ok
		}
		switch a := otp.Answer(n[0]); a {
		case otp.Claimed, otp.Used, otp.Throttled, otp.Counted, otp.Spent, otp.Free:
			if whole {
				return otp.Receipt{
					Answer: a, Failures: int(n[1]), Until: fromMillis(n[2]), TriesLeft: int(n[3]), Again: n[4] == again, Shared: n[4] == shared,
				}
			}
		}
	}
	return otp.Receipt{Err: unavailable("claim", fmt.Errorf("unexpected reply %v", reply))}
}

// millis and fromMillis keep the zero time zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
