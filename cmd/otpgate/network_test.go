package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/radload/gateway"
	"otpgate/radius/linktest"
)

// forgotten is a little more than what a node remembers a request and its claim for.
const forgotten = 31 * time.Second

// jumped is what a node says whose clock did.
const jumped = "the clock jumped"

// jumping is the clock of a node that was started with $JUMPS set in the script: it goes on by [forgotten]
// with each SIGUSR1.
func jumping() func() time.Time {
	var ahead atomic.Int64
	jumps := make(chan os.Signal, 1)
	signal.Notify(jumps, syscall.SIGUSR1)
	go func() {
		for range jumps {
			ahead.Add(int64(forgotten))
			fmt.Fprintln(os.Stderr, jumped)
		}
	}()
	return func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
}

// cmdJump has the clocks of nodes go on by as much as it takes to forget.
func cmdJump(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "jump NODE...")
	for _, name := range args {
		p := benchOf(ts).nodes[name]
		if p == nil || !strings.HasSuffix(p.cmd.Path, "otpgate-jumps") {
			ts.Fatalf("node %s was not started with $JUMPS set", name)
		}
		behind := int64(len(ts.ReadFile(p.log)))
		ts.Check(p.cmd.Process.Signal(syscall.SIGUSR1))
		p.says(ts, jumped, behind)
	}
}

// cmdNetwork puts a bad link between gateways and each node: it loses datagrams either way, doubles them,
// lets some overtake others, and brings copies when they have been answered, and again when the nodes have
// forgotten them.
//
//	network LOGINS NODE...    ten times as many in the long form
//
// Node n listens at $RADIUS_n and $METRICS_n. Each login is decided once and the same everywhere, and
// nobody is told that a fresh code was used.
func cmdNetwork(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "network LOGINS NODE...")
	logins, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	n := &network{nodes: args[1:], load: newLoad(ts, 16), movers: 10}
	o := &n.load.options
	o.Timeout, o.Tries = 600*time.Millisecond, 16
	there := linktest.Faults{
		Loss: 0.05, Double: 0.05, Hold: 0.1, Wander: 100 * time.Millisecond, Late: 0.05, LateBy: time.Second,
	}
	if soaking() {
		logins *= 10
		n.movers *= 4
		o.Timeout, there.Wander, there.LateBy = time.Second, 150*time.Millisecond, 2*time.Second
	}
	back := there
	back.LateBy /= 2
	o.Linger = there.LateBy + back.LateBy + 4*there.Wander
	for i, node := range n.nodes {
		server, err := netip.ParseAddrPort("127.0.0.1:" + ts.Getenv("RADIUS_"+node))
		ts.Check(err)
		link := linktest.Start(benchOf(ts).tb(ts), linktest.Options{Server: server, Seed: uint64(i + 1), There: there, Back: back})
		n.links = append(n.links, link)
		o.Servers = append(o.Servers, link.Addr())
	}
	n.faults(ts, logins)
	n.forget(ts, logins/2)
	if c := n.counts(); c.Lost == 0 || c.Doubled == 0 || c.Held == 0 || c.Late == 0 || c.Overflowed > 0 || n.load.total.Resent == 0 {
		ts.Fatalf("too little happened to prove anything: %+v", c)
	}
}

// network is the links and what went through them.
type network struct {
	nodes []string
	links []*linktest.Link
	load  *load

	movers int // logins of each gateway that changes its port
}

func (n *network) counts() (sum linktest.Counts) {
	for _, l := range n.links {
		c := l.Counts()
		sum.Passed, sum.Lost, sum.Doubled = sum.Passed+c.Passed, sum.Lost+c.Lost, sum.Doubled+c.Doubled
		sum.Held, sum.Late, sum.Overflowed = sum.Held+c.Held, sum.Late+c.Late, sum.Overflowed+c.Overflowed
	}
	return sum
}

func (n *network) change(there, back linktest.Faults) {
	for _, l := range n.links {
		l.Change(there, back)
	}
}

