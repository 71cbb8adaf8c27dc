package main

import (
	"context"
	"errors"
	"fmt"
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
)

func (rt *runtime) checkCommand() *cobra.Command {
	var live bool
	cmd := console.WithJSON(&cobra.Command{
		Use:   "check",
		Short: "Report every problem of a configuration",
		Long: `Reads the configuration and everything that it names, and reports all problems at once with
line, column and what would be right. With --live it also asks the directories, the store and the
mail server, whether the store is sealed with this node's keyset, and, where the store is shared,
compares its clock with the one here. It changes nothing. Status 2: the file has problems; status 1: a
peer has.`,
		Example: "  otpgate check --config otpgate.yaml --live",
		Args:    console.ExactArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return rt.check(cmd.Context(), live) },
	}, &rt.json)
	cmd.Flags().BoolVar(&live, "live", false, "also ask the directories, the store with its clock, and the mail server")
	return cmd
}

// checked is what the check command prints as JSON.
type checked struct {
	OK       bool              `json:"ok"`
	Problems []configs.Problem `json:"problems"`
	State    *console.State    `json:"state,omitempty"` // with --live: of all that was asked
	Checks   []console.Finding `json:"checks,omitempty"`
}

func (rt *runtime) check(ctx context.Context, live bool) error {
	cfg, problems := configs.Read(rt.configPath, rt.lookupEnv)
	directories := rt.checkDirectories(cfg, problems)
	if directories == nil {
		if !rt.json {
			return console.Usage(problems)
		}
		if err := console.PrintJSON(rt.out, checked{Problems: problems.List}); err != nil {
			return err
		}
		return console.Usage(console.Silent(problems))
	}
	defer directories.Close()
	if live {
		return rt.reportLive(rt.checkLive(ctx, cfg, directories))
	}
	if rt.json {
		return console.PrintJSON(rt.out, checked{OK: true, Problems: []configs.Problem{}})
	}
	fmt.Fprintf(rt.out, "%s: no problems; %d clients, %d directories\n", rt.configPath, len(cfg.Radius.Clients), len(cfg.Directories))
	return nil
}

// checkDirectories adds what is wrong with LDIF files to the problems, and returns the directories
// when there are none. Files are read even while there are others, so that all is said at once.
func (rt *runtime) checkDirectories(cfg *configs.Config, problems *configs.Problems) *accounts {
	open := func(c *configs.Config, key string) *accounts {
		a, err := newAccounts(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), rt.now)
		if err != nil {
			problems.Add(cfg.Problem(key, oneLine(unnumbered(err)), "entries as slapcat writes them (RFC 2849); otpgate example people prints some"))
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

// reportLive prints what the peers are like.
func (rt *runtime) reportLive(findings []console.Finding) error {
	bad := 0
	for _, f := range findings {
		if f.State != console.Ready {
			bad++
		}
	}
	var err error
	if all := console.Worst(findings); rt.json {
		err = console.PrintJSON(rt.out, checked{OK: bad == 0, Problems: []configs.Problem{}, State: &all, Checks: findings})
	} else {
		err = console.PrintFindings(rt.out, findings)
	}
	if err != nil || bad == 0 {
		return err
	}
	return fmt.Errorf("%d of %d checks found a problem", bad, len(findings))
}

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
	findings := []console.Finding{found("store", console.Ready, nil, "answers"), rt.checkClock(cfg, before.Add(after.Sub(before)/2).Sub(at))}
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
		return []console.Finding{clock, found("store", console.NotReady, err, "in use by the running node "+s.Version)}
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
	sender, err := mail.New(mail.Options{
		From: cfg.From, SMTP: cfg.SMTP, Username: cfg.Username, Password: cfg.Password.Reveal(), RootCAs: roots, Now: rt.now,
	})
	if err != nil {
		return err
	}
	defer sender.Close(ctx)
	return sender.Check(ctx)
}
