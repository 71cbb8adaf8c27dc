package operate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/enroll/operator"
	"otpgate/otp/audit"
)

func (dk *desk) auditCommand() *cobra.Command {
	var f audit.Filter
	var follow bool
	var since, until string
	cmd := dk.withJSON(&cobra.Command{
		Use:   "audit",
		Short: "Show who logged in where, and what operators did",
		Long: `Shows the node's audit trail, the oldest event first. Filters narrow it down; an event has
to fit all of them. Times are written in this machine's zone.

Nothing is ever removed from the trail unless audit.keep says how many files to keep: a login
takes 300 to 400 octets, and the metric otpgate_audit_size_bytes is what all of them take.`,
		Example: `  otpgate audit --last 20
  otpgate audit --follow --decision reject
  otpgate audit --attempt 3f9c01d2
  otpgate audit --name alice --since 24h --json`,
		Args: console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := filled(cmd); err != nil {
				return err
			}
			if f.Since, err = dk.moment(since); err != nil {
				return console.Usage(console.WithHint(fmt.Errorf("--since: %w", err), "such as 24h, 2026-01-31 or 2026-01-31T12:00:00Z"))
			}
			if f.Until, err = dk.moment(until); err != nil {
				return console.Usage(console.WithHint(fmt.Errorf("--until: %w", err), "such as 24h, 2026-01-31 or 2026-01-31T12:00:00Z"))
			}
			var refused *audit.FilterError
			if errors.As(f.Check(), &refused) {
				return console.Usage(console.WithHint(fmt.Errorf("--%s: no event has %q", refused.Field, refused.Value), "it is %s", refused.Want))
			}
			return dk.operate(func(c *operator.Client) error {
				return c.Audit(cmd.Context(), f, follow, dk.printEvent)
			})
		},
	})
	flags := cmd.Flags()
	flags.BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	flags.IntVar(&f.Last, "last", 0, "only so many of the newest (default all)")
	flags.StringVar(&f.ID, "attempt", "", "id of the attempt, as in the log")
	flags.StringVar(&f.Name, "name", "", "login name of the account")
	flags.StringVar(&f.Account, "account", "", "immutable id of the account")
	flags.StringVar(&f.Client, "client", "", "configured name of the gateway")
	flags.StringVar(&f.Source, "source", "", "where it came from: an address, or what the gateway calls the station")
	flags.StringVar(&f.Device, "device", "", "id of the device")
	flags.StringVar(&f.Session, "session", "", "id of the session, as the gateway's accounting has it")
	flags.StringVar(&f.Actor, "actor", "", "which operator: a uid or a user's name")
	flags.StringVar(&since, "since", "", "not before: a time, or how long ago")
	flags.StringVar(&until, "until", "", "before: a time, or how long ago")
	choice := func(value *string, name, about string, among []string) {
		flags.StringVar(value, name, "", about)
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(among, cobra.ShellCompDirectiveNoFileComp))
	}
	choice((*string)(&f.Kind), "kind", "what sort of event: "+strings.Join(wordsOf(audit.Kinds()), ", "), wordsOf(audit.Kinds()))
	choice(&f.Decision, "decision", strings.Join(audit.Decisions(), ", "), audit.Decisions())
	choice((*string)(&f.Reason), "reason", "why it was decided so", wordsOf(audit.Reasons()))
	return cmd
}

func wordsOf[T ~string](list []T) []string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return words
}

// filled refuses filters that ask for nothing: they would let everything through.
func filled(cmd *cobra.Command) error {
	if last := cmd.Flag("last"); last.Changed && last.Value.String() == "0" {
		return empty("last", "0")
	}
	return given(cmd, "attempt", "name", "account", "client", "source", "device", "session", "actor", "since", "until", "kind", "decision", "reason")
}

// moment reads a time, a day, or how long ago.
func (dk *desk) moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return dk.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time nor a duration", s)
}

// printEvent prints one event in one line.
func (dk *desk) printEvent(e audit.Event) error {
	if dk.json {
		enc := json.NewEncoder(dk.Out)
		enc.SetEscapeHTML(false)
		return enc.Encode(e)
	}
	words := []string{e.Time.Local().Format("2006-01-02 15:04:05.000"), string(e.Kind)}
	if e.Kind != audit.Login {
		words = append(words, e.Action)
	}
	for _, pair := range [][2]string{
		{"", e.Decision}, {"", string(e.Reason)}, {"name", e.Name}, {"client", e.Client}, {"source", e.Source},
		{"device", e.Device}, {"actor", e.Actor}, {"attempt", e.ID}, {"nas", e.NAS}, {"session", e.Session},
	} {
		if pair[1] == "" {
			continue
		}
		if pair[0] != "" {
			pair[1] = pair[0] + "=" + console.Quoted(pair[1])
		}
		words = append(words, pair[1])
	}
	if e.Count != 0 {
		words = append(words, fmt.Sprintf("count=%d", e.Count))
	}
	if e.Traffic != nil {
		words = append(words, trafficWords(e.Traffic)...)
	}
	if e.Stages != nil {
		words = append(words, fmt.Sprintf("%.1fms", e.Stages.Total))
	}
	if e.Detail != "" {
		words = append(words, "("+console.Printable(e.Detail)+")")
	}
	_, err := io.WriteString(dk.Out, strings.Join(words, " ")+"\n")
	return err
}

// trafficWords are what a gateway said of a session.
func trafficWords(t *audit.Traffic) (words []string) {
	if t.Address != "" {
		words = append(words, "address="+console.Quoted(t.Address))
	}
	if t.Seconds != 0 {
		words = append(words, "lasted="+(time.Duration(t.Seconds)*time.Second).String())
	}
	if t.In != 0 || t.Out != 0 {
		words = append(words, fmt.Sprintf("in=%d out=%d", t.In, t.Out))
	}
	if t.Cause != "" {
		words = append(words, "cause="+console.Quoted(t.Cause))
	}
	return words
}
