package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/cmd/radload/flood"
	"otpgate/cmd/radload/gateway"
	"otpgate/cmd/radload/roster"
)

// runFlags are the command line of radload run.
type runFlags struct {
	family familyFlags
	limits limits

	servers, sources, floods       []string
	secret, secretFile, login, nas string
	signature, replay, reuse       string
	first                          int
	options                        gateway.Options
	newStep, owned, json, quiet    bool
}

func (p *program) runCommand() *cobra.Command {
	f := new(runFlags)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Log devices in, and judge every answer",
		Long: `Logs devices in at RADIUS servers. Give --rate for an open loop, in which
latency counts from the time that a login was to begin, or --outstanding for a
closed one. With several servers each retransmission goes to the next of them.

Each device logs in once per step, unless --reuse is given: a rate of 5,000 needs
300,000 devices with codes of 60 seconds.

The exit status is 0 when everything that was expected held, 1 when something did
not, 2 when the command line cannot be used, 130 when it was interrupted.`,
		Example: `  radload run --server 127.0.0.1:1812 --secret-file vpn.secret --devices devices.csv --outstanding 64
  radload run --server 127.0.0.1:1812 --secret-file vpn.secret --master bench --count 300000 \
      --rate 1000 --duration 1m --replay at-once --flood stranger:100000@127.0.0.99 --max-p99 50ms
  radload run --server 127.0.0.1:1812 --secret-file vpn.secret --flood forged:200000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.load(cmd.Context(), f) },
	}
	f.add(cmd)
	return cmd
}

func (f *runFlags) add(cmd *cobra.Command) {
	flags, o := cmd.Flags(), &f.options
	flags.StringArrayVar(&f.servers, "server", nil, "`address:port` of a server; several: each try goes to the next")
	flags.StringArrayVar(&f.sources, "source", nil, "`address` that packets come from; several: in turn")
	flags.StringVar(&f.secret, "secret", "", "shared `secret`; other people see it in the list of processes")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the shared secret")
	f.family.add(cmd, true)
	flags.IntVar(&f.first, "first", 0, "`number` of the first device that logs in, from 0; those before it do not")
	flags.StringVar(&f.login, "login", "code", "what a login sends: code, password+code or password-then-code")
	flags.StringVar(&f.nas, "nas", "radload", "NAS-Identifier")
	flags.Float64Var(&o.Rate, "rate", 0, "logins per second of an open loop")
	flags.BoolVar(&o.Poisson, "poisson", false, "logins of an open loop come by chance, not evenly")
	flags.IntVar(&o.Outstanding, "outstanding", 0, "logins under way in a closed loop")
	flags.BoolVar(&o.Each, "each", false, "--outstanding is at each server, not in all")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long to measure")
	flags.DurationVar(&o.Warmup, "warmup", 0, "how long to load before that")
	flags.Int64Var(&o.Count, "logins", 0, "end after so many `logins`; 0: by --duration alone")
	flags.DurationVar(&o.Timeout, "timeout", 3*time.Second, "when a packet is sent again")
	flags.IntVar(&o.Tries, "tries", 3, "how often a packet is sent in all")
	flags.DurationVar(&o.Linger, "linger", 300*time.Millisecond, "how long to wait for late answers at the end")
	flags.IntVar(&o.Lanes, "ports", 0, "source `ports`, each with 256 Identifiers; 0: as many as it takes")
	flags.BoolVar(&o.Spread, "spread", false, "logins begin at the servers in turn, not all at the first")
	flags.StringVar(&f.signature, "message-authenticator", "first", "what answers need: first, anywhere or optional")
	flags.Float64Var(&o.Wrong, "wrong", 0, "`share` of logins with a wrong code, 0 to 1")
	flags.StringVar(&f.replay, "replay", "never", "send accepted codes again, to be refused: never, at-once or afterwards")
	flags.StringVar(&f.reuse, "reuse", "", "devices log in more than once per step, and the second time is `refused or accepted`")
	flags.StringArrayVar(&f.floods, "flood", nil, "beside the logins: `kind:rate[@source]`; kinds: garbage, stranger, forged, unknown, guess")
	flags.BoolVar(&f.newStep, "new-step", false, "begin with the next step, so that no code was used before")
	flags.BoolVar(&f.owned, "i-own-this-network", false, "send to addresses beyond this machine")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.BoolVar(&f.quiet, "quiet", false, "do not tell how it goes")
	f.limits.add(cmd)
}

// load runs what the flags say, and prints what came of it.
func (p *program) load(ctx context.Context, f *runFlags) error {
	if err := p.complete(f); err != nil {
		return err
	}
	o := &f.options
	floods, err := f.floodOptions(p)
	if err != nil {
		return err
	}
	logins := o.Rate > 0 || o.Outstanding > 0
	if logins {
		if err := f.enough(); err != nil {
			return err
		}
	} else if len(floods) == 0 {
		return console.Usage(console.WithHint(errors.New("there is nothing to do"), "give --rate, --outstanding or --flood"))
	}
	if f.newStep && logins {
		p.waitForStep(ctx, o.Roster)
	}
	if !f.quiet {
		o.Progress = p.tell
	}
	r := &report{Began: p.now().UTC(), flags: f}
	if err := r.run(ctx, logins, floods); err != nil {
		return err
	}
	r.judge()
	if err := r.print(p.out, f.json); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case !r.Held:
		return console.Silent(errNotHeld)
	}
	return nil
}

// complete turns the flags into options, but for the devices.
func (p *program) complete(f *runFlags) (err error) {
	o := &f.options
	o.Now, o.NAS = p.now, f.nas
	if len(f.servers) == 0 {
		return console.Usage(errors.New("--server is missing"))
	}
	for _, text := range f.servers {
		server, err := netip.ParseAddrPort(text)
		if err != nil {
			return console.Usage(fmt.Errorf("--server %s is no address and port: %w", text, err))
		}
		if !f.owned && !p.reachable(server.Addr()) {
			return console.Usage(console.WithHint(fmt.Errorf("%s is beyond this machine", server),
				"add --i-own-this-network if it is yours to load"))
		}
		o.Servers = append(o.Servers, server)
	}
	for _, text := range f.sources {
		source, err := netip.ParseAddr(text)
		if err != nil {
			return console.Usage(fmt.Errorf("--source %s is no address: %w", text, err))
		}
		o.Sources = append(o.Sources, source)
	}
	o.Secret = []byte(f.secret)
	if f.secretFile != "" {
		if o.Secret, err = secretIn(f.secretFile); err != nil {
			return err
		}
	}
	if len(o.Secret) == 0 {
		return console.Usage(console.WithHint(errors.New("there is no shared secret"), "give --secret-file or --secret"))
	}
	return f.choose()
}

// people makes the devices.
func (f *runFlags) people() (*roster.Roster, error) {
	r, err := f.family.roster(f.reuse != "")
	if err != nil {
		return nil, err
	}
	if err := r.Skip(f.first); err != nil {
		return nil, console.Usage(err)
	}
	return r, nil
}

// enough makes the devices that log in, and says so when there are too few.
func (f *runFlags) enough() error {
	o := &f.options
	r, err := f.people()
	if err != nil {
		return err
	}
	o.Roster = r
	need := o.Rate * min(r.Period(), o.Warmup+o.Duration).Seconds()
	if o.Count > 0 {
		need = min(need, float64(o.Count))
	}
	if f.reuse == "" && need > float64(r.Len()) {
		return console.Usage(console.WithHint(
			fmt.Errorf("%.0f devices do not suffice for %.0f logins per second with one code each %s: that takes %.0f", float64(r.Len()), o.Rate, r.Period(), need),
			"enroll more devices, lower --rate or --duration, or use codes again with --reuse"))
	}
	return nil
}

// floodOptions reads --flood.
func (f *runFlags) floodOptions(p *program) ([]flood.Options, error) {
	var all []flood.Options
	for _, text := range f.floods {
		o, err := parseFlood(text)
		if err != nil {
			return nil, console.Usage(fmt.Errorf("--flood %s: %w", text, err))
		}
		o.Server, o.Secret, o.Now = f.options.Servers[0], f.options.Secret, p.now
		o.Duration = f.options.Warmup + f.options.Duration
		if o.Kind == flood.Guess {
			if o.Roster, err = f.people(); err != nil {
				return nil, err
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// waitForStep waits until the devices have a new code.
func (p *program) waitForStep(ctx context.Context, r *roster.Roster) {
	now := p.now()
	t := time.NewTimer(now.Truncate(r.Period()).Add(r.Period()).Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
