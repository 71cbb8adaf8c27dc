package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
)

// complete gives every argument and flag a completion of its own, so that a shell offers file names
// only where a file is meant.
func (rt *runtime) complete(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		console.OnlyCommands(c)
	}
	flags := map[string]cobra.CompletionFunc{
		"client":    rt.clientNames,
		"directory": rt.directoryNames,
		"algorithm": cobra.FixedCompletions([]string{"SHA1", "SHA256", "SHA512"}, cobra.ShellCompDirectiveNoFileComp),
		"digits":    cobra.FixedCompletions([]string{"6", "7", "8"}, cobra.ShellCompDirectiveNoFileComp),
	}
	for _, free := range []string{
		"account", "actor", "attempt", "code", "device", "label", "last", "name", "period", "session", "since", "source", "station", "until",
	} {
		flags[free] = cobra.NoFileCompletions
	}
	each(root, func(c *cobra.Command) {
		if c.ValidArgsFunction == nil && c.ValidArgs == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		for name, give := range flags {
			if _, has := c.GetFlagCompletionFunc(name); !has && c.LocalFlags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, give)
			}
		}
	})
}

func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, below := range c.Commands() {
		each(below, f)
	}
}

// helpCommand is cobra's, but for what it says of a topic that is not there.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || about == nil || len(rest) > 0 {
				return console.Usage(console.WithHint(fmt.Errorf("there is no command %q", args[len(args)-max(len(rest), 1)]), "see otpgate --help"))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			about, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, below := range about.Commands() {
				if below.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(below.Name(), below.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// clientNames are those of the configuration, whatever else is wrong with it.
func (rt *runtime) clientNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cfg, _ := configs.Read(rt.configPath, rt.lookupEnv)
	var names []cobra.Completion
	for _, c := range cfg.Radius.Clients {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// directoryNames are those of the configuration.
func (rt *runtime) directoryNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cfg, _ := configs.Read(rt.configPath, rt.lookupEnv)
	var names []cobra.Completion
	for _, d := range cfg.Directories {
		names = append(names, d.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
