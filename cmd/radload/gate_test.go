//go:build gate

package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"otpgate/cmd/radload/port"
)

var record = flag.Bool("record", false, "write what a login costs into testdata/gate.txt")

const (
	rounds      = 9
	gateLogins  = 1000 // of a round at each node
	gateEchoes  = 10_000
	gateDevices = rounds * gateLogins
	tolerance   = 1.25
)

// TestGate holds what a login costs against what it cost when that was last written down.
//
// The measure is processor time, of the node and of what works for it, in units of what one datagram costs
// a plain UDP echo in the same minute: that is what travels from one machine to another. Nodes and echo take
// turns, 64 outstanding each, so that what slows the machine for a while slows all of them. It runs alone (`make
// gate`, a part of `make unit`).
func TestGate(t *testing.T) {
	g := newRig(t, gateDevices, "1m", true)
	redis, addr := g.redis()
	nodes := map[string]*target{
		"redis": g.node("redis-node", onRedis(addr), redis).serve().enroll(), "embedded": g.node("embedded-node", "").serve().enroll(),
	}
	for _, n := range nodes {
		n.login(0, gateDevices, -time.Minute) // accounts and devices are known from here on
	}
	e := g.echo()
	g.ready = true
	recorded := map[string]float64{}
	if !*record {
		recorded = readCosts(t)
	}
	costs := e.costs(nodes, 0)
	if !*record && beyond(costs, recorded) {
		t.Logf("measured again, because of %v", costs)
		costs = e.costs(nodes, time.Minute)
	}
	if *record {
		recorded = costs
		writeCosts(t, costs)
	}
	for name, cost := range costs {
		t.Logf("a login, %s store: %.2f times the processor time of an echoed datagram, recorded %.2f, at most %.2f",
			name, cost, recorded[name], recorded[name]*tolerance)
		if cost < recorded[name]/tolerance {
			t.Logf("it has become cheaper: make gate-record keeps it so")
		}
		if cost > recorded[name]*tolerance {
			t.Errorf("a login with the %s store has become dearer: %.2f times an echoed datagram, recorded %.2f.\n"+
				"hint: make profile shows where the time goes; if it is worth its price, make gate-record writes the new one down", name, cost, recorded[name])
		}
	}
	if t.Failed() {
		t.Log(strings.Join(e.told, "\n"))
	}
}

// TestGateCanFail is about the judgement alone.
func TestGateCanFail(t *testing.T) {
	recorded := map[string]float64{"redis": 4, "embedded": 2}
	for _, c := range []struct {
		redis, embedded float64
		beyond          bool
	}{{4, 2, false}, {4.9, 2.4, false}, {5.1, 2, true}, {4, 2.6, true}, {1, 1, false}} {
		if got := beyond(map[string]float64{"redis": c.redis, "embedded": c.embedded}, recorded); got != c.beyond {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if !beyond(map[string]float64{"another": 1}, recorded) {
		t.Error("a cost that nobody has written down passes")
	}
}

// beyond reports whether a cost is more than a quarter above what is written down.
func beyond(costs, recorded map[string]float64) bool {
	for name, cost := range costs {
		if !(cost <= recorded[name]*tolerance) {
			return true
		}
	}
	return false
}

const costsFile = "testdata/gate.txt"

func readCosts(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(costsFile)
	if err != nil {
		t.Fatal(err)
	}
	costs := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var name string
		var cost float64
		if n, _ := fmt.Sscan(line, &name, &cost); n == 2 {
			costs[name] = cost
		}
	}
	return costs
}

func writeCosts(t *testing.T, costs map[string]float64) {
	t.Helper()
	text := "# Processor time of a login, node and store together, in units of an echoed datagram: see TestGate. Written by make gate-record.\n"
	for _, name := range []string{"redis", "embedded"} {
		text += fmt.Sprintf("%s %.2f\n", name, costs[name])
	}
	if err := os.WriteFile(costsFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// echo is a process that sends back what it gets.
type echo struct {
	*child
	rig  *rig
	port port.Port
	told []string // of each round
}

// echo builds one and starts it.
func (g *rig) echo() *echo {
	g.t.Helper()
	build(g.t, g.path("echo"), "./testdata/echo")
	e := &echo{child: g.launch("echo-server", g.path("echo")), rig: g}
	var addr netip.AddrPort
	await(g.t, "echo", nil, func() bool {
		text, err := os.ReadFile(e.log)
		if err == nil {
			addr, err = netip.ParseAddrPort(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	var err error
	if e.port, err = port.Dial(g.t.Context(), netip.Addr{}, addr); err != nil {
		g.t.Fatal(err)
	}
	return e
}

// costs measures in turn what a login costs at each node, in units of an echoed datagram: the middle of the rounds.
// The codes are those of a shifted clock: each lets in once.
func (e *echo) costs(nodes map[string]*target, shift time.Duration) map[string]float64 {
	all := map[string][]float64{}
	for round := range rounds {
		unit := e.costOf([]*child{e.child}, e.exchange)
		for name, n := range nodes {
			cost := e.costOf(n.own, func() int { return n.login(round*gateLogins, gateLogins, shift) })
			all[name] = append(all[name], float64(cost)/float64(unit))
			e.told = append(e.told, fmt.Sprintf("round %d: an echo %s, a login with the %s store %s, %.2f times that", round+1, unit, name, cost, float64(cost)/float64(unit)))
		}
	}
	costs := map[string]float64{}
	for name, ratios := range all {
		costs[name] = middle(ratios)
	}
	return costs
}

// middle is the mean of what is neither among the two highest nor among the two lowest. A median would jump with
// the garbage collections, of which a round has one more or one less.
func middle(ratios []float64) (mean float64) {
	slices.Sort(ratios)
	kept := ratios[2 : len(ratios)-2]
	for _, r := range kept {
		mean += r / float64(len(kept))
	}
	return mean
}

// costOf is the processor time that these processes spend on each thing that is done.
func (e *echo) costOf(own []*child, do func() int) time.Duration {
	before := spent(e.rig.t, own)
	done := do()
	return (spent(e.rig.t, own) - before) / time.Duration(done)
}

// exchange sends datagrams as long as a login's and takes them back, 64 outstanding.
func (e *echo) exchange() int {
	ctx, cancel := context.WithTimeout(e.rig.t.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = e.port.Close() })()
	out, in := port.Messages(port.BatchSize, 90), port.Messages(port.BatchSize, 90)
	for sent, back := 0, 0; back < gateEchoes; {
		for due := min(port.BatchSize-(sent-back), gateEchoes-sent); due > 0; {
			n, err := e.port.WriteBatch(out[:due], 0)
			if err != nil {
				e.rig.t.Fatal(err)
			}
			due, sent = due-n, sent+n
		}
		n, err := e.port.ReadBatch(in, 0)
		if err != nil {
			e.rig.t.Fatal(err)
		}
		back += n
	}
	return gateEchoes
}
