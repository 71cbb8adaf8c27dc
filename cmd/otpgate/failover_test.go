package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/radload/gateway"
	"otpgate/otp/redisstore/redistest"
)

// replicated is the Redis of a script that survives the loss of a server.
type replicated struct {
	master   *redistest.Server   // of all, or of the first shard
	replicas []*redistest.Server // its own
	sentinel *redistest.Server   // nil: a cluster
}

// cmdReplicated starts a Redis with replicas, and sets $STORE_REDIS to where it is.
//
//	replicated sentinel|cluster
func cmdReplicated(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "replicated sentinel|cluster")
	b := benchOf(ts)
	r := new(replicated)
	var addresses []string
	where := ""
	switch args[0] {
	case "sentinel":
		master, replicas, sentinels := redistest.StartSentinels(b.tb(ts), 2, 3)
		r.master, r.replicas, r.sentinel = master, replicas, sentinels[0]
		for _, s := range sentinels {
			addresses = append(addresses, s.Addr)
		}
		where = ", master_name: " + redistest.MasterName
	case "cluster":
		shards := redistest.StartReplicatedCluster(b.tb(ts), 2)
		r.master, r.replicas = shards[0].Master, shards[0].Replicas
		for _, s := range shards {
			addresses = append(addresses, s.Addrs()...)
		}
	default:
		ts.Fatalf("replicated: unknown kind %q", args[0])
	}
	b.peers.replicated = r
	ts.Setenv("STORE_REDIS", `addresses: ["`+strings.Join(addresses, `", "`)+`"]`+where)
}

// cmdFailover has gateways log people in at several nodes while the Redis master is lost, and afterwards sends
// every code that was accepted to each node. Nobody may be refused with a fresh code, and no code pass twice.
//
//	failover killed|frozen DURATION RATE NODE...
//
// killed: at any moment. frozen: it hangs, and comes back when another is the master.
func cmdFailover(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 4, "failover killed|frozen DURATION RATE NODE...")
	during, err := time.ParseDuration(args[1])
	ts.Check(err)
	rate, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	l := newLoad(ts, 0)
	l.options.Timeout, l.options.Tries = time.Second, 12
	if soaking() {
		during, rate = 20*time.Second, 1000
		l.options.Timeout, l.options.Tries = 3*time.Second, 4
		l.options.Lanes = 32 // so many replays at once as the nodes answer before they are sent again
	}
	l.options.Rate, l.options.Duration = rate, during
	for _, n := range args[3:] {
		server, err := netip.ParseAddrPort("127.0.0.1:" + ts.Getenv("RADIUS_"+n))
		ts.Check(err)
		l.options.Servers = append(l.options.Servers, server)
	}
	f := benchOf(ts).peers.replicated
	if f == nil {
		ts.Fatalf("there is no Redis with replicas")
	}
	running := l.begin(ts, 0, gateway.ReplayAfterwards)
	wait(running.ended, during/4)
	lost := f.lose(ts, args[0])
	replaced := f.replaced(ts, lost)
	if args[0] == "frozen" {
		wait(running.ended, 500*time.Millisecond)
		f.master.Thaw()
	}
	l.end(ts, running)
	t := &l.total
	ts.Logf("figures: Redis master %s at %.0f logins/s: replaced after %s; nobody got in for %s, which is %s after that; %d logins, %d accepted, "+
		"%d packets sent again, %d lost, %d refused with a fresh code; %d codes replayed, %d accepted; p50 %s, p99 %s, most %s",
		args[0], rate, replaced.Sub(lost).Round(time.Millisecond), l.silence.Round(time.Millisecond),
		(l.silence - replaced.Sub(lost)).Round(time.Millisecond), t.Begun, t.Accepted, t.Resent, t.Lost, t.WronglyRefused, t.Replayed, t.ReplayAccepted,
		l.times.Accepted.Quantile(0.5), l.times.Accepted.Quantile(0.99), l.times.Accepted.Quantile(1))
	l.judge(ts)
	if t.ReplayRefused < 2*t.Accepted || t.Resent == 0 {
		ts.Fatalf("too little happened to prove anything")
	}
	limit := 5 * time.Second // the machine may have other work
	if soaking() {
		limit = time.Second
	}
	ts.Check(tooLate(l.silence, l.times.Accepted.Quantile(1), replaced.Sub(lost), limit, l.options.Timeout))
}

// tooLate has an error if nobody got in for longer than Redis was away and the limit, or somebody waited for longer than
// that and until the gateway asked again. In a cluster somebody gets in all the time: those whom the lost master had wait.
func tooLate(silence, longest, away, limit, again time.Duration) error {
	if late := silence - away; late > limit {
		return fmt.Errorf("somebody got in %s after Redis was back", late)
	}
	const answer = 500 * time.Millisecond
	if longest > away+limit+again+answer {
		return fmt.Errorf("somebody waited for %s, and Redis was back after %s", longest, away)
	}
	return nil
}

// TestWhoGetsInTooLateIsSeen, whether nobody got in for long or one person waited.
func TestWhoGetsInTooLateIsSeen(t *testing.T) {
	t.Parallel()
	const away, limit, again = 2 * time.Second, time.Second, 3 * time.Second
	for _, c := range []struct {
		silence, longest time.Duration
		good             bool
	}{
		{0, 6500 * time.Millisecond, true},
		{0, 6501 * time.Millisecond, false},
		{3000 * time.Millisecond, 0, true},
		{3001 * time.Millisecond, 0, false},
	} {
		if err := tooLate(c.silence, c.longest, away, limit, again); (err == nil) != c.good {
			t.Errorf("nobody got in for %s, somebody waited for %s: %v", c.silence, c.longest, err)
		}
	}
}

// lose takes the master away, and returns when that was.
func (f *replicated) lose(ts *testscript.TestScript, how string) time.Time {
	at := time.Now()
	switch how {
	case "killed":
		f.master.Kill()
	case "frozen":
		f.master.Freeze()
	default:
		ts.Fatalf("failover: unknown loss %q", how)
	}
	return at
}

// replaced waits until Redis says that a replica is the master, and returns when that was.
func (f *replicated) replaced(ts *testscript.TestScript, lost time.Time) time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		for _, r := range f.replicas {
			if f.sentinel != nil && f.sentinel.Names(ctx, r) || f.sentinel == nil && r.IsMaster(ctx) {
				return time.Now()
			}
		}
		wait(nil, 2*time.Millisecond)
	}
	ts.Fatalf("%s after the master was lost no replica has its place", time.Since(lost))
	return time.Time{}
}