// faults is while nothing is too late: by gateways that have Identifiers enough for all logins, by one
// that soon gives an Identifier to another login, and by some that send again from another port.
func (n *network) faults(ts *testscript.TestScript, logins int64) {
	o, t := &n.load.options, &n.load.total
	o.Lanes = int(2 + logins/128)
	n.load.end(ts, n.load.begin(ts, logins, gateway.ReplayNever))
	patient := *t
	o.Lanes = 1 // and 256 Identifiers
	n.load.end(ts, n.load.begin(ts, 2*logins, gateway.ReplayNever))
	t.Wrong = patient.Wrong // a late answer may be to a request that this gateway has long forgotten
	o.Lanes = 0
	n.load.judge(ts)
	moved := moving(ts, n.load, n.movers)
	ts.Logf("figures: network: %d logins of patient gateways and %d of a hasty one, %d packets sent again, all accepted, %d answers again, 0 others; "+
		"%d logins whose gateways change ports; %+v",
		patient.Begun, t.Begun-patient.Begun, t.Resent, t.Same, moved, n.counts())
	if used := n.sum(ts, `otpgate_radius_attempts_total\{.*reason="code_used"\}`); used > 0 {
		ts.Fatalf("%v times a code counted as used that was not", used)
	}
	before := *t
	n.load.end(ts, n.load.begin(ts, logins/2, gateway.ReplayAfterwards))
	n.load.judge(ts)
	ts.Logf("figures: network: %d accepted codes sent again in other packets, %d refused", t.Replayed-before.Replayed, t.ReplayRefused-before.ReplayRefused)
	if t.ReplayRefused == 0 {
		ts.Fatalf("no code was replayed")
	}
}

// forget is about copies that come when nothing is remembered any more: they are used, and nobody is let
// in by them.
func (n *network) forget(ts *testscript.TestScript, logins int64) {
	n.change(linktest.Faults{Late: 0.5}, linktest.Faults{})
	n.load.end(ts, n.load.begin(ts, logins, gateway.ReplayNever))
	n.load.judge(ts)
	const (
		accept   = `otpgate_radius_attempts_total\{.*decision="accept".*\}`
		used     = `otpgate_radius_attempts_total\{.*reason="code_used"\}`
		again    = `otpgate_radius_duplicates_total\{.*\}`
		received = `otpgate_radius_packets_received_total\{transport="udp"\}`
	)
	n.rest(ts)
	if soaking() {
		<-time.After(forgotten)
	} else {
		cmdJump(ts, false, n.nodes)
	}
	accepted, refused, doubled, arrived := n.sum(ts, accept), n.sum(ts, used), n.sum(ts, again), n.sum(ts, received)
	copies := 0
	for _, l := range n.links {
		copies += l.Release()
	}
	if !eventually(func() bool { return n.sum(ts, received) >= arrived+float64(copies) }) {
		ts.Fatalf("%d copies were sent, and %v came", copies, n.sum(ts, received)-arrived)
	}
	n.rest(ts)
	more, late, same := n.sum(ts, accept)-accepted, n.sum(ts, used)-refused, n.sum(ts, again)-doubled
	ts.Logf("figures: network: %d copies came %s later: %v refused as used, %v copies of those, %v accepted", copies, forgotten, late, same, more)
	if more > 0 || late == 0 || late+same < float64(copies)/2 { // a machine that is busy may drop some
		ts.Fatalf("not every copy that came too late was refused as used")
	}
}

// rest waits until the nodes have decided everything.
func (n *network) rest(ts *testscript.TestScript) {
	if !eventually(func() bool { return n.sum(ts, `otpgate_radius_in_flight_requests`) == 0 }) {
		ts.Fatalf("the nodes do not come to rest")
	}
}

// sum adds up what the nodes count by a pattern.
func (n *network) sum(ts *testscript.TestScript, pattern string) (sum float64) {
	re := regexp.MustCompile(`(?m)^` + pattern + ` (\S+)$`)
	for _, node := range n.nodes {
		status, text, err := ask("GET", fmt.Sprintf("http://127.0.0.1:%s/metrics", ts.Getenv("METRICS_"+node)), "")
		ts.Check(err)
		found := re.FindAllSubmatch(text, -1)
		if status != 200 || len(found) == 0 {
			ts.Fatalf("/metrics of %s: status %d, nothing like %s", node, status, pattern)
		}
		for _, m := range found {
			value, err := strconv.ParseFloat(string(m[1]), 64)
			ts.Check(err)
			sum += value
		}
	}
	return sum
}
