package redisstore

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
)

// TestAListThatIsNotOneForEachLetsNobodyIn opens bundles with replies that claim.lua does not give, and with one that it does.
func TestAListThatIsNotOneForEachLetsNobodyIn(t *testing.T) {
	for name, c := range map[string]struct {
		reply any
		err   error
		want  [3]otp.Answer
	}{
		"one for each":    {reply: []any{int64(1), int64(2), "OOM no memory"}, want: [3]otp.Answer{otp.Claimed, otp.Used, otp.NoAnswer}},
		"too few":         {reply: []any{int64(1), int64(1)}},
		"too many":        {reply: []any{int64(1), int64(1), int64(1), int64(1)}},
		"no list":         {reply: int64(1)},
		"a text":          {reply: "OK"},
		"nothing":         {},
		"an error":        {err: errors.New("lost")},
		"what is unknown": {reply: []any{int64(99), nil, []any{int64(1), int64(1), int64(1)}}},
	} {
		own := make([]redis.Cmd, 3)
		b := bundle{redis.NewCmd(context.Background()), []*redis.Cmd{&own[0], &own[1], &own[2]}}
		b.cmd.SetVal(c.reply)
		b.cmd.SetErr(c.err)
		b.open()
		for i, cmd := range b.cmds {
			reply, err := cmd.Result()
			r := receipt(reply, err)
			if r.Answer != c.want[i] || (r.Answer == otp.NoAnswer) != errors.Is(r.Err, otp.ErrUnavailable) {
				t.Errorf("%s: claim %d: %+v", name, i, r)
			}
		}
	}
}
