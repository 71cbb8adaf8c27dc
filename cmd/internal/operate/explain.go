package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/terminal"
	"otpgate/enroll/operator"
)

func (dk *desk) explainCommand() *cobra.Command {
	var q operator.ExplainRequest
	var reply bool
	cmd := dk.withJSON(&cobra.Command{
		Use:   "explain --client C --account NAME",
		Short: "Show what would become of a login, step by step, and why",
		Long: `Goes through a login as the node would for that gateway, and says what it finds at each step.
Nothing is claimed: a code that is tried here is still good afterwards. Without --code it says what
is known without one.

With --code - the code is read from standard input, and not shown on a terminal. Typed into the
command line, it can be read in the list of processes and in the shell's history, and some of what
gateways are sent is a password.

That somebody asked is in the audit trail, with client and account; the code is not. The status is
0 when there is an answer, whatever it is.`,
		Example: `  otpgate explain --client vpn --account alice
  otpgate explain --client vpn --account alice --code - --reply`,
		Args: console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := asked(cmd, "client", "account"); err != nil {
				return err
			}
			if err := given(cmd, "code", "station"); err != nil {
				return err
			}
			if q.Code == "-" {
				var err error
				if q.Code, err = dk.readCode(cmd.Context()); err != nil {
					return err
				}
			}
			return dk.operate(func(c *operator.Client) error {
				x, err := c.Explain(cmd.Context(), q)
				if err != nil {
					return err
				}
				if dk.json {
					return console.PrintJSON(dk.Out, x)
				}
				return dk.printExplanation(x, reply)
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&q.Client, "client", "", "configured name of the gateway")
	flags.StringVar(&q.Account, "account", "", "the `name` as it is typed at the gateway")
	flags.StringVar(&q.Code, "code", "", "what is typed as the proof; - reads it from standard input")
	flags.StringVar(&q.Station, "station", "", "what the gateway would call the station: Calling-Station-Id")
	flags.BoolVar(&reply, "reply", false, "also show the attributes of the reply with their octets")
	return cmd
}

// asked refuses a command without flags that it needs.
func asked(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !cmd.Flag(name).Changed {
			return console.Usage(console.WithHint(fmt.Errorf("--%s is missing", name), "usage: %s", cmd.UseLine()))
		}
	}
	return given(cmd, names...)
}

// given refuses flags that were given without a value, such as a script's empty variable.
func given(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flag(name); f.Changed && f.Value.String() == "" {
			return empty(name, "")
		}
	}
	return nil
}

func empty(name, value string) error {
	return console.Usage(console.WithHint(fmt.Errorf("--%s: %q asks for nothing", name, value), "leave --%s out, or give it a value", name))
}

// maxTyped is how many octets of standard input are read as a code; the node takes fewer.
const maxTyped = 1024

// readCode reads the first line of standard input, which a terminal does not show: some of what gateways are sent is
// a password. It ends with ctx, so that the terminal is as it was.
func (dk *desk) readCode(ctx context.Context) (string, error) {
	if f, ok := dk.In.(*os.File); ok && terminal.Is(f) {
		restore, hidden := terminal.Hide(f)
		defer restore()
		fmt.Fprint(dk.Err, "code: ")
		if hidden {
			defer fmt.Fprintln(dk.Err) // the end of the line was not shown either
		}
	}
	var line string
	read := make(chan error, 1)
	go func() {
		var err error
		line, err = bufio.NewReader(io.LimitReader(dk.In, maxTyped)).ReadString('\n')
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("--code: %w", err)
		}
	case <-ctx.Done():
		return "", fmt.Errorf("--code: %w", ctx.Err())
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", console.Usage(console.WithHint(errors.New("--code: there is none on standard input"), "such as: otpgate explain … --code - < file"))
	}
	return line, nil
}

// marks stand before the steps: where a terminal can draw them, and elsewhere.
func marks(drawn bool) map[string]string {
	if drawn {
		return map[string]string{operator.StepOK: "✓", operator.StepStop: "✗"}
	}
	return map[string]string{operator.StepOK: "ok", operator.StepStop: "STOP"}
}

// printExplanation prints a line for each step, and what it comes to.
func (dk *desk) printExplanation(x operator.Explanation, reply bool) error {
	mark := marks(terminal.Is(dk.Out) && terminal.UTF8(dk.LookupEnv))
	err := console.Table(dk.Out, func(w io.Writer) {
		for _, s := range x.Steps {
			m, known := mark[s.Outcome]
			if !known {
				m = "?"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", m, s.Name, console.Printable(s.Detail))
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(dk.Out, "decision: %s (%s)\n", x.Decision, x.Reason)
	switch {
	case !reply:
		return nil
	case len(x.Reply) == 0:
		_, err = fmt.Fprintln(dk.Out, "reply: no attributes")
		return err
	}
	fmt.Fprintln(dk.Out, "reply:")
	return console.Table(dk.Out, func(w io.Writer) {
		for _, a := range x.Reply {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", a.Name, console.Quoted(a.Value), a.Octets)
		}
	})
}
