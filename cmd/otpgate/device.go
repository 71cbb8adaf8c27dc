package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/terminal"
	"otpgate/enroll/operator"
)

func (rt *runtime) deviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "List, add, revoke and import devices",
		Args:  known,
		RunE:  help,
	}
	cmd.AddCommand(rt.deviceListCommand(), rt.deviceAddCommand(), rt.deviceRevokeCommand(), rt.deviceImportCommand())
	return cmd
}

func (rt *runtime) deviceListCommand() *cobra.Command {
	return rt.withJSON(&cobra.Command{
		Use:     "list NAME-OR-MAIL",
		Short:   "List the devices of an account",
		Example: "  otpgate device list alice",
		Args:    exactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rt.operate(func(c *operator.Client) error {
				list, err := c.ListDevices(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(list)
				}
				if len(list) == 0 {
					fmt.Fprintf(rt.out, "%s has no device\n", args[0])
					return nil
				}
				return rt.table(func(w io.Writer) {
					fmt.Fprintln(w, "ID\tLABEL\tCODE\tENROLLED\tLAST USED")
					for _, d := range list {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.Label, kind(d), day(&d.Created), day(d.LastUsed))
					}
				})
			})
		},
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

func (rt *runtime) deviceAddCommand() *cobra.Command {
	var n operator.NewDevice
	var period time.Duration
	var qr bool
	cmd := rt.withJSON(&cobra.Command{
		Use:   "add NAME-OR-MAIL",
		Short: "Give an account a device, and show its QR code once",
		Long: `Makes a device and prints its otpauth URI and, on a terminal, a QR code for an authenticator app.
They give the seed away: nothing shows them a second time, and they belong on no screen that others
see.`,
		Example: "  otpgate device add alice --label 'blue phone'",
		Args:    exactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name, n.Period = args[0], int64(period/time.Second)
			if cmd.Flags().Changed("period") && (n.Period == 0 || period%time.Second != 0) {
				return usageError{withHint(fmt.Errorf("--period: %s is not whole seconds", period), "such as 30s or 60s; leave it out for otp.period")}
			}
			return rt.operate(func(c *operator.Client) error {
				added, err := c.AddDevice(cmd.Context(), n)
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(added)
				}
				fmt.Fprintf(rt.out, "%s of %s (%s)\n\n%s\n\n", added.ID, added.Name, kind(added.Device), added.URI)
				return rt.showQR(added.URI, qr)
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

// showQR prints a QR code, and its escapes, where somebody looks at a terminal that can draw it, and
// wherever it was asked for. Elsewhere it would be noise in a file or a pipe.
func (rt *runtime) showQR(text string, asked bool) error {
	if !asked && !terminal.Is(rt.out) {
		return nil
	}
	if !asked && !terminal.UTF8(rt.lookupEnv) {
		fmt.Fprintln(rt.out, "no QR code, because this terminal does not say that it knows UTF-8; --qr draws it all the same")
		return nil
	}
	return terminal.PrintQR(rt.out, text)
}

func (rt *runtime) deviceRevokeCommand() *cobra.Command {
	return rt.withJSON(&cobra.Command{
		Use:     "revoke NAME-OR-MAIL DEVICE",
		Short:   "Revoke a device, by id or label: it is refused from its next login on",
		Example: "  otpgate device revoke alice 'blue phone'",
		Args:    exactArgs("NAME-OR-MAIL", "DEVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rt.operate(func(c *operator.Client) error {
				d, err := c.RevokeDevice(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(d)
				}
				fmt.Fprintf(rt.out, "revoked %s %q of %s\n", d.ID, d.Label, d.Name)
				return nil
			})
		},
	})
}

func (rt *runtime) deviceImportCommand() *cobra.Command {
	var path string
	cmd := rt.withJSON(&cobra.Command{
		Use:   "import --csv FILE",
		Short: "Import devices from another system",
		Long: `Reads a CSV file with the header name,seed_base32,algorithm,digits,period,label. Empty fields
other than name and seed take the configured defaults. A line that cannot be imported is reported
with its number, and the rest goes on; importing the same file again adds nothing twice.`,
		Example: "  otpgate device import --csv tokens.csv\n  gunzip < tokens.csv.gz | otpgate device import --csv -",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{withHint(errors.New("--csv is missing"), "name the file, or - for standard input")}
			}
			in := rt.in
			if path != "-" {
				f, err := openCSV(path)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return rt.operate(func(c *operator.Client) error { return rt.importDevices(cmd, c, in) })
		},
	})
	cmd.Flags().StringVar(&path, "csv", "", "the `file` to read; - for standard input")
	_ = cmd.MarkFlagFilename("csv", "csv")
	return cmd
}

// openCSV refuses a folder, which opens like a file and cannot be read like one.
func openCSV(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withHint(err, "name the CSV file, or - for standard input")
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, withHint(fmt.Errorf("%s is a folder", path), "name the CSV file, or - for standard input")
	}
	return f, nil
}

// brokenImport is what is known of an import that ended too early.
type brokenImport struct {
	Done   int64  `json:"done"`   // lines at least that were dealt with
	Failed int64  `json:"failed"` // of them not imported
	Error  string `json:"error"`
}

// importDevices shows how far it has come where somebody is watching.
func (rt *runtime) importDevices(cmd *cobra.Command, c *operator.Client, in io.Reader) error {
	watched := terminal.Is(rt.err)
	var so brokenImport
	result, err := c.ImportDevices(cmd.Context(), in, func(done, failed int64) {
		so.Done, so.Failed = done, failed
		if watched {
			fmt.Fprintf(rt.err, "\r%d lines, %d not imported", done, failed)
		}
	}, func(p operator.LineProblem) {
		if watched {
			fmt.Fprint(rt.err, "\r\x1b[K")
		}
		fmt.Fprintf(rt.err, "line %d: %s\n", p.Line, p.Cause)
	})
	if watched {
		fmt.Fprint(rt.err, "\r\x1b[K")
	}
	if err != nil {
		return rt.importBroke(so, err)
	}
	if rt.json {
		err = rt.printJSON(result)
	} else {
		fmt.Fprintf(rt.out, "%d added, %d were there already, %d not imported\n", result.Added, result.Existing, result.Failed)
	}
	if err == nil && result.Failed > 0 {
		err = withHint(fmt.Errorf("%d lines were not imported", result.Failed), "mend them and import the file again: what is there already is left alone")
	}
	return err
}

// importBroke says how far an import came, because what it added stays.
func (rt *runtime) importBroke(so brokenImport, err error) error {
	if rt.json {
		so.Error = err.Error()
		_ = rt.printJSON(so)
	} else if so.Done > 0 {
		fmt.Fprintf(rt.out, "%d lines were dealt with before it ended, %d of them not imported\n", so.Done, so.Failed)
	}
	if so.Done > 0 || errors.Is(err, context.Canceled) {
		return withHint(err, "import the file again: what is there already is left alone")
	}
	return err
}
