package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/bench"
)

// configurations are those of the servers that are compared.
//
//go:embed testdata/*.conf testdata/*.yaml
var configurations embed.FS

// outcome says where what was measured goes, besides the standard output.
type outcome struct {
	json          bool
	results, plot string
}

func (w *outcome) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&w.results, "results", "", "`file` of Markdown, in which what was measured replaces what was there; the rest stays")
	flags.StringVar(&w.plot, "plot", "", "SVG `file` of latency over throughput")
	flags.BoolVar(&w.json, "json", false, "print all measurements as JSON")
}

// write prints a report, and writes the files.
func (p *program) writeReport(w outcome, r *bench.Report) error {
	if err := p.write(w.plot, r.Plot); err != nil {
		return err
	}
	if w.results != "" {
		link := w.plot
		if relative, err := filepath.Rel(filepath.Dir(w.results), w.plot); err == nil && link != "" {
			link = filepath.ToSlash(relative)
		}
		if err := r.WriteResults(w.results, link); err != nil {
			return err
		}
	}
	if w.json {
		return console.PrintJSON(p.out, r)
	}
	return r.Table(p.out, w.plot)
}

// benchCommand compares otpgate with FreeRADIUS.
func (p *program) benchCommand() *cobra.Command {
	o := bench.Options{Log: p.err, Now: p.now}
	var w outcome
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure otpgate and FreeRADIUS doing the same job",
		Long: `Starts slapd, Redis, FreeRADIUS and otpgate on 127.0.0.1 with so many accounts,
and measures them in turn: servers and peers on some cores, the generator on
others. Prints targets, medians, and what of it was not met. All of it takes
about an hour and 6 GiB in --dir, on a machine that has nothing else to do;
--only measures a part. The cases are

  freeradius, freeradius-totp           what is compared with
  redis, redis-open, redis-search,      otpgate: known accounts, at a rate, a
  embedded                              search for every login, on disk
  redis-replica                         a replica confirms every claim
  stranger, forged                      packets that are refused
  nodes                                 one to three nodes on Redis and on a Cluster,
                                        and three with a Redis each
  scale                                 1,000 accounts, and 1,000,000
  curves                                latency over throughput, of the first two kinds

What was measured is in --record at once: a bench that was broken off goes on with
--resume. With --dir the databases stay, and the next bench uses them again.`,
		Example: `  radload bench --record bench.json --results cmd/radload/RESULTS.md --plot cmd/radload/latency.svg
  radload bench --only redis,freeradius --runs 3 --duration 5s --keep-servers --dir bench
  radload bench report bench.json --results cmd/radload/RESULTS.md`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Command = "radload " + strings.Join(p.args, " ")
			return p.bench(cmd.Context(), o, w)
		},
	}
	addBenchFlags(cmd, &o)
	w.add(cmd)
	cmd.AddCommand(p.benchReportCommand())
	return cmd
}

// bench measures. What there was until it was broken off is reported as well.
func (p *program) bench(ctx context.Context, o bench.Options, w outcome) (err error) {
	if runtime.NumCPU() < 2 {
		return errors.New("servers and generator need a core each, and this machine has one")
	}
	if o.Resume && o.Record == "" {
		return console.Usage(console.WithHint(errors.New("there is nothing to go on with"), "name the file of the bench before by --record"))
	}
	if o.Otpgate, err = exec.LookPath(o.Otpgate); err != nil {
		return console.WithHint(err, "make build, or name it by --otpgate")
	}
	if o.Otpgate, err = filepath.Abs(o.Otpgate); err != nil {
		return err
	}
	if o.Radload, err = os.Executable(); err != nil {
		return err
	}
	if o.Files, err = fs.Sub(configurations, "testdata"); err != nil {
		return err
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "radload-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	r, err := bench.Run(ctx, o)
	if r == nil {
		return err
	}
	if ctx.Err() != nil {
		err = errInterrupted
	}
	return errors.Join(p.writeReport(w, r), err)
}

// benchReportCommand makes the report of what was measured before.
func (p *program) benchReportCommand() *cobra.Command {
	var w outcome
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Make the report of one or more records",
		Long: `Reads what radload bench --record has written, adds it up where there are several,
and prints the report. All must be of the same machine, program and numbers.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			var all []*bench.Report
			for _, file := range files {
				r, err := bench.Read(file)
				if err != nil {
					return err
				}
				all = append(all, r)
			}
			if err := all[0].Merge(all[1:]...); err != nil {
				return fmt.Errorf("these records do not belong together: %w", err)
			}
			return p.writeReport(w, all[0])
		},
	}
	w.add(cmd)
	return cmd
}

func addBenchFlags(cmd *cobra.Command, o *bench.Options) {
	flags := cmd.Flags()
	flags.StringVar(&o.Otpgate, "otpgate", "./otpgate", "`file` of the otpgate that is measured")
	flags.StringVar(&o.Dir, "dir", "", "`folder` for databases and logs, which stay; default: a temporary one, which does not")
	flags.StringVar(&o.Record, "record", "", "JSON `file` that every measurement goes to at once")
	flags.BoolVar(&o.Resume, "resume", false, "go on with what is in --record")
	flags.StringSliceVar(&o.Only, "only", nil, "`cases` to measure; default: all")
	flags.IntVar(&o.Accounts, "accounts", 300_000, "accounts, each with a device")
	flags.IntVar(&o.Runs, "runs", 5, "how often everything is measured")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long a measurement takes, unless the devices are used up before")
	flags.BoolVar(&o.KeepServers, "keep-servers", false, "start servers once, not for every run: quicker")
	flags.IntVar(&o.Outstanding, "outstanding", 64, "logins under way in a closed loop")
	flags.IntVar(&o.Rate, "rate", 5000, "logins per second of the open loop")
	flags.IntVar(&o.Flood, "flood", 1_000_000, "packets per second of the floods, as far as the generator can")
	flags.IntVar(&o.Scale, "scale", 1_000_000, "accounts of the large node of the case scale")
	flags.IntVar(&o.Small, "scale-small", 1000, "accounts of the small one")
	flags.IntVar(&o.Bursts, "bursts", 20, "how often these two are compared")
	flags.DurationVar(&o.Period, "period", time.Minute, "period of codes of otpgate; FreeRADIUS has 30s always")
	flags.IntVar(&o.Workers, "workers", 8, "threads of FreeRADIUS; half of it where it has no back ends")
	flags.StringVar(&o.ServerCores, "server-cores", "0", "cores of servers and peers, as taskset has them")
	flags.StringVar(&o.LoadCores, "load-cores", "1", "cores of the generator")
}
