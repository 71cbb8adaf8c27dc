package bench

import (
	"context"
	"fmt"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// maxNodes is how many nodes share a store at most.
const maxNodes = 3

// nodesAccounts is how many accounts log in at several nodes at most: each node has to know all of them.
const nodesAccounts = 90_000

// nodesLong is how long they are measured, unless the accounts are used up before.
const nodesLong = 4 * time.Second

// planNodes is one, two and three nodes on a store, and three with a store each, with as many logins outstanding at each. All
// run all the time; those that are not measured have nothing to do.
func (b *bench) planNodes(g *group) {
	accounts := min(nodesAccounts, b.Accounts)
	g.estimate = time.Duration(len(g.cases)*b.Runs) * shortPeriod
	for _, k := range kindsOf(g) {
		g.estimate += time.Duration(maxNodes) * (guessStart + seconds(accounts, guessKnown))
		g.estimate += time.Duration(k.stores()) * seconds(accounts, guessImport)
	}
	g.done = func(int) bool { return b.recorded(g, b.Runs) }
	g.measure = func(ctx context.Context, _ int) error {
		return b.measureNodes(ctx, g, population{accounts, shortPeriod})
	}
}

func kindsOf(g *group) (all []kind) {
	for _, c := range g.cases {
		if len(all) == 0 || all[len(all)-1] != c.kind {
			all = append(all, c.kind)
		}
	}
	return all
}

// stores is how many the nodes have between them.
func (k kind) stores() int {
	if k == apart {
		return maxNodes
	}
	return 1
}

// farm is some nodes, on one store or on as many.
type farm struct {
	kind   kind
	stores []*store
	nodes  []*server
}

func (b *bench) measureNodes(ctx context.Context, g *group, p population) error {
	if err := b.ground(ctx); err != nil {
		return err
	}
	farms, err := b.startFarms(ctx, g, p)
	for _, f := range farms {
		defer f.stop()
	}
	if err != nil {
		return err
	}
	for run := range b.Runs {
		for i := range g.cases {
			c := g.cases[(i+run)%len(g.cases)]
			if len(b.report.Cases[c.name]) > run {
				continue
			}
			f := farms[c.kind]
			m, err := b.perform(ctx, job{
				servers: f.nodes[:c.nodes], peers: f.processes(), codes: f.codes(), long: min(b.Duration, nodesLong),
				args: append(b.outstanding(c.nodes), "--logins", fmt.Sprint(p.accounts)),
			})
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if err := b.add(c, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// startFarms starts the nodes of each kind, and has each know all accounts. Whoever is known at a node has used a code:
// so the nodes come in turn, and the kinds side by side.
func (b *bench) startFarms(ctx context.Context, g *group, p population) (map[kind]*farm, error) {
	farms := map[kind]*farm{}
	for _, k := range kindsOf(g) {
		farms[k] = &farm{kind: k}
	}
	for number := range maxNodes {
		for _, k := range kindsOf(g) {
			if err := b.startNode(ctx, farms[k], p, number); err != nil {
				return farms, err
			}
		}
	}
	return farms, nil
}

// startNode starts one more node, and what it needs of a store.
func (b *bench) startNode(ctx context.Context, f *farm, p population, number int) error {
	if number < f.kind.stores() {
		st, err := b.openStoreIn(ctx, b.path(fmt.Sprintf("store-%s-%s-%d", f.kind, p, number)), f.kind, p)
		if err != nil {
			return err
		}
		f.stores = append(f.stores, st)
	}
	s, err := b.startOtpgate(ctx, f.stores[len(f.stores)-1], b.directory, fmt.Sprint(number), time.Hour)
	if err != nil {
		return err
	}
	f.nodes = append(f.nodes, s)
	_, err = b.makeKnown(ctx, &site{server: s, codes: f.codes()}, b.directory)
	return err
}

// codes is the ledger for all stores: nobody logs in twice in a step, not even at others.
func (f *farm) codes() *ledger { return f.stores[0].codes }

// processes are those of all stores.
func (f *farm) processes() (all []*machine.Process) {
	for _, st := range f.stores {
		all = append(all, st.processes()...)
	}
	return all
}

func (f *farm) stop() {
	for _, s := range f.nodes {
		s.Stop()
	}
	for _, p := range f.processes() {
		p.Stop()
	}
}
