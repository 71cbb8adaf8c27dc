package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// site is a server with all that it needs, ready to be measured.
type site struct {
	server *server
	peers  []*machine.Process // whose work belongs to a login
	codes  *ledger
	redis  []*redis
	own    []*machine.Process // what runs for this site alone
}

// planCompared is a group of one server, started for every run.
func (b *bench) planCompared(g *group) {
	c := g.cases[0]
	p := population{b.Accounts, b.Period}
	if c.server == "freeradius" {
		p.period = freeRADIUSPeriod
	}
	g.estimate = guessStart + p.period/2 + time.Duration(len(g.cases))*b.Duration
	if b.knows(g) {
		g.estimate += seconds(b.Accounts, guessKnown)
	} else {
		g.estimate += warmUp
	}
	g.done = func(run int) bool { return b.recorded(g, run+1) }
	g.measure = func(ctx context.Context, run int) error { return b.compare(ctx, g, run) }
}

// warmUp is how long servers are loaded before that is measured, where accounts need not be known.
const warmUp = 2 * time.Second

// knows reports whether all accounts have to be known before.
func (b *bench) knows(g *group) bool {
	return slices.ContainsFunc(g.cases, func(c benchCase) bool { return c.server == "otpgate" && !c.search && c.load.logs() })
}

// compare measures the cases of a group at one server.
func (b *bench) compare(ctx context.Context, g *group, run int) error {
	s := b.kept[g.name]
	if s == nil {
		var err error
		if s, err = b.begin(ctx, g); err != nil {
			return err
		}
		if b.KeepServers && len(s.own) == 0 { // a replica costs its master something whoever asks
			b.kept[g.name] = s
			b.stops = append(b.stops, s.stop)
		} else {
			defer s.stop()
		}
	}
	for _, r := range s.redis {
		if err := b.tidy(ctx, r); err != nil {
			return err
		}
	}
	for _, c := range g.cases {
		if len(b.report.Cases[c.name]) > run {
			continue
		}
		m, err := b.perform(ctx, b.jobOf(c, s))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err := b.add(c, m); err != nil {
			return err
		}
	}
	return nil
}

