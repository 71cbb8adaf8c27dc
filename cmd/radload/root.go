package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
)

// program is what the outside world gives the process.
type program struct {
	out, err  io.Writer
	now       func() time.Time
	reachable func(netip.Addr) bool // may be sent to without being asked
	args      []string
}

// Exit statuses beside 0.
const (
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

var (
	errNotHeld     = errors.New("not all that was expected held")
	errInterrupted = errors.New("interrupted")
)

// execute runs one command line and returns the exit status.
func (p *program) execute(ctx context.Context, args []string) int {
	p.args = args
	root := &cobra.Command{
		Use:   "radload",
		Short: "Loads RADIUS servers with logins, and judges every answer",
		Long: `radload logs enrolled devices in at RADIUS servers, at a rate (--rate) or with so
many logins outstanding (--outstanding), and says how long it took and whether
every answer was right.

  radload devices --master bench --count 300000 --csv devices.csv
  otpgate device import --csv devices.csv
  radload run --server 127.0.0.1:1812 --secret-file vpn.secret --master bench --count 300000 --rate 5000`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return console.Usage(fmt.Errorf("there is no command %q", args[0]))
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return console.Usage(console.WithHint(err, "see %s --help", cmd.CommandPath()))
	})
	root.SetArgs(args)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.AddCommand(p.runCommand(), p.devicesCommand(), p.benchCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !console.IsSilent(err) {
		fmt.Fprintf(p.err, "radload: error: %v\n", err)
		if hint, ok := console.Hint(err); ok {
			fmt.Fprintf(p.err, "radload: hint: %s\n", hint)
		}
	}
	switch {
	case console.IsUsage(err):
		return statusUsage
	case errors.Is(err, errInterrupted):
		return statusInterrupted
	}
	return statusFailed
}
