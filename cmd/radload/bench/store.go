package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// store is where otpgate keeps the devices of a population, and what is known of their codes.
type store struct {
	kind
	dir    string
	redis  []*redis // none: the embedded one
	codes  *ledger
	filled bool          // the devices are there
	took   time.Duration // for the import, if it was made now
	copies int           // replicas that have to confirm a claim, as the next node is told
	empty  int64         // what Redis used without the devices, in octets; 0: not known
}

// openStore starts what a store consists of, of which there is one of a kind for these people. The first node fills it.
func (b *bench) openStore(ctx context.Context, k kind, p population) (*store, error) {
	return b.openStoreIn(ctx, b.path(fmt.Sprintf("store-%s-%s", k, p)), k, p)
}

// openStoreIn starts a store that is kept in dir.
func (b *bench) openStoreIn(ctx context.Context, dir string, k kind, p population) (*store, error) {
	s := &store{kind: k, dir: dir}
	_, err := os.Stat(filepath.Join(s.dir, marker))
	s.filled = err == nil && k != inCluster // whose file of nodes holds ports
	switch {
	case s.filled:
		b.say("%s: data reused", filepath.Base(s.dir))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		if err := errors.Join(os.RemoveAll(s.dir), os.MkdirAll(s.dir, 0o700)); err != nil {
			return nil, err
		}
	}
	s.codes = openLedger(p, filepath.Join(s.dir, "codes"), b.Now())
	switch k {
	case inRedis, apart:
		r, err := b.startRedis(ctx, filepath.Join(s.dir, "redis"))
		if err != nil {
			return nil, err
		}
		s.redis = append(s.redis, r)
		if !s.filled {
			s.empty, err = b.number(ctx, r, "memory", "used_memory")
		}
		return s, err
	case inCluster:
		s.redis, err = b.startCluster(ctx, s.dir)
	case embedded:
		err = nil
	}
	return s, err
}

// lines is what the configuration says of the store.
func (s *store) lines() string {
	if s.kind == embedded {
		return "# store: left out, so devices are kept in data_dir"
	}
	var all []string
	for _, r := range s.redis {
		all = append(all, fmt.Sprintf("%q", fmt.Sprintf("127.0.0.1:%d", r.port)))
	}
	if s.copies > 0 {
		return fmt.Sprintf("store: {redis: {addresses: [%s], min_replicas: %d}}", strings.Join(all, ", "), s.copies)
	}
	return fmt.Sprintf("store: {redis: {addresses: [%s]}}", strings.Join(all, ", "))
}

// fill imports the devices through a node, unless they are there.
func (b *bench) fill(ctx context.Context, s *store, config string) error {
	if s.filled {
		return nil
	}
	people, err := b.people(ctx, s.codes.population)
	if err != nil {
		return err
	}
	began := b.Now()
	if err := b.once(ctx, b.Otpgate, "device", "import", "--csv", filepath.Join(people, "devices.csv"), "--config", config); err != nil {
		return err
	}
	s.took = b.Now().Sub(began)
	b.say("  %d devices imported in %s", s.codes.accounts, s.took.Round(time.Millisecond))
	s.filled = true
	for _, r := range s.redis {
		if err := b.tidy(ctx, r); err != nil {
			return err
		}
	}
	return b.finish(s.dir)
}

// processes are those of the store, beside its nodes.
func (s *store) processes() (all []*machine.Process) {
	for _, r := range s.redis {
		all = append(all, r.Process)
	}
	return all
}
