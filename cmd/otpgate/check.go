package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"otpgate/configs"
	"otpgate/enroll/mail"
	"otpgate/enroll/operator"
)

// liveTimeout is how long each peer gets in a live check.
const liveTimeout = 10 * time.Second

func (rt *runtime) checkCommand() *cobra.Command {
	var live bool
	cmd := rt.withJSON(&cobra.Command{
		Use:   "check",
		Short: "Report every problem of a configuration",
		Long: `Reads the configuration and everything that it names, and reports all problems at once with
line, column and what would be right. With --live it also asks the directories, the store, the
mail server, and compares clocks. Status 2: the file has problems; status 1: a peer has.`,
		Example: "  otpgate check --config otpgate.yaml --live",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := rt.load()
			if err != nil {
				return err
			}
			directories, err := rt.checkFiles(cfg)
			if err != nil {
				return usageError{err}
			}
			defer directories.Close()
			if !live {
				if !rt.json {
					fmt.Fprintf(rt.out, "%s: no problems; %d clients, %d directories\n", rt.configPath, len(cfg.Radius.Clients), len(cfg.Directories))
					return nil
				}
				return rt.printJSON(struct {
					OK bool `json:"ok"`
				}{true})
			}
			return rt.checkLive(cmd.Context(), cfg, directories)
		},
	})
	cmd.Flags().BoolVar(&live, "live", false, "also ask the directories, the store, the mail server and the clock")
	return cmd
}

// checkFiles reads what the configuration names: LDIF files, authorities, certificates.
func (rt *runtime) checkFiles(cfg *configs.Config) (*accounts, error) {
	directories, err := newAccounts(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), rt.now)
	if err != nil {
		return nil, err
	}
	if e := cfg.Enroll; e != nil {
		if e.CertificateFile != "" {
			if _, err := (&certificateFiles{certificate: e.CertificateFile, key: e.KeyFile}).get(); err != nil {
				return nil, withHint(err, "certificate and key in PEM, that belong together: %s", cfg.Where("enroll.certificate_file"))
			}
		}
		if _, err := rootsFrom(e.Mail.CAFile); err != nil {
			return nil, withHint(err, "a file with certificates in PEM: %s", cfg.Where("enroll.mail.ca_file"))
		}
	}
	return directories, nil
}

// finding is what asking one peer gave.
type finding struct {
	Peer  string `json:"peer"`
	OK    bool   `json:"ok"`
	Words string `json:"words,omitempty"`
}

// checkLive asks all peers at once and reports them in a fixed order.
func (rt *runtime) checkLive(ctx context.Context, cfg *configs.Config, directories *accounts) error {
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	var mu sync.Mutex
	var findings []finding
	add := func(peer string, err error, words string) {
		if err != nil {
			words = err.Error()
		}
		mu.Lock()
		defer mu.Unlock()
		findings = append(findings, finding{peer, err == nil, words})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for name, err := range directories.Health(ctx) {
			add("directory "+name, err, "answers")
		}
	})
	wg.Go(func() {
		words, err := rt.checkLiveStore(ctx, cfg)
		add("store", err, words)
	})
	if cfg.Enroll != nil {
		wg.Go(func() { add("mail server", rt.checkLiveMail(ctx, cfg.Enroll.Mail), "answers, and lets us in") })
	}
	wg.Wait()
	slices.SortFunc(findings, func(a, b finding) int {
		if a.Peer < b.Peer {
			return -1
		}
		return 1
	})
	return rt.reportFindings(findings)
}

func (rt *runtime) reportFindings(findings []finding) error {
	bad := 0
	for _, f := range findings {
		mark := "ok   "
		if !f.OK {
			bad++
			mark = "error"
		}
		if !rt.json {
			fmt.Fprintf(rt.out, "%s  %s: %s\n", mark, f.Peer, f.Words)
		}
	}
	if rt.json {
		if err := rt.printJSON(findings); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d peers have a problem", bad, len(findings))
	}
	return nil
}

// checkLiveStore asks the store, or the node that has it open.
func (rt *runtime) checkLiveStore(ctx context.Context, cfg *configs.Config) (string, error) {
	if cfg.Store.Redis == nil {
		c := operator.Dial(filepath.Join(cfg.DataDir, operator.SocketName))
		defer c.Close()
		if s, err := c.Status(ctx); err == nil {
			return "in use by the running node " + s.Version, nil
		}
		return "embedded in data_dir; no node is running", nil
	}
	store, err := openStore(cfg, slog.New(slog.DiscardHandler), nil, rt.now)
	if err != nil {
		return "", err
	}
	defer store.Close()
	at, err := store.Ping(ctx)
	if err != nil {
		return "", err
	}
	if off := rt.now().Sub(at).Abs(); !at.IsZero() && off > cfg.OTP.Period/2 {
		return "", fmt.Errorf("its clock and this one differ by %s: %w", off.Round(time.Second), errClock)
	}
	return "answers", nil
}

var errClock = errors.New("codes would be those of other steps; set the time")

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
