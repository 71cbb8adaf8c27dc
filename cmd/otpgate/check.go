package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"otpgate/cmd/internal/console"
	"otpgate/configs"
	"otpgate/enroll/mail"
	"otpgate/enroll/operator"
	"otpgate/otp"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
	"otpgate/radius"
)

// checking is what the check command is asked to do besides checking.
type checking struct {
	live    bool
	explain bool
	client  string // explain only this one; "": all
}

func (rt *runtime) checkCommand() *cobra.Command {
	var do checking
	cmd := console.WithJSON(&cobra.Command{
		Use:   "check",
		Short: "Report every problem of a configuration",
		Long: `Reads the configuration and everything that it names, and reports all problems at once with
line, column and what would be right. What works but gives something up is a warning, and no problem.

With --live it also asks the directories, the store and the mail server, whether the store is sealed
with this node's keyset, and, where the store is shared, compares its clock with the one here. With
--explain it also shows for each client what every setting comes to, and where that comes from: the
file, the client's profile, or the default. It changes nothing. Status 2: the file has problems;
status 1: a peer has.`,
		Example: `  otpgate check --config otpgate.yaml --live
  otpgate check --explain --client vpn`,
		Args: console.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flag("client").Changed && (do.client == "" || !do.explain) {
				return console.Usage(withHint(errors.New("--client is for --explain, and needs a value"), "such as: otpgate check --explain --client vpn"))
			}
			return rt.check(cmd.Context(), do)
		},
	}, &rt.json)
	flags := cmd.Flags()
	flags.BoolVar(&do.live, "live", false, "also ask the directories, the store with its clock, and the mail server")
	flags.BoolVar(&do.explain, "explain", false, "also show every setting of the clients, and where it comes from")
	flags.StringVar(&do.client, "client", "", "explain only the client of this `name`")
	return cmd
}

// checked is what the check command prints as JSON.
type checked struct {
	OK       bool              `json:"ok"`
	Problems []configs.Problem `json:"problems"`
	Warnings []configs.Problem `json:"warnings"`
	Clients  []explained       `json:"clients,omitempty"` // with --explain
	State    *console.State    `json:"state,omitempty"`   // with --live: of all that was asked
	Checks   []console.Finding `json:"checks,omitempty"`
}

// explained is what one client's settings come to.
type explained struct {
	Name     string            `json:"name"`
	Profile  string            `json:"profile,omitempty"`
	Settings []configs.Setting `json:"settings"`
}

func (rt *runtime) check(ctx context.Context, do checking) error {
	cfg, problems := configs.Read(rt.configPath, rt.lookupEnv)
	directories := rt.checkDirectories(cfg, problems)
	if directories == nil {
		if !rt.json {
			return console.Usage(problems)
		}
		if err := console.PrintJSON(rt.out, checked{Problems: problems.List, Warnings: []configs.Problem{}}); err != nil {
			return err
		}
		return console.Usage(console.Silent(problems))
	}
	defer directories.Close()
	report := checked{OK: true, Problems: []configs.Problem{}, Warnings: append([]configs.Problem{}, cfg.Warnings()...)}
	if do.explain {
		var err error
		if report.Clients, err = explain(cfg, do.client); err != nil {
			return err
		}
	}
	if do.live {
		report.Checks = rt.checkLive(ctx, cfg, directories)
		all := console.Worst(report.Checks)
		report.State = &all
	}
	return rt.reportCheck(cfg, report)
}

// explain lists what the settings of the clients come to; of one, if it is named.
func explain(cfg *configs.Config, only string) ([]explained, error) {
	var list []explained
	var names []string
	for _, c := range cfg.Radius.Clients {
		names = append(names, c.Name)
		if only == "" || only == c.Name {
			list = append(list, explained{Name: c.Name, Profile: c.Profile, Settings: append([]configs.Setting{}, c.Explain()...)})
		}
	}
	if len(list) == 0 {
		return nil, console.Usage(withHint(fmt.Errorf("--client: there is no client %q", only), "one of: %s", strings.Join(names, ", ")))
	}
	return list, nil
}

