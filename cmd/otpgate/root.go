package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/operate"
)

// runtime is what the outside world gives the process: nothing else in the program reads the
// environment or the real clock.
type runtime struct {
	in        io.Reader
	out, err  io.Writer
	lookupEnv func(string) (string, bool)
	now       func() time.Time

	configPath string // --config
	json       bool   // --json
}

const defaultConfigPath = "/etc/otpgate/otpgate.yaml"

// execute runs one command line and returns the exit status.
func (rt *runtime) execute(ctx context.Context, args []string) int {
	root := rt.rootCommand()
	root.SetArgs(args)
	root.SetIn(rt.in)
	root.SetOut(rt.out)
	root.SetErr(rt.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	rt.report(interrupted(ctx, err))
	if console.IsUsage(err) {
		return 2
	}
	return 1
}

// interrupted puts the error of a command that a signal ended into words. It keeps the hint.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || console.IsSilent(err) || !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
		return err // or it was told already
	}
	if hint, ok := console.Hint(err); ok {
		return console.WithHint(errInterrupted, "%s", hint)
	}
	return errInterrupted
}

var errInterrupted = errors.New("interrupted")

func (rt *runtime) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "otpgate",
		Short: "One-time codes between RADIUS clients and an LDAP directory",
		Long: `otpgate checks 60-second codes for VPN gateways and network equipment (RADIUS),
finds accounts in the LDAP directory that is already there, and never accepts a code twice.

Try it:  otpgate demo`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return console.Usage(fmt.Errorf("there is no command %q", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return console.Usage(console.WithHint(err, "see %s --help", cmd.CommandPath()))
	})
	root.PersistentFlags().StringVarP(&rt.configPath, "config", "c", defaultConfigPath, "configuration `file`")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	root.SetHelpCommand(helpCommand())
	root.AddCommand(rt.serveCommand(), rt.checkCommand(), rt.exampleCommand(), rt.demoCommand())
	root.AddCommand(operate.Commands(operate.Options{
		In: rt.in, Out: rt.out, Err: rt.err, LookupEnv: rt.lookupEnv, Now: rt.now,
		ConfigPath: func() string { return rt.configPath },
	})...)
	rt.complete(root)
	return root
}

// report prints an error as "error:" and "hint:" lines, with what peers said kept from the terminal. Problems of
// a configuration file bring their own hints, one each, and are printed as they are.
func (rt *runtime) report(err error) {
	if console.IsSilent(err) {
		return
	}
	if p := problemsIn(err); p != nil {
		fmt.Fprintln(rt.err, strings.TrimRight(p.Error(), "\n"))
		return
	}
	fmt.Fprintf(rt.err, "otpgate: error: %s\n", console.Lines(err.Error()))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(rt.err, "otpgate: hint: %s\n", console.Lines(hint))
	}
}

// version is the module's version; "devel" for a build that has none.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// revision is the commit that the binary was built from; "" when it does not say.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
