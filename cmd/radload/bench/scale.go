package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// sustained is how often everybody logs in at the large nodes, beside the bursts.
const sustained = 3

// planScale is a node with few accounts and a node with many, on each store. They run side by side, and are loaded in turn.
func (b *bench) planScale(g *group) {
	stores := time.Duration(len(kindsOf(g)))
	g.estimate = seconds(b.Scale, 2*guessImport) + // of the directory
		stores*(seconds(b.Scale, guessImport)+seconds(b.Scale, guessKnown)+2*guessStart+sustained*(shortPeriod+b.Duration)) +
		time.Duration(b.Bursts)*shortPeriod
	g.done = func(int) bool {
		return !slices.ContainsFunc(g.cases, func(c benchCase) bool { return len(b.report.Cases[c.name]) < b.times(c) })
	}
	g.measure = func(ctx context.Context, _ int) error { return b.measureScale(ctx, g) }
}

// times is how often a case of this group is measured.
func (b *bench) times(c benchCase) int {
	if c.name == sustainedCase(c.kind) {
		return min(sustained, b.Bursts)
	}
	return b.Bursts
}

// sized is a node, and the files of those who log in at it, burst by burst.
type sized struct {
	site
	bursts  []string
	figures map[string]float64
}

func (b *bench) measureScale(ctx context.Context, g *group) error {
	d, err := b.startDirectory(ctx, population{b.Scale, shortPeriod})
	if err != nil {
		return err
	}
	defer d.Stop()
	nodes := map[string]*sized{}
	defer func() {
		for _, n := range nodes {
			n.stop()
		}
	}()
	for _, c := range g.cases {
		name := scaleCase(c.kind, c.large)
		if nodes[name] != nil {
			continue
		}
		b.say("%s", name)
		if nodes[name], err = b.startSized(ctx, c, d); err != nil {
			return err
		}
	}
	// One burst of each, in a step of its own: a code is good once.
	for burst := range b.Bursts {
		for i := range g.cases {
			c := g.cases[(i+burst)%len(g.cases)]
			if c.name == sustainedCase(c.kind) || len(b.report.Cases[c.name]) > burst {
				continue
			}
			if err := b.burst(ctx, c, nodes[c.name], burst); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for range min(sustained, b.Bursts) {
		for _, c := range g.cases {
			if c.name != sustainedCase(c.kind) || len(b.report.Cases[c.name]) >= b.times(c) {
				continue
			}
			n := nodes[scaleCase(c.kind, true)]
			m, err := b.perform(ctx, job{servers: []*server{n.server}, peers: n.peers, codes: n.codes, long: b.Duration, args: b.outstanding(1)})
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

// burst has as many log in at once as the small node has accounts: more codes it has not, until the next step.
func (b *bench) burst(ctx context.Context, c benchCase, n *sized, number int) error {
	m, err := b.perform(ctx, job{
		servers: []*server{n.server}, peers: n.peers, codes: n.codes, devices: n.bursts[number], count: n.codes.accounts, long: burstLong,
		args: b.outstanding(1),
	})
	if err != nil {
		return err
	}
	m.Figures = n.figures
	return b.add(c, m)
}

// burstLong is how long a burst takes at most.
const burstLong = 3 * time.Second

// startSized starts a node of one of the two sizes, and has it know everybody.
func (b *bench) startSized(ctx context.Context, c benchCase, d *directory) (n *sized, err error) {
	p := population{b.Small, shortPeriod}
	if c.large {
		p.accounts = b.Scale
	}
	st, err := b.openStore(ctx, c.kind, p)
	if err != nil {
		return nil, err
	}
	n = &sized{site: site{codes: st.codes, peers: append(st.processes(), d.Process), redis: st.redis}, figures: map[string]float64{}}
	if n.server, err = b.startOtpgate(ctx, st, d, "0", time.Hour); err != nil {
		return n, err
	}
	imported := st.took > 0
	if imported { // once more, because what has just imported them is warm
		n.figures[figureImport] = st.took.Seconds()
		if err := b.redisMemory(ctx, st, n.figures, figureRedis); err != nil {
			return n, err
		}
		n.server.Stop()
		if n.server, err = b.startOtpgate(ctx, st, d, "0", time.Hour); err != nil {
			return n, err
		}
	} else if err := remembered(st.dir, n.figures); err != nil {
		return n, err
	}
	n.figures[figureStart] = n.server.took.Seconds()
	if n.figures[figureKnown], err = b.makeKnown(ctx, &n.site, d); err != nil {
		return n, err
	}
	if imported {
		if err := errors.Join(b.redisMemory(ctx, st, n.figures, figureRedisUsed), remember(st.dir, n.figures)); err != nil {
			return n, err
		}
	}
	if err := b.settleRedis(ctx, n, d); err != nil {
		return n, err
	}
	n.bursts, err = b.samples(ctx, p)
	return n, err
}

// settleRedis has Redis rewrite its file, if it has to, and everybody log in once more after that: a process that has just
// forked has a page fault for the first write to each page, 1.1 for a login of 1,000,000 accounts and next to none for one
// of 1,000. Bursts write too little for the file to grow much.
func (b *bench) settleRedis(ctx context.Context, n *sized, d *directory) error {
	if len(n.redis) == 0 {
		return nil
	}
	for _, r := range n.redis {
		if err := b.tidy(ctx, r); err != nil {
			return err
		}
	}
	_, err := b.makeKnown(ctx, &n.site, d)
	return err
}

// figuresFile holds, beside data that may be used again, what was measured when it was made.
const figuresFile = "figures.json"

func remember(dir string, figures map[string]float64) error {
	text, err := json.Marshal(figures)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, figuresFile), text, 0o600)
}

func remembered(dir string, figures map[string]float64) error {
	text, err := os.ReadFile(filepath.Join(dir, figuresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now := maps.Clone(figures)
	if err := json.Unmarshal(text, &figures); err != nil {
		return fmt.Errorf("%s: %w", figuresFile, err)
	}
	maps.Copy(figures, now)
	return nil
}

// redisMemory is what Redis uses for each device.
func (b *bench) redisMemory(ctx context.Context, st *store, figures map[string]float64, name string) error {
	for _, r := range st.redis {
		used, err := b.number(ctx, r, "memory", "used_memory")
		if err != nil {
			return err
		}
		figures[name] = float64(used-st.empty) / float64(st.codes.accounts)
	}
	return nil
}

// samples are files of the devices that log in together: of the small node all; of the large one other ones every
// time, from all over it.
func (b *bench) samples(ctx context.Context, p population) (files []string, err error) {
	people, err := b.people(ctx, p)
	if err != nil {
		return nil, err
	}
	in, err := os.Open(filepath.Join(people, "devices.csv"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	// Where each device belongs: by chance, and the same every time.
	place := rand.New(rand.NewPCG(1, 2)).Perm(p.accounts)
	groups := make([][]string, min(b.Bursts, max(p.accounts/b.Small, 1)))
	lines := bufio.NewScanner(in)
	lines.Scan()
	header := lines.Text()
	for i := 0; i < p.accounts && lines.Scan(); i++ {
		if g := place[i] / b.Small; g < len(groups) {
			groups[g] = append(groups[g], lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for i := range groups {
		file := filepath.Join(people, fmt.Sprintf("burst-%d.csv", i))
		if err := writeLines(file, header, groups[i]); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	for len(files) < b.Bursts {
		files = append(files, files[len(files)-len(groups)])
	}
	return files, nil
}

func writeLines(file, header string, lines []string) (err error) {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, header)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	return errors.Join(w.Flush(), out.Close())
}

func (n *sized) stop() {
	if n == nil {
		return
	}
	if n.server != nil {
		n.server.Stop()
	}
	for _, r := range n.redis {
		r.Stop()
	}
}
