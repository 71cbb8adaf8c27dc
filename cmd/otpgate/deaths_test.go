package main

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/radload/gateway"
)

// soakKills is how often nodes are killed in the long form.
const soakKills = 200

// burst is how many logins there are about each death.
const burst = 96

// cmdDeaths kills nodes at random points while gateways log people in, and starts them again. Nobody may
// be refused with a fresh code, no code may pass twice, and no login may be lost that was sent again to a
// node that lived.
//
//	deaths KILLS NODE...    200 of them in the long form
//
// Node n has its configuration in n/otpgate.yaml, and listens at $RADIUS_n and $METRICS_n. With several
// nodes they die in turn, and each packet is sent again to the next: once, in the long form. A single node
// is sent the packet again until it lives.
func cmdDeaths(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "deaths KILLS NODE...")
	kills, err := strconv.Atoi(args[0])
	ts.Check(err)
	d := &deaths{nodes: args[1:], load: newLoad(ts, 32)}
	o := &d.load.options
	o.Timeout, o.Tries = time.Second, 16
	if len(d.nodes) == 1 {
		o.Timeout = 2 * time.Second
	}
	if soaking() {
		kills = soakKills
		if len(d.nodes) > 1 {
			o.Timeout, o.Tries = 3*time.Second, 2
		}
	}
	for _, n := range d.nodes {
		server, err := netip.ParseAddrPort("127.0.0.1:" + ts.Getenv("RADIUS_"+n))
		ts.Check(err)
		d.servers = append(d.servers, server)
	}
	o.Servers = d.servers
	began := time.Now()
	d.load.end(ts, d.load.begin(ts, burst, gateway.ReplayAtOnce))
	d.long = max(time.Since(began)-o.Linger, 50*time.Millisecond)
	for round := 0; d.kills < kills; round++ {
		d.round(ts, round)
	}
	d.judge(ts, kills)
}

// deaths is what has happened so far.
type deaths struct {
	nodes        []string
	servers      []netip.AddrPort
	load         *load
	long         time.Duration // of a burst in which nobody dies
	kills, young int           // young: before the node was ready
	down         time.Duration // the longest time from a death until the node was ready again
}

// round kills one of the nodes while the gateways log in. Replays go out at once, while a node may be
// dead, or when the logins are over.
func (d *deaths) round(ts *testscript.TestScript, n int) {
	replay := gateway.ReplayAtOnce
	if n/2%2 == 1 {
		replay = gateway.ReplayAfterwards
	}
	victim, o := n%len(d.nodes), &d.load.options
	// All begin at the one that dies, so that the first copy of a packet finds the one that lives.
	o.Servers, o.Spread = slices.Concat(d.servers[victim:], d.servers[:victim]), false
	r := d.load.begin(ts, burst, replay)
	wait(r.ended, rand.N(d.long))
	d.kill(ts, d.nodes[victim])
	d.load.end(ts, r)
}

// kill kills a node, sometimes again before it is ready, and waits until it is.
func (d *deaths) kill(ts *testscript.TestScript, node string) {
	b := benchOf(ts)
	died := time.Now()
	die := func() {
		p := b.nodes[node]
		ts.Check(p.cmd.Process.Kill()) // an error when it has ended by itself
		p.wait(ts, node)
		d.kills++
		b.start(ts, node, []string{"serve", "--config", node + "/otpgate.yaml"})
	}
	die()
	if rand.IntN(3) == 0 {
		wait(b.nodes[node].exited, rand.N(400*time.Millisecond))
		die()
		d.young++
	}
	d.ready(ts, node)
	d.down = max(d.down, time.Since(died))
}

// ready waits until a node is, for longer than usual: it may have been killed in the middle of anything, on
// a machine that has much else to do.
func (d *deaths) ready(ts *testscript.TestScript, node string) {
	p := benchOf(ts).nodes[node]
	ended := false
	if !comesWithin(4*patience, func() bool {
		select {
		case <-p.exited:
			ended = true
		default:
		}
		status, _, err := ask("GET", "http://127.0.0.1:"+ts.Getenv("METRICS_"+node)+"/readyz", "")
		return ended || err == nil && status == 200
	}) || ended {
		ts.Fatalf("node %s does not come back after %d kills:\n%s", node, d.kills, lastLines(ts, 10))
	}
}

// judge looks at what the gateways saw, and at the logs: who is accepted there more often than the gateway
// heard of was let in again because the first answer died with its node.
func (d *deaths) judge(ts *testscript.TestScript, least int) {
	t := &d.load.total
	logged := uint64(0)
	for _, n := range d.nodes {
		text := ts.ReadFile(n + ".log")
		if strings.Contains(text, "panic") || strings.Contains(text, "DATA RACE") {
			ts.Fatalf("%s.log says what it should not:\n%s", n, text)
		}
		logged += uint64(strings.Count(text, " decision=accept "))
	}
	ts.Logf("figures: deaths of %d nodes: %d kills (%d before the node was ready), down for %s at most; %d logins, %d accepted "+
		"(%d times again, because the answer died with the node), %d packets sent again, %d lost, %d refused with a fresh code; "+
		"%d codes replayed, %d accepted, %d without an answer; longest time without an accept %s",
		len(d.nodes), d.kills, d.young, d.down.Round(time.Millisecond), t.Begun, t.Accepted, logged-min(logged, t.Accepted), t.Resent, t.Lost,
		t.WronglyRefused, t.Replayed, t.ReplayAccepted, t.ReplayLost, d.load.silence.Round(time.Millisecond))
	d.load.judge(ts)
	if d.kills < least || t.Resent == 0 || t.ReplayRefused < t.Replayed/2 {
		ts.Fatalf("too little happened to prove anything")
	}
}

// wait waits so long, or until something has ended.
func wait(ended <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	}
}
