package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/loglines"
	"otpgate/configs"
)

func (rt *runtime) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: `Runs a node until SIGTERM or SIGINT, which let answers in flight out first.
SIGHUP reads the configuration again; a bad file leaves the running one in force.

Status 0: it was told to stop. Status 1: it could not start, or a part of it failed, or did not end.
Status 2: the configuration or the command line cannot be used, which only a person mends. A crash
has no status: it ends the node by SIGABRT, after a trace, and leaves no core.`,
		Example: "  otpgate serve --config /etc/otpgate/otpgate.yaml",
		Args:    console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			crashBySignal()
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP) // first of all: until then it ends the process
			defer signal.Stop(hup)
			cfg, err := rt.load()
			if err != nil {
				return err
			}
			rt.tuneCollector()
			return rt.serve(cmd.Context(), cfg, hup)
		},
	}
}

// crashBySignal has a crash end the process by SIGABRT. Go's own status for one is 2, which is that of a
// configuration which only a person mends: systemd would never start the node again. The core that the signal
// could leave would hold every key, so there is none, whatever the limit was: with one octet the kernel writes no file,
// and begins no program that core_pattern names, which it does with none (core(5), and do_coredump in fs/coredump.c).
//
// The trace is of all goroutines then, and Go writes it before the end: it waits for who reads it.
func crashBySignal() {
	debug.SetTraceback("crash")
	var core syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &core) == nil {
		core.Cur = min(1, core.Max)
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &core) // the unit refuses it, and has LimitCORE=0
	}
}

// collectorPercent is by how much of what is in use the heap grows before garbage is collected, which is 100 where
// nobody says anything. Most of what a node has in use are the accounts that it remembers. They stay, and to look
// through them half as often takes 8 % off what the node spends on a login.
const collectorPercent = 200

// tuneCollector sets that, unless GOGC says otherwise. GOMEMLIMIT holds as ever.
func (rt *runtime) tuneCollector() {
	if percent, _ := rt.lookupEnv("GOGC"); percent == "" {
		debug.SetGCPercent(collectorPercent)
	}
}

// load reads the configuration file; every problem in it ends the command with status 2.
func (rt *runtime) load() (*configs.Config, error) {
	cfg, problems := configs.Read(rt.configPath, rt.lookupEnv)
	rt.consult(cfg, problems)
	if len(problems.List) > 0 {
		return nil, console.Usage(problems)
	}
	return cfg, nil
}

// problemsIn returns the configuration problems that err is made of, or nil.
func problemsIn(err error) *configs.Problems {
	var p *configs.Problems
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// serve runs a node until ctx ends or a part of it fails, and takes it down in order.
func (rt *runtime) serve(ctx context.Context, cfg *configs.Config, hup <-chan os.Signal) (err error) {
	n, err := rt.wire(ctx, cfg)
	if err != nil {
		return rt.lastWords(ctx, n, err)
	}
	defer func() { err = rt.lastWords(ctx, n, errors.Join(err, n.stop())) }()
	n.warn(cfg)
	if n.bound.Load() {
		n.log.Info("ready to serve", "version", version(), "config", rt.configPath)
	} else {
		n.log.Warn("started, and waiting for the store: nobody is let in yet", "version", version(), "config", rt.configPath)
	}
	for {
		select {
		case <-ctx.Done():
			n.log.Info("stopping", "cause", context.Cause(ctx).Error())
			return nil
		case err := <-n.life.failed:
			return err
		case <-hup:
			n.reload(rt)
		}
	}
}

// lastWords reports what a node ends with, after its log and as patiently: where nobody reads that, a process that
// waited for it would never end, and nothing would start it again.
func (rt *runtime) lastWords(ctx context.Context, n *node, err error) error {
	if err == nil {
		return nil
	}
	told := *rt
	told.err = n.lines
	told.report(interrupted(ctx, err))
	n.lines.End()
	return console.Silent(err)
}

// newLogger makes the log as the configuration wants it; level can be changed while it is in use.
func newLogger(l *loglines.Lines, cfg configs.Log, level *slog.LevelVar) *slog.Logger {
	setLevel(level, cfg.Level)
	if cfg.Format == "json" {
		return slog.New(l.JSON(level))
	}
	return slog.New(l.Text(level))
}

func setLevel(v *slog.LevelVar, name string) {
	v.Set(map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[name])
}
