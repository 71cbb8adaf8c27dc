package operate

import (
	"errors"
	"fmt"
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
	Draining bool              `json:"draining"`
	Checks   []console.Finding `json:"checks"`
}

func statusOf(s operator.Status) nodeStatus {
	n := nodeStatus{Version: s.Version, Started: s.Started, Draining: s.Draining, Checks: make([]console.Finding, len(s.Checks))}
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
Status 1: it is not ready, or cannot be asked.`,
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
		err = console.PrintFindings(dk.Out, n.Checks)
	}
	if err == nil && n.Draining {
		return console.WithHint(errors.New("the node is stopping"), "it lets answers in flight out, and takes no new logins")
	}
	if err == nil && n.State == console.NotReady {
		err = console.WithHint(errors.New("the node is not ready"), "no login is answered until what is not_ready above is mended; its log says more")
	}
	return err
}
