package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/spf13/cobra"

	"otpgate/enroll/operator"
)

func (rt *runtime) deviceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "List, add, revoke and import devices",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{withHint(fmt.Errorf("there is no command %q", args[0]), "see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
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
	cmd := rt.withJSON(&cobra.Command{
		Use:   "add NAME-OR-MAIL",
		Short: "Give an account a device, and show its QR code once",
		Long: `Makes a device and prints its otpauth URI and a QR code for an authenticator app. They give
the seed away: nothing shows them a second time, and they belong on no screen that others see.`,
		Example: "  otpgate device add alice --label 'blue phone'",
		Args:    exactArgs("NAME-OR-MAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name, n.Period = args[0], int64(period/time.Second)
			return rt.operate(func(c *operator.Client) error {
				added, err := c.AddDevice(cmd.Context(), n)
				if err != nil {
					return err
				}
				if rt.json {
					return rt.printJSON(added)
				}
				fmt.Fprintf(rt.out, "%s of %s (%s)\n\n%s\n\n", added.ID, added.Name, kind(added.Device), added.URI)
				return printQR(rt.out, added.URI)
			})
		},
	})
	cmd.Flags().StringVar(&n.Label, "label", "", "what the person calls it")
	cmd.Flags().StringVar(&n.Algorithm, "algorithm", "", "SHA1, SHA256 or SHA512 (default: otp.algorithm)")
	cmd.Flags().IntVar(&n.Digits, "digits", 0, "6 to 8 (default: otp.digits)")
	cmd.Flags().DurationVar(&period, "period", 0, "15s to 10m (default: otp.period)")
	_ = cmd.RegisterFlagCompletionFunc("algorithm", cobra.FixedCompletions([]string{"SHA1", "SHA256", "SHA512"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// quiet is how many light modules a QR code needs around it (ISO/IEC 18004 section 6.3.8).
const quiet = 4

// printQR draws a QR code with two modules to a character, dark on light whatever the terminal's
// colours are.
func printQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return false
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	for y := -quiet; y < size+quiet; y += 2 {
		var line strings.Builder
		line.WriteString("\x1b[30;107m") // black on white
		for x := -quiet; x < size+quiet; x++ {
			line.WriteString([]string{" ", "▄", "▀", "█"}[index(dark(x, y))*2+index(dark(x, y+1))])
		}
		line.WriteString("\x1b[0m")
		if _, err := fmt.Fprintln(w, line.String()); err != nil {
			return err
		}
	}
	return nil
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
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
				f, err := os.Open(path)
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

// importDevices shows how far it has come where somebody is watching.
func (rt *runtime) importDevices(cmd *cobra.Command, c *operator.Client, in io.Reader) error {
	watched := isTerminal(rt.err)
	result, err := c.ImportDevices(cmd.Context(), in, func(done, failed int64) {
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
		return err
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

// isTerminal reports whether a person may be looking at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