// reportCheck prints what was found of a configuration without problems.
func (rt *runtime) reportCheck(cfg *configs.Config, report checked) error {
	bad := 0
	for _, f := range report.Checks {
		if f.State != console.Ready {
			bad++
		}
	}
	report.OK = bad == 0
	var err error
	if rt.json {
		err = console.PrintJSON(rt.out, report)
	} else {
		err = rt.printChecked(cfg, report)
	}
	if err != nil || bad == 0 {
		return err
	}
	return fmt.Errorf("%d of %d checks found a problem", bad, len(report.Checks))
}

func (rt *runtime) printChecked(cfg *configs.Config, report checked) error {
	for _, w := range report.Warnings {
		fmt.Fprintf(rt.err, "warning: %s\n", w)
	}
	for _, c := range report.Clients {
		fmt.Fprintf(rt.out, "client %s", c.Name)
		if c.Profile != "" {
			fmt.Fprintf(rt.out, ", profile %s", c.Profile)
		}
		fmt.Fprintln(rt.out)
		err := console.Table(rt.out, func(w io.Writer) {
			for _, s := range c.Settings {
				fmt.Fprintf(w, "  %s\t%s\t%s", s.Key, s.Value, s.Origin)
				if s.Why != "" {
					fmt.Fprintf(w, "\t%s", s.Why)
				}
				fmt.Fprintln(w)
			}
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(rt.out)
	}
	if report.Checks != nil {
		return console.PrintFindings(rt.out, report.Checks)
	}
	_, err := fmt.Fprintf(rt.out, "%s: no problems; %d clients, %d directories\n", rt.configPath, len(cfg.Radius.Clients), len(cfg.Directories))
	return err
}

// checkDirectories adds what is wrong with LDIF files to the problems, and returns the directories
// when there are none. Files are read even while there are others, so that all is said at once.
func (rt *runtime) checkDirectories(cfg *configs.Config, problems *configs.Problems) *accounts {
	g := rt.consult(cfg, problems)
	open := func(c *configs.Config, key string) *accounts {
		a, err := newAccounts(c, g, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), rt.now)
		if err != nil {
			problems.Add(cfg.Problem(key, oneLine(unnumbered(err)), entriesHint))
			return nil
		}
		return a
	}
	for i, d := range cfg.Directories {
		key := fmt.Sprintf("directories[%d]", i)
		if d.LDIFFile == "" || said(problems, key) {
			continue
		}
		one := *cfg
		one.Directories = cfg.Directories[i : i+1]
		if a := open(&one, key+".ldif_file"); a != nil {
			_ = a.Close()
		}
	}
	if len(problems.List) > 0 {
		return nil
	}
	return open(cfg, "directories")
}

// entriesHint is about LDIF files.
const entriesHint = "entries as slapcat writes them (RFC 2849); otpgate example people prints some"

// consult adds to the problems what those who are given the configuration would refuse, in their own words,
// and returns its gateways; none after a problem with them. Files of entries are not among it: they may be large.
func (rt *runtime) consult(cfg *configs.Config, problems *configs.Problems) *gateways {
	g, err := newGateways(cfg)
	if err != nil { // what is wrong with replies is said beside everything else
		problems.Add(problemsIn(err).List...)
		g = &gateways{}
	}
	if err := radius.CheckClients(g.clients); err != nil && !said(problems, "radius") {
		problems.Add(cfg.Problem("radius.clients", oneLine(err), "each network belongs to one client, however it is written: ::ffff:10.1.0.0/120 is 10.1.0.0/24"))
	}
	if cfg.Enroll == nil || said(problems, "enroll.mail") {
		return g
	}
	sender, err := rt.newSender(cfg.Enroll.Mail, nil)
	if err != nil {
		problems.Add(cfg.Problem("enroll.mail", err.Error(), senderHint))
		return g
	}
	_ = sender.Close(context.Background()) // it has sent nothing
	return g
}

// senderHint is about what a sender of mails is given.
const senderHint = "smtp: such as smtp://mail.example.org:587, and nothing behind the port; from: a plain mail address"

// newSender is a sender of mails for whoever has only a question to it.
func (rt *runtime) newSender(cfg configs.Mail, roots *x509.CertPool) (*mail.Sender, error) {
	return mail.New(mail.Options{
		From: cfg.From, SMTP: cfg.SMTP, Username: cfg.Username, Password: cfg.Password.Reveal(), RootCAs: roots, Now: rt.now,
	})
}

// unnumbered is the error about the only directory of a set, without saying that it is the first.
func unnumbered(err error) error {
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) || len(all.Unwrap()) != 1 {
		return err
	}
	if inner := errors.Unwrap(all.Unwrap()[0]); inner != nil {
		return inner
	}
	return err
}

