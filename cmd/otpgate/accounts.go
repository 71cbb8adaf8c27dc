package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/configs"
	"otpgate/directory"
)

// accounts are the directories of a running node. A reload puts new ones in their place, while
// look-ups go on: those that began with the old ones end with them.
type accounts struct {
	now     func() time.Time
	log     *slog.Logger
	size    int // how many accounts are remembered: that of the start, as otp has it
	current atomic.Pointer[generation]
	swap    sync.Mutex
}

// generation is one set of directories with metrics of its own.
type generation struct {
	*directory.Set
	metrics *prometheus.Registry
	users   sync.WaitGroup
}

func newAccounts(cfg *configs.Config, gw *gateways, log *slog.Logger, reg prometheus.Registerer, now func() time.Time) (*accounts, error) {
	a := &accounts{now: now, log: log, size: cfg.KnownAccounts}
	g, err := a.build(cfg, gw)
	if err != nil {
		return nil, err
	}
	a.current.Store(g)
	return a, reg.Register(a)
}

// build makes directories that serve nobody yet.
func (a *accounts) build(cfg *configs.Config, gw *gateways) (*generation, error) {
	directories, err := directoriesOf(cfg, gw)
	if err != nil {
		return nil, err
	}
	g := &generation{metrics: prometheus.NewRegistry()}
	o := directory.Options{Directories: directories, CacheSize: a.size, Logger: a.log, Registerer: g.metrics, Now: a.now}
	if present := a.current.Load(); present != nil {
		o.Before = present.Set
	}
	g.Set, err = directory.New(o)
	return g, withHint(err, "%s; see %s", entriesHint, cfg.Where("directories"))
}

// take puts directories in the place of the present ones, which are closed when their last
// look-up has ended.
func (a *accounts) take(next *generation) {
	a.swap.Lock()
	defer a.swap.Unlock()
	old := a.current.Swap(next)
	go func() {
		old.users.Wait()
		_ = old.Close()
	}()
}

// use returns the present directories, which stay open until release.
func (a *accounts) use() (set *directory.Set, release func()) {
	a.swap.Lock()
	defer a.swap.Unlock()
	g := a.current.Load()
	g.users.Add(1)
	return g.Set, g.users.Done
}

// FindKnown never blocks: it looks at memory only, which closed directories have as well.
func (a *accounts) FindKnown(name string, allowed []string) (*directory.Account, bool) {
	return a.current.Load().FindKnown(name, allowed)
}

// FindAllKnown never blocks, as FindKnown.
func (a *accounts) FindAllKnown(questions []directory.Question, found []*directory.Account) {
	a.current.Load().FindAllKnown(questions, found)
}

func (a *accounts) Find(ctx context.Context, name string, allowed []string) (*directory.Account, error) {
	set, release := a.use()
	defer release()
	return set.Find(ctx, name, allowed)
}

// FindAll keeps the directories open until every question is answered.
func (a *accounts) FindAll(ctx context.Context, questions []directory.Question, asker directory.Asker) {
	a.swap.Lock()
	g := a.current.Load()
	g.users.Add(len(questions))
	a.swap.Unlock()
	g.Set.FindAll(ctx, questions, borrower{asker, g})
}

// borrower is an asker for whom a generation stays open.
type borrower struct {
	directory.Asker
	of *generation
}

// Found implements [directory.Asker].
func (b borrower) Found(answers []directory.Answer) {
	defer b.of.users.Add(-len(answers))
	b.Asker.Found(answers)
}

func (a *accounts) IDs(ctx context.Context, names []string) ([]string, []error) {
	set, release := a.use()
	defer release()
	return set.IDs(ctx, names)
}

func (a *accounts) FindMail(ctx context.Context, mail string) (*directory.Account, error) {
	set, release := a.use()
	defer release()
	return set.FindMail(ctx, mail)
}

func (a *accounts) FindID(ctx context.Context, id string) (*directory.Account, error) {
	set, release := a.use()
	defer release()
	return set.FindID(ctx, id)
}

func (a *accounts) Authenticate(ctx context.Context, account *directory.Account, password string) error {
	set, release := a.use()
	defer release()
	return set.Authenticate(ctx, account, password)
}

func (a *accounts) Health(ctx context.Context) map[string]error {
	set, release := a.use()
	defer release()
	return set.Health(ctx)
}

// Close ends the present directories.
func (a *accounts) Close() error {
	if g := a.current.Load(); g != nil {
		return g.Close()
	}
	return errors.New("there are no directories")
}

// Describe implements prometheus.Collector: what the directories measure is theirs to describe.
func (a *accounts) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (a *accounts) Collect(ch chan<- prometheus.Metric) { a.current.Load().metrics.Collect(ch) }
