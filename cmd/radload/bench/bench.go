package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// Options say what is measured, and on what.
type Options struct {
	Dir         string // databases and logs are kept there; it must exist
	Files       fs.FS  // configurations of the servers
	Radload     string // this program
	Otpgate     string
	Accounts    int
	Scale       int // accounts of the large one of two nodes that are compared
	Small       int // and of the small one
	Bursts      int // how often these two are compared
	Runs        int
	Duration    time.Duration // of a measurement
	Period      time.Duration // of codes, where the server has a choice
	Rate        int           // logins per second of the open loop
	Flood       int           // packets per second of the floods
	Outstanding int
	Workers     int    // threads of FreeRADIUS where it has back ends; half of it where it has none
	ServerCores string // as taskset -c has them
	LoadCores   string
	Only        []string // names of cases or groups; none: all
	KeepServers bool     // from run to run
	Record      string   // file that everything measured goes to at once; empty: none
	Resume      bool     // what is in the record is not measured again
	Command     string   // that began all this, for the report
	Log         io.Writer
	Now         func() time.Time
}

// bench is a benchmark that runs.
type bench struct {
	Options
	report     *Report
	directory  *directory // of the accounts that are compared; nil: not started yet
	shared     *store     // their devices in Redis; nil: not started yet
	embedded   *store
	kept       map[string]*site
	seen       map[string]bool // folders of data that were told of
	pace       pace
	knownLimit bool     // otpgate can be told how many accounts to know
	stops      []func() // of all that runs, the last one first
}

// What the peers are told; nothing of it is worth keeping secret.
const (
	master       = "radload bench"
	secret       = "radload-testing-secret"
	ldapBase     = "dc=bench"
	ldapDN       = "cn=root,dc=bench"
	ldapPassword = "radload-testing-password"
)

func (o *Options) check() error {
	for name, n := range map[string]int{
		"accounts": o.Accounts, "runs": o.Runs, "rate": o.Rate, "flood": o.Flood, "outstanding": o.Outstanding, "workers": o.Workers / 2,
		"scale": o.Scale, "small": o.Small, "bursts": o.Bursts, "duration": int(o.Duration), "period": int(o.Period / time.Second),
	} {
		if n < 1 {
			return fmt.Errorf("%s: the number is missing or too small", name)
		}
	}
	if o.Small > o.Scale {
		return errors.New("the small node has more accounts than the large one")
	}
	return nil
}

// Run measures all cases that are chosen. When it ends early the report is of what there was until then.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &bench{Options: o, kept: map[string]*site{}, seen: map[string]bool{}}
	cases, err := chosen(o.Only)
	if err != nil {
		return nil, err
	}
	if b.report, err = b.begun(ctx); err != nil {
		return nil, err
	}
	defer func() {
		for i := len(b.stops) - 1; i >= 0; i-- {
			b.stops[i]()
		}
	}()
	if err := b.programs(); err != nil {
		return nil, err
	}
	b.knownLimit = b.understands(ctx, "known_accounts", "known_accounts: 1000", "")
	if slices.ContainsFunc(cases, func(c benchCase) bool { return c.copied }) &&
		!b.understands(ctx, "min_replicas", "", "store: {redis: {addresses: [\"127.0.0.1:1\"], min_replicas: 1}}") {
		cases = slices.DeleteFunc(cases, func(c benchCase) bool { return c.copied })
	}
	return b.report, b.measureAll(ctx, cases)
}

// measureAll measures the groups in turn. Which one comes first changes with every run, so that a machine that grows
// slower hits all alike.
func (b *bench) measureAll(ctx context.Context, cases []benchCase) error {
	each, once := b.plan(cases)
	for run := range b.Runs {
		for i := range each {
			g := each[(i+run)%len(each)]
			if err := b.part(ctx, g, fmt.Sprintf("run %d of %d: ", run+1, b.Runs), run); err != nil {
				return err
			}
		}
	}
	for _, g := range once {
		if err := b.part(ctx, g, "", 0); err != nil {
			return err
		}
	}
	b.say("done")
	return nil
}

// part measures a group once, and says how long all that is left will take.
func (b *bench) part(ctx context.Context, g *group, before string, run int) error {
	if g.done(run) {
		b.pace.skip(g)
		return nil
	}
	b.say("%s%s (%s to go)", before, g.name, b.pace.remaining())
	began := b.Now()
	if err := g.measure(ctx, run); err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	b.pace.took(g, b.Now().Sub(began))
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Log, b.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// path is a file of the benchmark.
func (b *bench) path(names ...string) string {
	return filepath.Join(append([]string{b.Dir}, names...)...)
}

// programs sees that all are there before an hour begins.
func (b *bench) programs() error {
	for _, p := range [...][2]string{
		{"taskset", "util-linux"}, {"slapd", "slapd"}, {"slapadd", "slapd"}, {"redis-server", "redis-server"},
		{"redis-cli", "redis-tools"}, {"freeradius", "freeradius"},
	} {
		if _, err := exec.LookPath(p[0]); err != nil {
			return fmt.Errorf("%s is missing: install Debian's package %s", p[0], p[1])
		}
	}
	return nil
}

// once runs a program to its end.
func (b *bench) once(ctx context.Context, program string, args ...string) error {
	_, err := b.output(ctx, program, args...)
	return err
}

// output runs a program to its end, and returns what it printed.
func (b *bench) output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.SysProcAttr = b.Dir, machine.Apart()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return string(out), err
}
