package operate

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
)

func (dk *desk) accountCommand() *cobra.Command {
	cmd := console.OnlyCommands(&cobra.Command{
		Use:   "account",
		Short: "Show what there is to know about an account",
	})
	cmd.AddCommand(dk.accountShowCommand())
	return cmd
}

func (dk *desk) accountShowCommand() *cobra.Command {
	return dk.withJSON(&cobra.Command{
		Use:   "show NAME-OR-MAIL",
		Short: "Show an account, its devices and its open sessions",
		Long: `Shows who an account is in the directory, the devices it has, and the sessions that gateways
have open for it, as their accounting tells (radius.accounting). A session is stale when its gateway
has not told of it for too long: it may be over.

Groups are looked up only where a client of the configuration has a use for them.`,
		Example: "  otpgate account show alice\n  otpgate account show alice@corp.example --json",
		Args:    console.ExactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return dk.operate(func(c *operator.Client) error {
				v, err := c.Account(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if dk.json {
					return console.PrintJSON(dk.Out, v)
				}
				return dk.printAccount(v)
			})
		},
	})
}

func (dk *desk) printAccount(v operator.AccountView) error {
	state := "may log in"
	if v.Disabled {
		state = "disabled in the directory"
	}
	groups := make([]string, len(v.Groups))
	for i, g := range v.Groups {
		groups[i] = g.Name
	}
	err := console.Table(dk.Out, func(w io.Writer) {
		for _, row := range [][2]string{
			{"account", v.Name}, {"name", v.FullName}, {"mail", v.Mail}, {"state", state}, {"directory", v.Directory},
			{"dn", v.DN}, {"id", v.ID}, {"groups", strings.Join(groups, ", ")},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], console.Printable(row[1]))
			}
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(dk.Out, "\n%d devices\n", len(v.Devices))
	if err := dk.printDevices(v.Devices); err != nil {
		return err
	}
	fmt.Fprintf(dk.Out, "\n%d open sessions\n", len(v.Sessions))
	return dk.printSessions(v.Sessions)
}

func (dk *desk) printSessions(list []operator.Session) error {
	if len(list) == 0 {
		return nil
	}
	return console.Table(dk.Out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT\tNAS\tSTATION\tADDRESS\tSINCE\tLAST TOLD\tIN\tOUT\t")
		for _, s := range list {
			stale := ""
			if s.Stale {
				stale = "stale"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Client, word(s.NAS), word(s.Station), word(s.Address),
				day(&s.Since), day(&s.Updated), octets(s.In), octets(s.Out), stale)
		}
	})
}

// word is a value of a gateway's in one column, which is never empty.
func word(s string) string {
	if s == "" {
		return "-"
	}
	return console.Printable(s)
}

// octets is a number of octets for people.
func octets(n uint64) string {
	const kilo = 1000
	if n < kilo {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/kilo, 0
	for f >= kilo-0.05 && unit < 5 { // what %.1f would make 1000.0 of
		f, unit = f/kilo, unit+1
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTPE"[unit])
}