// said reports whether something is known to be wrong below a key.
func said(problems *configs.Problems, key string) bool {
	for _, p := range problems.List {
		if strings.HasPrefix(p.Key, key+".") {
			return true
		}
	}
	return false
}

// oneLine is the text of an error that may have several.
func oneLine(err error) string { return strings.Join(strings.Split(err.Error(), "\n"), "; ") }

// liveTimeout is how long each peer gets in a live check.
const liveTimeout = 10 * time.Second

// checkLive asks all peers at once and returns what they are like in a fixed order.
func (rt *runtime) checkLive(ctx context.Context, cfg *configs.Config, directories *accounts) []console.Finding {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	var mu sync.Mutex
	var findings []console.Finding
	add := func(more ...console.Finding) {
		mu.Lock()
		defer mu.Unlock()
		findings = append(findings, more...)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for name, err := range directories.Health(ctx) {
			add(found("directory "+name, console.Degraded, err, "answers"))
		}
	})
	wg.Go(func() {
		if cfg.Store.Redis == nil {
			add(rt.checkLiveEmbedded(ctx, cfg)...)
			return
		}
		add(rt.checkLiveRedis(ctx, cfg)...)
	})
	if cfg.Enroll != nil {
		wg.Go(func() {
			add(found("mail server", console.Degraded, rt.checkLiveMail(ctx, cfg.Enroll.Mail), "answers, and lets us in"))
		})
	}
	wg.Wait()
	slices.SortFunc(findings, func(a, b console.Finding) int { return strings.Compare(a.Name, b.Name) })
	return findings
}

// found is what asking a peer gave: bad with the error and its hint, or words.
func found(name string, bad console.State, err error, words string) console.Finding {
	if err != nil {
		return console.Finding{Name: name, State: bad, Detail: oneLine(err), Hint: hintFor(err)}
	}
	return console.Finding{Name: name, State: console.Ready, Detail: words}
}

// checkLiveRedis asks Redis whether it may be used, whose it is, and what time it is.
func (rt *runtime) checkLiveRedis(ctx context.Context, cfg *configs.Config) []console.Finding {
	store, err := openStore(cfg, slog.New(slog.DiscardHandler), nil, rt.now)
	if err != nil {
		return []console.Finding{found("store", console.NotReady, err, "")}
	}
	defer store.Close()
	before := rt.now()
	at, err := store.Ping(ctx)
	after := rt.now()
	if err != nil {
		return []console.Finding{found("store", console.NotReady, err, "")}
	}
	answers := found("store", console.Ready, nil, "answers")
	if s, ok := store.(worrier); ok {
		if words := s.Concerns(); len(words) > 0 {
			answers = console.Finding{Name: "store", State: console.Degraded, Detail: "answers, but " + strings.Join(words, "; ")}
		}
	}
	findings := []console.Finding{answers, rt.checkClock(cfg, before.Add(after.Sub(before)/2).Sub(at))}
	if s, ok := store.(interface {
		Bound(context.Context) (string, error)
	}); ok {
		whose, err := s.Bound(ctx)
		findings = append(findings, checkKeyset(cfg, whose, err))
	}
	return findings
}

