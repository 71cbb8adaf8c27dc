package bench

import (
	"context"
	"fmt"
	"time"
)

// maxNodes is how many nodes share a store at most.
const maxNodes = 3

// nodesAccounts is how many accounts log in at several nodes at most: each node has to know all of them.
const nodesAccounts = 90_000

// nodesLong is how long they are measured, unless the accounts are used up before.
const nodesLong = 4 * time.Second

// planNodes is one, two and three nodes on a store, with as many logins outstanding at each. All run all the time; those
// that are not measured have nothing to do.
func (b *bench) planNodes(g *group) {
	accounts := min(nodesAccounts, b.Accounts)
	stores := len(kindsOf(g))
	g.estimate = time.Duration(stores)*(time.Duration(maxNodes)*(guessStart+seconds(accounts, guessKnown))+seconds(accounts, guessImport)) +
		time.Duration(stores*maxNodes*b.Runs)*shortPeriod
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

// farm is some nodes on one store.
type farm struct {
	*store
	nodes []*server
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
				servers: f.nodes[:c.nodes], peers: f.processes(), codes: f.codes, long: min(b.Duration, nodesLong),
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

// startFarms starts the nodes on each store, and has each know all accounts. Whoever is known at a node has used a code:
// so the nodes come in turn, and the stores side by side.
func (b *bench) startFarms(ctx context.Context, g *group, p population) (map[kind]*farm, error) {
	farms := map[kind]*farm{}
	for number := range maxNodes {
		for _, k := range kindsOf(g) {
			f := farms[k]
			if f == nil {
				f = new(farm)
				farms[k] = f
				var err error
				if f.store, err = b.openStore(ctx, k, p); err != nil {
					return farms, err
				}
			}
			s, err := b.startOtpgate(ctx, f.store, b.directory, fmt.Sprint(number), time.Hour)
			if err != nil {
				return farms, err
			}
			f.nodes = append(f.nodes, s)
			if _, err := b.makeKnown(ctx, &site{server: s, codes: f.codes}, b.directory); err != nil {
				return farms, err
			}
		}
	}
	return farms, nil
}

func (f *farm) stop() {
	for _, s := range f.nodes {
		s.Stop()
	}
	if f.store == nil {
		return
	}
	for _, r := range f.redis {
		r.Stop()
	}
}
