package console

import (
	"fmt"

	"github.com/spf13/cobra"
)

// ExactArgs is cobra.ExactArgs with an error that names what is missing and exit status 2.
func ExactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Usage(WithHint(fmt.Errorf("%s is missing", names[len(args)]), "usage: %s", cmd.UseLine()))
		case len(args) > len(names):
			return Usage(WithHint(fmt.Errorf("unexpected argument %q", args[len(names)]), "usage: %s", cmd.UseLine()))
		}
		return nil
	}
}

// OnlyCommands makes cmd one that has only others below it: alone it prints its help, and a word
// that is none of them is a mistake.
func OnlyCommands(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return Usage(WithHint(fmt.Errorf("there is no command %q", args[0]), "see %s --help", cmd.CommandPath()))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// WithJSON gives a command the --json flag.
func WithJSON(cmd *cobra.Command, json *bool) *cobra.Command {
	cmd.Flags().BoolVar(json, "json", false, "print JSON, for scripts")
	return cmd
}
