package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"otpgate/configs"
	"otpgate/enroll/operator"
)

// dial connects to the running node of the configuration. Of the configuration only data_dir
// matters, so problems elsewhere in the file do not keep an operator from the help desk's work.
func (rt *runtime) dial() (*operator.Client, error) {
	dir, err := configs.DataDir(rt.configPath)
	if err != nil {
		return nil, usageError{withHint(err, "name the node's configuration with --config")}
	}
	return operator.Dial(filepath.Join(dir, operator.SocketName)), nil
}

// operate runs a command against the node and puts its errors into words.
func (rt *runtime) operate(do func(*operator.Client) error) error {
	client, err := rt.dial()
	if err != nil {
		return err
	}
	defer client.Close()
	err = do(client)
	var e *operator.Error
	if errors.As(err, &e) && e.Hint != "" {
		return withHint(err, "%s", e.Hint)
	}
	return err
}

// withJSON gives a command the --json flag.
func (rt *runtime) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&rt.json, "json", false, "print JSON, for scripts")
	return cmd
}

func (rt *runtime) printJSON(v any) error {
	e := json.NewEncoder(rt.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows in columns.
func (rt *runtime) table(write func(w io.Writer)) error {
	w := tabwriter.NewWriter(rt.out, 0, 0, 2, ' ', 0)
	write(w)
	return w.Flush()
}

func (rt *runtime) statusCommand() *cobra.Command {
	return rt.withJSON(&cobra.Command{
		Use:     "status",
		Short:   "Show how the running node is",
		Example: "  otpgate status --json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rt.operate(func(c *operator.Client) error {
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(s)
				}
				fmt.Fprintf(rt.out, "otpgate %s, up %s\n", s.Version, rt.now().Sub(s.Started).Round(time.Second))
				return rt.table(func(w io.Writer) {
					for _, check := range s.Checks {
						fmt.Fprintf(w, "%s\t%s\t%s\n", check.Name, check.State, check.Detail)
					}
				})
			})
		},
	})
}

func (rt *runtime) inviteCommand() *cobra.Command {
	return rt.withJSON(&cobra.Command{
		Use:   "invite NAME-OR-MAIL",
		Short: "Let somebody enroll a phone for whom the mailbox alone is not enough",
		Long: `Makes an invitation for an account: one use, one week. A new one ends the one before.
Hand it over by telephone or in person, not by mail: whoever reads the mailbox has half of what
enrolling takes already.`,
		Example: "  otpgate invite alice\n  otpgate invite alice@corp.example --json",
		Args:    exactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rt.operate(func(c *operator.Client) error {
				i, err := c.Invite(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(i)
				}
				fmt.Fprintf(rt.out, "invitation for %s (%s): %s\n", i.Name, i.Mail, i.Code)
				fmt.Fprintf(rt.out, "good for one phone until %s; hand it over, do not mail it\n", i.Expires.Local().Format("2006-01-02 15:04"))
				return nil
			})
		},
	})
}