// begin starts the server of a group, and makes it warm.
func (b *bench) begin(ctx context.Context, g *group) (s *site, err error) {
	if err := b.ground(ctx); err != nil {
		return nil, err
	}
	c := g.cases[0]
	switch {
	case c.server == "freeradius":
		s, err = b.beginFreeRADIUS(ctx, c)
	default:
		s, err = b.beginOtpgate(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	if b.knows(g) {
		_, err = b.makeKnown(ctx, s, b.directory)
	} else if c.load.logs() {
		_, err = b.perform(ctx, job{
			servers: []*server{s.server}, codes: s.codes, count: b.Accounts / 5, long: warmUp,
			args: append(b.outstanding(1), "--logins", fmt.Sprint(max(b.Accounts/5, 1))),
		})
	}
	if err != nil {
		s.stop()
	}
	return s, err
}

func (s *site) stop() {
	s.server.Stop()
	for _, p := range s.own {
		p.Stop()
	}
}

// ground starts what all servers that are compared share.
func (b *bench) ground(ctx context.Context) (err error) {
	p := population{b.Accounts, b.Period}
	if b.directory == nil {
		if b.directory, err = b.startDirectory(ctx, p); err != nil {
			return err
		}
	}
	if b.shared == nil {
		b.shared, err = b.openStore(ctx, inRedis, p)
	}
	return err
}

func (b *bench) beginFreeRADIUS(ctx context.Context, c benchCase) (*site, error) {
	p := population{max(b.Accounts-1, 1), freeRADIUSPeriod} // the last one says that it is ready
	codes := openLedger(p, b.path("freeradius-codes"), b.Now())
	if c.config == "freeradius-totp.conf" {
		server, err := b.startFreeRADIUS(ctx, c.config, b.Workers/2)
		return &site{server: server, codes: codes}, err
	}
	server, err := b.startFreeRADIUS(ctx, c.config, b.Workers)
	return &site{server: server, codes: codes, peers: append(b.shared.processes(), b.directory.Process), redis: b.shared.redis}, err
}

func (b *bench) beginOtpgate(ctx context.Context, c benchCase) (*site, error) {
	st := b.shared
	if c.kind == embedded {
		if b.embedded == nil {
			var err error
			if b.embedded, err = b.openStore(ctx, embedded, population{b.Accounts, b.Period}); err != nil {
				return nil, err
			}
		}
		st = b.embedded
	}
	fresh := time.Hour
	if c.search {
		fresh = 0
	}
	s := &site{codes: st.codes, peers: append(st.processes(), b.directory.Process), redis: st.redis}
	if c.copied {
		r, err := b.startReplica(ctx, b.shared.redis[0])
		if err != nil {
			return nil, err
		}
		s.own, s.peers = append(s.own, r.Process), append(s.peers, r.Process)
		st.copies = 1
		defer func() { st.copies = 0 }()
	}
	var err error
	if s.server, err = b.startOtpgate(ctx, st, b.directory, c.group, fresh); err != nil {
		for _, p := range s.own {
			p.Stop()
		}
	}
	return s, err
}

// makeKnown has everybody log in once at a server, while slapd may use all cores. It returns how many did per second.
func (b *bench) makeKnown(ctx context.Context, s *site, d *directory) (perSecond float64, err error) {
	err = b.everywhere(ctx, d, func() error {
		// It may take longer than a step: nobody's turn comes twice.
		if _, err := b.reserve(ctx, s.codes, s.codes.accounts, s.codes.period); err != nil {
			return err
		}
		l, err := b.load(ctx, []*server{s.server}, append(append(s.codes.flags(), b.outstanding(1)...),
			"--duration", "1h", "--logins", fmt.Sprint(s.codes.accounts))...)
		if err != nil {
			return err
		}
		if err := s.codes.used(b.Now(), 0, s.codes.accounts); err != nil {
			return err
		}
		perSecond = l.Load.PerSecond
		b.say("  %d accounts are known (%.0f/s)", l.Logins.Accepted, perSecond)
		if !l.Held {
			b.say("  that was not without faults")
		}
		return nil
	})
	return perSecond, err
}

// outstanding is the closed loop at so many servers, at each of them.
func (b *bench) outstanding(servers int) []string {
	args := []string{"--outstanding", fmt.Sprint(b.Outstanding)}
	if servers > 1 {
		args = append(args, "--each")
	}
	return args
}

// jobOf is what a case does to its server.
func (b *bench) jobOf(c benchCase, s *site) job {
	j := job{servers: []*server{s.server}, peers: s.peers, codes: s.codes, long: b.Duration}
	switch c.load {
	case open:
		j.count = int(float64(b.Rate) * b.Duration.Seconds())
		j.args = []string{"--rate", fmt.Sprint(b.Rate)}
	case stranger:
		j.codes, j.peers = nil, nil
		j.args = []string{"--flood", fmt.Sprintf("stranger:%d@127.0.0.99", b.Flood)}
	case forged:
		j.codes, j.peers = nil, nil
		j.args = []string{"--flood", fmt.Sprintf("forged:%d@127.0.0.1", b.Flood)}
	default:
		j.args, j.count = b.outstanding(1), b.most(c)
	}
	return j
}

// most is how many accounts a closed loop needs: a little more than it used before, as far as that is known, and no
// more than the open loop leaves of a step. It ends when they are used up.
func (b *bench) most(c benchCase) int {
	limit := max(b.Accounts/2, b.Accounts-int(float64(b.Rate)*b.Duration.Seconds()))
	ms := b.report.Cases[c.name]
	if len(ms) == 0 {
		return limit
	}
	rate := median(ms, func(m Measurement) float64 { return m.PerSecond })
	return min(int(1.2*rate*b.Duration.Seconds()), limit)
}
