package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/audit"
)

func (rt *runtime) auditCommand() *cobra.Command {
	var f audit.Filter
	var follow bool
	var since, until string
	cmd := rt.withJSON(&cobra.Command{
		Use:   "audit",
		Short: "Show who logged in where, and what operators did",
		Example: `  otpgate audit --last 20
  otpgate audit --follow --decision reject
  otpgate audit --name alice --since 24h --json`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if f.Since, err = rt.moment(since); err != nil {
				return usageError{withHint(fmt.Errorf("--since: %w", err), "such as 24h, 2026-01-31 or 2026-01-31T12:00:00Z")}
			}
			if f.Until, err = rt.moment(until); err != nil {
				return usageError{withHint(fmt.Errorf("--until: %w", err), "such as 24h, 2026-01-31 or 2026-01-31T12:00:00Z")}
			}
			return rt.operate(func(c *operator.Client) error {
				return c.Audit(cmd.Context(), f, follow, rt.printEvent)
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	flags.IntVar(&f.Last, "last", 0, "only so many of the newest")
	flags.StringVar((*string)(&f.Kind), "kind", "", "login, enrollment, operator or system")
	flags.StringVar(&f.Name, "name", "", "login name of the account")
	flags.StringVar(&f.Account, "account", "", "immutable id of the account")
	flags.StringVar(&f.Client, "client", "", "configured name of the gateway")
	flags.StringVar(&f.Decision, "decision", "", "accept, reject or drop")
	flags.StringVar((*string)(&f.Reason), "reason", "", "why it was decided so")
	flags.StringVar(&since, "since", "", "not before: a time, or how long ago")
	flags.StringVar(&until, "until", "", "before: a time, or how long ago")
	reasons := make([]string, 0, len(otp.Reasons()))
	for _, r := range otp.Reasons() {
		reasons = append(reasons, string(r))
	}
	for flag, words := range map[string][]string{
		"kind": {"login", "enrollment", "operator", "system"}, "decision": {"accept", "reject", "drop"}, "reason": reasons,
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// moment reads a time, a day, or how long ago.
func (rt *runtime) moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return rt.now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time nor a duration", s)
}

// printEvent prints one event in one line.
func (rt *runtime) printEvent(e audit.Event) error {
	if rt.json {
		enc := json.NewEncoder(rt.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	}
	words := []string{e.Time.Local().Format("2006-01-02 15:04:05.000"), string(e.Kind)}
	if e.Kind != audit.Login {
		words = append(words, e.Action)
	}
	for _, pair := range [][2]string{
		{"", e.Decision}, {"", string(e.Reason)}, {"name", e.Name}, {"client", e.Client}, {"source", e.Source},
		{"device", e.Device}, {"actor", e.Actor}, {"attempt", e.ID},
	} {
		if pair[1] == "" {
			continue
		}
		if pair[0] != "" {
			pair[1] = pair[0] + "=" + quoted(pair[1])
		}
		words = append(words, pair[1])
	}
	if e.Stages != nil {
		words = append(words, fmt.Sprintf("%.1fms", e.Stages.Total))
	}
	if e.Detail != "" {
		words = append(words, "("+printable(e.Detail)+")")
	}
	_, err := io.WriteString(rt.out, strings.Join(words, " ")+"\n")
	return err
}

// quoted keeps a value that came from outside in one piece, and from doing anything to a terminal.
func quoted(s string) string {
	if q := fmt.Sprintf("%q", s); strings.ContainsAny(s, " =") || q != `"`+s+`"` {
		return q
	}
	return s
}

func printable(s string) string {
	q := fmt.Sprintf("%q", s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
