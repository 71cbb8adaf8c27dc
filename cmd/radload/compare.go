package main

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/bench"
)

// configurations are those of the servers that are compared.
//
//go:embed testdata/*.conf testdata/*.yaml
var configurations embed.FS

// benchCommand compares otpgate with FreeRADIUS.
func (p *program) benchCommand() *cobra.Command {
	o := bench.Options{Log: p.err, Now: p.now}
	var asJSON bool
	var plot string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure otpgate and FreeRADIUS doing the same job",
		Long: `Starts slapd, Redis, FreeRADIUS and otpgate on 127.0.0.1 with so many accounts,
and measures them in turn: servers and peers on some cores, the generator on
others. Prints a table of medians. Five runs with 300,000 accounts take about
an hour, and need 2 GiB in --dir. The machine should have nothing else to do.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if runtime.NumCPU() < 2 {
				return errors.New("servers and generator need a core each, and this machine has one")
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
			o.Curves = plot != ""
			r, err := bench.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			if err := p.write(plot, r.Plot); err != nil {
				return err
			}
			if asJSON {
				return console.PrintJSON(p.out, r)
			}
			return r.Table(p.out)
		},
	}
	addBenchFlags(cmd, &o)
	cmd.Flags().StringVar(&plot, "plot", "", "SVG `file` of latency over throughput, which takes twenty minutes more")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all measurements as JSON")
	return cmd
}

func addBenchFlags(cmd *cobra.Command, o *bench.Options) {
	flags := cmd.Flags()
	flags.StringVar(&o.Otpgate, "otpgate", "./otpgate", "`file` of the otpgate that is measured")
	flags.StringVar(&o.Dir, "dir", "", "empty `folder` for databases and logs, which stay; default: a temporary one, which does not")
	flags.IntVar(&o.Accounts, "accounts", 300_000, "accounts, each with a device")
	flags.IntVar(&o.Runs, "runs", 5, "how often everything is measured")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long a measurement takes, unless the devices are used up before")
	flags.IntVar(&o.Outstanding, "outstanding", 64, "logins under way in a closed loop")
	flags.IntVar(&o.Rate, "rate", 5000, "logins per second of the open loop")
	flags.IntVar(&o.Flood, "flood", 400_000, "packets per second of the floods")
	flags.IntVar(&o.Workers, "workers", 8, "threads of FreeRADIUS; half of it where it has no back ends")
	flags.StringVar(&o.ServerCores, "server-cores", "0", "cores of servers and peers, as taskset has them")
	flags.StringVar(&o.LoadCores, "load-cores", "1", "cores of the generator")
	flags.StringSliceVar(&o.Only, "only", nil, "`cases` to measure; default: all")
}
