package operate

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
)

// nodeStatus is what the status command prints as JSON.
type nodeStatus struct {
	Version string        `json:"version"`
	Started time.Time     `json:"started"`
	State   console.State `json:"state"`
	// Draining: it has been told to stop.
	Draining bool                    `json:"draining"`
	Checks   []console.Finding       `json:"checks"`
	Clients  []operator.ClientStatus `json:"clients,omitempty"`
}

func statusOf(s operator.Status) nodeStatus {
	n := nodeStatus{Version: s.Version, Started: s.Started, Draining: s.Draining, Checks: make([]console.Finding, len(s.Checks)), Clients: s.Clients}
	for i, c := range s.Checks {
		n.Checks[i] = console.Finding{Name: c.Name, State: console.StateOf(c.State), Detail: c.Detail}
	}
	n.State = console.Worst(n.Checks)
	if n.Draining {
		n.State = console.NotReady
	}
	return n
}

func (dk *desk) statusCommand() *cobra.Command {
	return dk.withJSON(&cobra.Command{
		Use:   "status",
		Short: "Show how the running node is",
		Long: `Asks the running node how it is, and what it depends on: ready, degraded or not_ready.
Below, for each client, what became of its packets: whether they carry Message-Authenticator, which
tells when it can be required, and which of two secrets they fit, and when the last one fitted the
previous secret, which tells when that can go. Each node counts its own, since it was started or the
secret took its place. Status 1: it is not ready, or cannot be asked.`,
		Example: "  otpgate status --json",
		Args:    console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return dk.operate(func(c *operator.Client) error {
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return dk.printStatus(statusOf(s))
			})
		},
	})
}

func (dk *desk) printStatus(n nodeStatus) error {
	var err error
	if dk.json {
		err = console.PrintJSON(dk.Out, n)
	} else {
		fmt.Fprintf(dk.Out, "otpgate %s, up %s, %s\n", n.Version, dk.Now().Sub(n.Started).Round(time.Second), n.State)
		err = errors.Join(console.PrintFindings(dk.Out, n.Checks), dk.printClients(n.Clients))
	}
	if err == nil && n.Draining {
		return console.WithHint(errors.New("the node is stopping"), "it lets answers in flight out, and takes no new logins")
	}
	if err == nil && n.State == console.NotReady {
		err = console.WithHint(errors.New("the node is not ready"), "no login is answered until what is not_ready above is mended; its log says more")
	}
	return err
}

// printClients prints a line for each client.
func (dk *desk) printClients(list []operator.ClientStatus) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(dk.Out)
	return console.Table(dk.Out, func(w io.Writer) {
		fmt.Fprintln(w, "CLIENT\tSECRET\tMESSAGE-AUTHENTICATOR\t")
		for _, c := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, secrets(c), c.Policy, c.Sentence)
		}
	})
}

// secrets says which secrets a client's packets fitted.
func secrets(c operator.ClientStatus) string {
	switch {
	case c.CurrentSecret == 0 && c.PreviousSecret == 0:
		return "not seen yet"
	case c.PreviousSecret == 0:
		return "current"
	case c.CurrentSecret == 0:
		return "previous only"
	}
	return fmt.Sprintf("current %d, previous %d, last %s", c.CurrentSecret, c.PreviousSecret, day(&c.PreviousSecretUsed))
}
