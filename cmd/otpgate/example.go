package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
)

// exampleCommand prints the files that ship with the program, for whoever has only the binary.
func (rt *runtime) exampleCommand() *cobra.Command {
	texts := map[string][]byte{"config": configs.Example, "quickstart": configs.Quickstart, "service": configs.Unit, "people": configs.DemoPeople}
	names := []string{"config", "quickstart", "service", "people"}
	return &cobra.Command{
		Use:   "example [config|quickstart|service|people]",
		Short: "Print a configuration to start from",
		Long: `Prints a file that ships with the program:
  config      every key with its default and what it is for; this one if none is named
  quickstart  a small configuration for the first gateway
  service     the systemd unit, and how to install
  people      a directory in LDIF, for a lab`,
		Example:   "  otpgate example quickstart > otpgate.yaml",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return console.Usage(fmt.Errorf("unexpected argument %q", args[1]))
			case len(args) == 1 && !slices.Contains(names, args[0]):
				return console.Usage(console.WithHint(fmt.Errorf("there is no example %q", args[0]), "one of: config, quickstart, service, people"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := rt.out.Write(texts[append(args, names[0])[0]])
			return err
		},
	}
}