// checkClock judges how far the clock here is ahead of the store's.
func (rt *runtime) checkClock(cfg *configs.Config, off time.Duration) console.Finding {
	if off.Abs() > cfg.OTP.Period/2 {
		return console.Finding{
			Name: "clock", State: console.Degraded, Detail: fmt.Sprintf("the store's and this one differ by %s", off.Abs().Round(time.Second)),
			Hint: "set the time on the one that is wrong: codes would be those of other steps than phones show",
		}
	}
	return console.Finding{Name: "clock", State: console.Ready, Detail: fmt.Sprintf("%s from the store's", off.Abs().Round(time.Millisecond))}
}

// checkKeyset compares the keyset of a store with the one here, and makes neither.
func checkKeyset(cfg *configs.Config, whose string, err error) console.Finding {
	if err != nil {
		return found("keyset", console.NotReady, err, "")
	}
	mine := "none"
	if !absent(filepath.Join(cfg.DataDir, keyset.Name)) {
		keys, _, err := keyset.Open(cfg.DataDir)
		if err != nil {
			return found("keyset", console.NotReady, err, "")
		}
		mine = keys.Fingerprint()
	}
	switch {
	case whose == mine:
		return found("keyset", console.Ready, nil, "the store's: "+mine)
	case whose == "" && mine == "none":
		return found("keyset", console.Ready, nil, "none yet, here and in the store: serve makes it")
	case whose == "":
		return found("keyset", console.Ready, nil, "the store is nobody's yet: it becomes that of "+mine)
	}
	return found("keyset", console.NotReady, withHint(fmt.Errorf("%w, %s; here is %s", otp.ErrForeignKeyset, whose, mine), "%s", foreignHint(cfg)), "")
}

// checkLiveEmbedded asks the node that has the embedded store open, or looks at the file.
func (rt *runtime) checkLiveEmbedded(ctx context.Context, cfg *configs.Config) []console.Finding {
	clock := found("clock", console.Ready, nil, "not compared: an embedded store has no other")
	socket := filepath.Join(cfg.DataDir, operator.SocketName)
	if err := knock(ctx, socket); err == nil {
		c := operator.Dial(socket)
		defer c.Close()
		s, err := c.Status(ctx)
		store := found("store", console.NotReady, err, "in use by the running node "+s.Version)
		for _, own := range s.Checks { // what the node says of it
			if own.Name == "store" && own.Detail != "" {
				store.State, store.Detail = console.StateOf(own.State), store.Detail+": "+own.Detail
			}
		}
		return []console.Finding{clock, store}
	} else if errors.Is(err, fs.ErrPermission) {
		return []console.Finding{clock, found("store", console.Degraded, withHint(fmt.Errorf("cannot be looked at: %w", err), "run this as the service's user or as root"), "")}
	}
	whose, err := boltstore.Bound(filepath.Join(cfg.DataDir, embeddedName))
	if err != nil {
		return []console.Finding{clock, found("store", console.NotReady, err, "")}
	}
	return []console.Finding{clock, found("store", console.Ready, nil, "embedded in data_dir; no node is running"), checkKeyset(cfg, whose, nil)}
}

// knock reports whether somebody listens on a socket.
func knock(ctx context.Context, socket string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return c.Close()
}

func (rt *runtime) checkLiveMail(ctx context.Context, cfg configs.Mail) error {
	roots, err := rootsFrom(cfg.CAFile)
	if err != nil {
		return err
	}
	sender, err := rt.newSender(cfg, roots)
	if err != nil {
		return err
	}
	defer sender.Close(ctx)
	return sender.Check(ctx)
}
