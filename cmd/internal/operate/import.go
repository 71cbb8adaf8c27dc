package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/terminal"
	"otpgate/enroll/operator"
)

func (dk *desk) deviceImportCommand() *cobra.Command {
	var path string
	cmd := dk.withJSON(&cobra.Command{
		Use:   "import --csv FILE",
		Short: "Import devices from another system",
		Long: `Reads a CSV file with the header name,seed_base32,algorithm,digits,period,label. Empty fields
other than name and seed take the configured defaults. A line that cannot be imported is reported
with its number, and the rest goes on; importing the same file again adds nothing twice.`,
		Example: "  otpgate device import --csv tokens.csv\n  gunzip < tokens.csv.gz | otpgate device import --csv -",
		Args:    console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return console.Usage(console.WithHint(errors.New("--csv is missing"), "name the file, or - for standard input"))
			}
			in := dk.In
			if path != "-" {
				f, err := openCSV(path)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return dk.operate(func(c *operator.Client) error { return dk.importDevices(cmd, c, in) })
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
		return nil, console.WithHint(err, "name the CSV file, or - for standard input")
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, console.WithHint(fmt.Errorf("%s is a folder", path), "name the CSV file, or - for standard input")
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
func (dk *desk) importDevices(cmd *cobra.Command, c *operator.Client, in io.Reader) error {
	watched := terminal.Is(dk.Err)
	var so brokenImport
	result, err := c.ImportDevices(cmd.Context(), in, func(done, failed int64) {
		so.Done, so.Failed = done, failed
		if watched {
			fmt.Fprintf(dk.Err, "\r%d lines, %d not imported", done, failed)
		}
	}, func(p operator.LineProblem) {
		if watched {
			fmt.Fprint(dk.Err, "\r\x1b[K")
		}
		fmt.Fprintf(dk.Err, "line %d: %s\n", p.Line, p.Cause)
	})
	if watched {
		fmt.Fprint(dk.Err, "\r\x1b[K")
	}
	if err != nil {
		return dk.importBroke(so, err)
	}
	text := fmt.Sprintf("%d added, %d were there already, %d not imported\n", result.Added, result.Existing, result.Failed)
	if err := dk.show(result, text); err != nil {
		return console.WithHint(err, "import the file again to see what became of it: what is there already is left alone")
	}
	if result.Failed > 0 {
		return console.WithHint(fmt.Errorf("%d lines were not imported", result.Failed), "mend them and import the file again: what is there already is left alone")
	}
	return nil
}

// importBroke says how far an import came, because what it added stays.
func (dk *desk) importBroke(so brokenImport, err error) error {
	if dk.json {
		so.Error = err.Error()
		_ = console.PrintJSON(dk.Out, so)
	} else if so.Done > 0 {
		fmt.Fprintf(dk.Out, "%d lines were dealt with before it ended, %d of them not imported\n", so.Done, so.Failed)
	}
	if so.Done > 0 || errors.Is(err, context.Canceled) {
		return console.WithHint(err, "import the file again: what is there already is left alone")
	}
	return err
}
