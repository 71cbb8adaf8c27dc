package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
)

// limit48 bounds the numbers that a record holds in six octets: steps, and milliseconds since 1970.
const limit48 = 1 << 47

// Claim implements [otp.Store]: one pipeline, in a cluster one to each master that is concerned. In a
// cluster it does not wait for a master that keeps the others waiting.
func (s *Store) Claim(ctx context.Context, claims []otp.Claim) []otp.Receipt {
	if len(claims) == 0 {
		return nil
	}
	s.metrics.batch(len(claims))
	receipts := make([]otp.Receipt, len(claims))
	calls, asked := s.claimCalls(claims, receipts)
	if len(calls) == 0 {
		return receipts
	}
	cmds, err := do(ctx, s, "claim", func(ctx context.Context) ([]*redis.Cmd, error) { return s.shared(ctx, calls), nil })
	for n, i := range asked {
		if err != nil {
			receipts[i].Err = err
			continue
		}
		reply, err := cmds[n].Result()
		receipts[i] = receipt(reply, err)
	}
	return receipts
}

// claimCalls writes the calls, and of which claim each is. The receipts of claims that cannot be written get
// the error. Nothing of what it returns refers to claims: the calls may outlive them.
func (s *Store) claimCalls(claims []otp.Claim, receipts []otp.Receipt) (calls []call, asked []int) {
	w := writer{
		text: make([]byte, 0, len(claims)*(plainText+len(s.prefix))), ends: make([]int, 0, plainParts*len(claims)),
	}
	asked = make([]int, 0, len(claims))
	for i := range claims {
		if err := valid(&claims[i]); err != nil {
			receipts[i].Err = err
			continue
		}
		w.add(s.prefix, &claims[i])
		asked = append(asked, i)
	}
	w.cut()
	calls = make([]call, len(asked))
	for n, i := range asked {
		calls[n] = w.call(s.scripts.claim, n, &claims[i])
	}
	return calls, asked
}

// valid refuses what the records cannot hold, rather than to let it come back as something else.
func valid(c *otp.Claim) error {
	switch {
	case c.Kind < otp.UseStep || c.Kind > otp.RightFactor:
		return unavailable("claim", fmt.Errorf("kind %d", c.Kind))
	case c.Span < 0 || c.Span > otp.MaxSpan:
		return unavailable("claim", fmt.Errorf("a span of %d steps", c.Span))
	case c.Step >= limit48 || c.Step <= -limit48 || c.Drift != int(int32(c.Drift)) || len(c.Device) > 0xffff:
		return unavailable("claim", fmt.Errorf("step %d, drift %d or the device is out of range", c.Step, c.Drift))
	case c.Challenge.Tries != int(int16(c.Challenge.Tries)) || c.Share.Times != int(int32(c.Share.Times)):
		return unavailable("claim", fmt.Errorf("%d tries or %d times are out of range", c.Challenge.Tries, c.Share.Times))
	case millis(c.Now) < 0 || millis(c.Now) >= limit48/2:
		return unavailable("claim", fmt.Errorf("time %v is out of range", c.Now))
	}
	return nil
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
