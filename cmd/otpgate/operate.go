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
		return nil, usageError{err}
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

// state is how well something works, in the one shape in which commands tell it. The greater, the
// worse.
type state int

const (
	ready    state = iota // works
	degraded              // logins go on, and somebody should look
	notReady              // no login can be answered
)

var stateNames = []string{"ready", "degraded", "not_ready"}

func (s state) String() string { return stateNames[s] }

// MarshalText returns [state.String].
func (s state) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// stateOf reads what a node says of itself; a word that is not known is not ready.
func stateOf(word string) state {
	switch word {
	case "ok", "ready":
		return ready
	case "degraded":
		return degraded
	}
	return notReady
}

// finding is what one peer or part is like: of a running node, or in a live check.
type finding struct {
	Name   string `json:"name"`
	State  state  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// worst is the state of all of them together.
func worst(findings []finding) state {
	all := ready
	for _, f := range findings {
		all = max(all, f.State)
	}
	return all
}

// printFindings prints one line each, and the hint below.
func (rt *runtime) printFindings(findings []finding) error {
	return rt.table(func(w io.Writer) {
		for _, f := range findings {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.State, f.Detail)
			if f.Hint != "" {
				fmt.Fprintf(w, "\t\thint: %s\n", f.Hint)
			}
		}
	})
}

// nodeStatus is what the status command prints as JSON.
type nodeStatus struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	State   state     `json:"state"`
	// Draining: it has been told to stop.
	Draining bool      `json:"draining"`
	Checks   []finding `json:"checks"`
}

func statusOf(s operator.Status) nodeStatus {
	n := nodeStatus{Version: s.Version, Started: s.Started, Draining: s.Draining, Checks: make([]finding, len(s.Checks))}
	for i, c := range s.Checks {
		n.Checks[i] = finding{Name: c.Name, State: stateOf(c.State), Detail: c.Detail}
	}
	n.State = worst(n.Checks)
	if n.Draining {
		n.State = notReady
	}
	return n
}

func (rt *runtime) statusCommand() *cobra.Command {
	return rt.withJSON(&cobra.Command{
		Use:   "status",
		Short: "Show how the running node is",
		Long: `Asks the running node how it is, and what it depends on: ready, degraded or not_ready.
Status 1: it is not ready, or cannot be asked.`,
		Example: "  otpgate status --json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rt.operate(func(c *operator.Client) error {
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return rt.printStatus(statusOf(s))
			})
		},
	})
}

func (rt *runtime) printStatus(n nodeStatus) error {
	var err error
	if rt.json {
		err = rt.printJSON(n)
	} else {
		fmt.Fprintf(rt.out, "otpgate %s, up %s, %s\n", n.Version, rt.now().Sub(n.Started).Round(time.Second), n.State)
		err = rt.printFindings(n.Checks)
	}
	if err == nil && n.Draining {
		return withHint(errors.New("the node is stopping"), "it lets answers in flight out, and takes no new logins")
	}
	if err == nil && n.State == notReady {
		err = withHint(errors.New("the node is not ready"), "no login is answered until what is not_ready above is mended; its log says more")
	}
	return err
}
