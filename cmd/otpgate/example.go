package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
)

// exampleCommand prints the files that ship with the program, for whoever has only the binary.
func (rt *runtime) exampleCommand() *cobra.Command {
	texts := map[string][]byte{"config": configs.Example, "quickstart": configs.Quickstart, "service": configs.Unit, "people": configs.DemoPeople}
	names := []string{"config", "quickstart", "service", "people"}
	cmd := &cobra.Command{
		Use:   "example [config|quickstart|service|people]",
		Short: "Print a configuration to start from",
		Long: `Prints a file that ships with the program:
  config      every key with its default and what it is for; this one if none is named
  quickstart  a small configuration for the first gateway
  service     the systemd unit, and how to install
  people      a directory in LDIF, for a lab

The command gateway prints what to configure for one.`,
		Example:   "  otpgate example quickstart > otpgate.yaml",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return console.Usage(fmt.Errorf("unexpected argument %q", args[1]))
			case len(args) == 1 && !slices.Contains(names, args[0]):
				return console.Usage(console.WithHint(fmt.Errorf("there is no example %q", args[0]), "one of: config, quickstart, service, people; or gateway NAME"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := rt.out.Write(texts[append(args, names[0])[0]])
			return err
		},
	}
	cmd.AddCommand(rt.exampleGatewayCommand())
	return cmd
}

// exampleGatewayCommand prints what a page of configs/gateways says.
func (rt *runtime) exampleGatewayCommand() *cobra.Command {
	var page bool
	cmd := &cobra.Command{
		Use:   "gateway NAME",
		Short: "Print the client of a gateway, or the page about it",
		Long: `Prints an item for radius.clients, to start from; with --page the page that it is from: the gateway's
own commands, and what is seen when it works and when it does not.

Gateways: ` + strings.Join(configs.Gateways(), ", ") + ".",
		Example: `  otpgate example gateway fortinet
  otpgate example gateway fortinet --page | less`,
		ValidArgs: configs.Gateways(),
		Args: func(_ *cobra.Command, args []string) error {
			known := "one of: " + strings.Join(configs.Gateways(), ", ")
			switch {
			case len(args) == 0:
				return console.Usage(console.WithHint(errors.New("which gateway?"), "%s", known))
			case len(args) > 1:
				return console.Usage(fmt.Errorf("unexpected argument %q", args[1]))
			case !slices.Contains(configs.Gateways(), args[0]):
				return console.Usage(console.WithHint(fmt.Errorf("there is no page about %q", args[0]), "%s", known))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			whole, client, _ := configs.Gateway(args[0])
			if page {
				client = whole
			}
			_, err := fmt.Fprint(rt.out, client)
			return err
		},
	}
	cmd.Flags().BoolVar(&page, "page", false, "print the whole page")
	return cmd
}
