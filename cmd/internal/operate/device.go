package operate

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/terminal"
	"otpgate/enroll/operator"
)

func (dk *desk) deviceCommand() *cobra.Command {
	cmd := console.OnlyCommands(&cobra.Command{
		Use:   "device",
		Short: "List, add, revoke and import devices",
	})
	cmd.AddCommand(dk.deviceListCommand(), dk.deviceAddCommand(), dk.deviceRevokeCommand(), dk.deviceImportCommand())
	return cmd
}

func (dk *desk) deviceListCommand() *cobra.Command {
	return dk.withJSON(&cobra.Command{
		Use:     "list NAME-OR-MAIL",
		Short:   "List the devices of an account",
		Example: "  otpgate device list alice",
		Args:    console.ExactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return dk.operate(func(c *operator.Client) error {
				list, err := c.ListDevices(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if dk.json {
					return console.PrintJSON(dk.Out, list)
				}
				if len(list) == 0 {
					_, err := fmt.Fprintf(dk.Out, "%s has no device\n", args[0])
					return err
				}
				return dk.printDevices(list)
			})
		},
	})
}

func (dk *desk) printDevices(list []operator.Device) error {
	if len(list) == 0 {
		return nil
	}
	return console.Table(dk.Out, func(w io.Writer) {
		fmt.Fprintln(w, "ID\tLABEL\tCODE\tENROLLED\tLAST USED")
		for _, d := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.Label, kind(d), day(&d.Created), day(d.LastUsed))
		}
	})
}

func kind(d operator.Device) string {
	return fmt.Sprintf("%s, %d digits, %ds", d.Algorithm, d.Digits, d.Period)
}

func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func (dk *desk) deviceAddCommand() *cobra.Command {
	var n operator.NewDevice
	var period time.Duration
	var qr bool
	cmd := dk.withJSON(&cobra.Command{
		Use:   "add NAME-OR-MAIL",
		Short: "Give an account a device, and show its QR code once",
		Long: `Makes a device and prints its otpauth URI and, on a terminal, a QR code for an authenticator app.
They give the seed away: nothing shows them a second time, and they belong on no screen that others
see.`,
		Example: "  otpgate device add alice --label 'blue phone'",
		Args:    console.ExactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name, n.Period = args[0], int64(period/time.Second)
			if cmd.Flags().Changed("period") && (n.Period == 0 || period%time.Second != 0) {
				return console.Usage(console.WithHint(fmt.Errorf("--period: %s is not whole seconds", period), "such as 30s or 60s; leave it out for otp.period"))
			}
			return dk.operate(func(c *operator.Client) error {
				added, err := c.AddDevice(cmd.Context(), n)
				if err != nil {
					return err
				}
				if err := dk.showAdded(added, qr); err != nil {
					return console.WithHint(fmt.Errorf("device %s was added, and its seed cannot be shown: %w", added.ID, err),
						"nothing shows it a second time: otpgate device revoke %s %s, and add another", console.Quoted(args[0]), added.ID)
				}
				return nil
			})
		},
	})
	cmd.Flags().StringVar(&n.Label, "label", "", "what the person calls it")
	cmd.Flags().StringVar(&n.Algorithm, "algorithm", "", "SHA1, SHA256 or SHA512 (default: otp.algorithm)")
	cmd.Flags().IntVar(&n.Digits, "digits", 0, "6 to 8 (default: otp.digits)")
	cmd.Flags().DurationVar(&period, "period", 0, "15s to 10m (default: otp.period)")
	cmd.Flags().BoolVar(&qr, "qr", false, "draw the QR code wherever the output goes")
	return cmd
}

// showAdded shows what nothing gives away again.
func (dk *desk) showAdded(added operator.Added, qr bool) error {
	text := fmt.Sprintf("%s of %s (%s)\n\n%s\n\n", added.ID, console.Printable(added.Name), kind(added.Device), added.URI)
	if err := dk.show(added, text); err != nil || dk.json {
		return err
	}
	return dk.showQR(added.URI, qr)
}

// showQR prints a QR code, and its escapes, where somebody looks at a terminal that can draw it, and
// wherever it was asked for. Elsewhere it would be noise in a file or a pipe.
func (dk *desk) showQR(text string, asked bool) error {
	if !asked && !terminal.Is(dk.Out) {
		return nil
	}
	if !asked && !terminal.UTF8(dk.LookupEnv) {
		_, err := fmt.Fprintln(dk.Out, "no QR code, because this terminal does not say that it knows UTF-8; --qr draws it all the same")
		return err
	}
	return terminal.PrintQR(dk.Out, text)
}

func (dk *desk) deviceRevokeCommand() *cobra.Command {
	return dk.withJSON(&cobra.Command{
		Use:     "revoke NAME-OR-MAIL DEVICE",
		Short:   "Revoke a device, by id or label: it is refused from its next login on",
		Example: "  otpgate device revoke alice 'blue phone'",
		Args:    console.ExactArgs("NAME-OR-MAIL", "DEVICE"),

		ValidArgsFunction: dk.deviceIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return dk.operate(func(c *operator.Client) error {
				d, err := c.RevokeDevice(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				err = dk.show(d, fmt.Sprintf("revoked %s %q of %s\n", d.ID, d.Label, console.Printable(d.Name)))
				return console.WithHint(err, "device %s is revoked, and only this cannot be shown", d.ID)
			})
		},
	})
}

// deviceIDs are those of the account that was typed before. Names of accounts are not offered: there
// are too many, and a shell must not list people.
func (dk *desk) deviceIDs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := dk.dial()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	list, err := client.ListDevices(ctx, args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids := make([]cobra.Completion, len(list))
	for i, d := range list {
		ids[i] = cobra.CompletionWithDesc(d.ID, console.Printable(d.Label))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
