package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/cmd/internal/clock"
	"otpgate/cmd/internal/console"
	"otpgate/cmd/internal/loglines"
	"otpgate/configs"
	"otpgate/directory"
	"otpgate/enroll"
	"otpgate/enroll/mail"
	"otpgate/enroll/operator"
	"otpgate/metrics"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/keyset"
	"otpgate/radius"
	"otpgate/radius/challenge"
	"otpgate/radius/posture"
	"otpgate/radius/session"
)

// node is a running otpgate.
type node struct {
	cfg      *configs.Config
	log      *slog.Logger
	lines    *loglines.Lines // of log
	level    *slog.LevelVar
	life     *lifecycle
	started  time.Time
	registry *prometheus.Registry
	bound    atomic.Bool // the store is known to be ours

	keys     *keyset.Keys
	audit    *audit.Log
	accounts *accounts
	store    otp.Store
	clock    *clock.Watch
	worries  worrier // nil: the store has none to tell of
	codes    *otp.Verifier
	devices  *otp.Devices
	posture  *posture.Ledger
	sessions *session.Book
	gateways atomic.Pointer[gateways]
	enroll   *enroll.Server                // nil: nobody enrolls by mail
	radius   atomic.Pointer[radius.Server] // operators may ask before it is there
	metrics  *metrics.Server
}

// worrier is a store that can tell what may go wrong with the way it is set up.
type worrier interface{ Concerns() []string }

// wire builds a node from a configuration and starts it. It is one straight function on purpose:
// what depends on what can be read from its order, and what it has started when something fails is
// taken down again.
func (rt *runtime) wire(ctx context.Context, cfg *configs.Config) (n *node, err error) {
	n = &node{cfg: cfg, level: new(slog.LevelVar), started: rt.now(), registry: metrics.NewRegistry()}
	n.lines = loglines.New(rt.err)
	n.log = newLogger(n.lines, cfg.Log, n.level)
	watchLog(n.registry, n.lines)
	n.life = newLifecycle(n.log)
	defer func() {
		if err != nil {
			_ = n.stop()
		}
	}()

	// What is kept in data_dir.
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return n, writable(err, cfg)
	}
	if err := keysetLost(cfg); err != nil {
		return n, err
	}
	var created bool
	if n.keys, created, err = keyset.Open(cfg.DataDir); err != nil {
		return n, writable(err, cfg)
	}
	if created {
		n.log.Warn("a new keyset was made", "file", filepath.Join(cfg.DataDir, keyset.Name), "fingerprint", n.keys.Fingerprint(),
			"hint", "back it up: without it nobody can log in; nodes that share a store need the same file")
	}
	if n.audit, err = audit.Open(audit.Options{
		Dir: cfg.DataDir, MaxBytes: cfg.Audit.MaxSize, Keep: cfg.Audit.Keep, Required: cfg.Audit.Required,
		Logger: n.log, Registerer: n.registry, Now: rt.now,
	}); err != nil {
		return n, writable(err, cfg)
	}
	n.life.onStop("audit trail", n.audit.Close)

	// The two bodies of knowledge.
	g, err := newGateways(cfg)
	if err != nil {
		return n, console.Usage(err)
	}
	n.gateways.Store(g)
	if n.accounts, err = newAccounts(cfg, g, n.log, n.registry, rt.now); err != nil {
		return n, console.Usage(err) // it connects to nobody: what it refuses is in the file, or in one that the file names
	}
	n.life.onStop("directories", func(context.Context) error { return n.accounts.Close() })
	store, err := openStore(cfg, n.log, n.registry, rt.now)
	if err != nil {
		return n, err
	}
	n.worries, _ = store.(worrier)
	n.store = otp.Observe(store, n.registry, rt.now)
	n.life.onStop("store", func(context.Context) error { return n.store.Close() })
	n.watchClock(rt.now)
	if n.codes, err = otp.New(otp.Options{
		Store: n.store, Keys: n.keys, Window: cfg.OTP.Window, MaxDrift: cfg.OTP.MaxDrift,
		CacheSize: cfg.KnownAccounts, Logger: n.log, Registerer: n.registry, Now: rt.now,
	}); err != nil {
		return n, err
	}
	if n.devices, err = otp.NewDevices(otp.DevicesOptions{
		Store: n.store, Keys: n.keys, Issuer: cfg.OTP.Issuer, Algorithm: otp.Algorithm(cfg.OTP.Algorithm), Digits: cfg.OTP.Digits,
		Period: cfg.OTP.Period, MaxDevices: cfg.OTP.MaxDevices, Forget: n.codes.Forget, Now: rt.now,
	}); err != nil {
		return n, err
	}

	if n.sessions, err = session.New(session.Options{Notes: n.store, Now: rt.now, Logger: n.log}); err != nil {
		return n, err
	}
	name, err := nodeID(cfg.DataDir)
	if err != nil {
		return n, writable(err, cfg)
	}
	if n.posture, err = posture.New(posture.Options{Notes: n.store, Node: name, Now: rt.now, Logger: n.log}); err != nil {
		return n, err
	}
	n.learnThese(g.clients)

	// The faces. Whoever watches comes first, and sees the others start.
	if n.metrics, err = metrics.New(metrics.Options{
		Listen: cfg.Metrics.Listen, Registry: n.registry, Version: version(), Revision: revision(),
		Checks: n.checks(rt.now), Logger: n.log, Now: rt.now,
	}); err != nil {
		return n, withHint(err, "is another node running here? %s", cfg.Where("metrics.listen"))
	}
	n.metrics.Reloaded(true)
	n.life.serve("metrics", n.metrics.Serve, n.metrics.Shutdown)
	if cfg.Enroll != nil {
		if err := n.wireEnroll(rt, cfg.Enroll); err != nil {
			return n, err
		}
	}
	op, err := operator.New(operator.Options{
		Path: filepath.Join(cfg.DataDir, operator.SocketName), Accounts: n.accounts, Devices: n.devices, Keys: n.keys, Bound: n.mayAdd,
		Invite: n.inviter(), Trail: n.audit, Status: n.status, Explain: n.explain, Sessions: n.openSessions, Logger: n.log, Now: rt.now,
	})
	if err != nil {
		return n, socketInTheWay(err, cfg)
	}
	n.life.serve("operator socket", op.Serve, op.Shutdown)
	// Gateways come last, because they are the first to be let go: answers in flight leave before
	// anything else ends, and what was seen of gateways is stored when that is all.
	n.life.onStop("what was learned of gateways", n.learnLast)
	if err := n.wireRadius(rt, g); err != nil {
		return n, err
	}
	n.life.onStop("radius", n.radius.Load().Shutdown)

	// Nobody is let in, and nothing added, before the store is known to be ours.
	if err := n.bind(ctx, rt); err != nil {
		return n, err
	}
	n.recordSystem(rt.now(), "started", "version "+version())
	n.life.onStop("running", func(context.Context) error {
		n.recordSystem(rt.now(), "stopping", "")
		return nil
	})
	return n, nil
}

// wireRadius adds the gateways' side.
func (n *node) wireRadius(rt *runtime, g *gateways) error {
	cfg := n.cfg.Radius
	states, err := challenge.New(challenge.Options{Keys: n.keys, Now: rt.now})
	if err != nil {
		return err
	}
	o := radius.Options{
		Listen: cfg.Listen, Accounting: cfg.Accounting, Clients: g.clients, RejectDelay: cfg.RejectDelay,
		Accounts: n.accounts, Codes: n.codes, Previews: n.codes, Factors: n.codes, States: states, Posture: n.posture,
		Audit: n.audit, Sessions: n.sessions, Logger: n.log, Registerer: n.registry, Now: rt.now, Wall: time.Now,
	}
	if cfg.RadSec != nil {
		if o.RadSec, err = n.radsec(cfg.RadSec); err != nil {
			return err
		}
	}
	server, err := radius.New(o)
	if err != nil {
		return withHint(err, "is another RADIUS server running here? %s", n.cfg.Where("radius.listen"))
	}
	n.radius.Store(server)
	return nil
}

// radsec reads the certificates for RADIUS over TLS, and again when their files change.
func (n *node) radsec(cfg *configs.RadSec) (*radius.RadSec, error) {
	files := &certificateFiles{certificate: cfg.CertificateFile, key: cfg.KeyFile, logger: n.log}
	if _, err := files.get(); err != nil {
		return nil, console.Usage(withHint(err, "certificate and key in PEM, that belong together: %s", n.cfg.Where("radius.radsec.certificate_file")))
	}
	watchCertificate(n.registry, "radsec", files)
	clients := &authorityFile{file: cfg.ClientCAFile, logger: n.log}
	if _, err := clients.get(); err != nil {
		return nil, console.Usage(withHint(err, "a file with certificates in PEM, and nothing else: %s", n.cfg.Where("radius.radsec.client_ca_file")))
	}
	watchAuthority(n.registry, "radsec", clients)
	return &radius.RadSec{
		Listen: cfg.Listen, Certificate: files.get, ClientCAs: clients.get,
		MaxConnections: cfg.MaxConnections, IdleTime: cfg.IdleTimeout,
	}, nil
}

// wireEnroll adds enrollment by e-mail.
func (n *node) wireEnroll(rt *runtime, cfg *configs.Enroll) error {
	roots, err := rootsFrom(cfg.Mail.CAFile)
	if err != nil {
		return console.Usage(withHint(err, "a file with certificates in PEM: %s", n.cfg.Where("enroll.mail.ca_file")))
	}
	sender, err := mail.New(mail.Options{
		From: cfg.Mail.From, SMTP: cfg.Mail.SMTP, Username: cfg.Mail.Username, Password: cfg.Mail.Password.Reveal(), RootCAs: roots,
		Logger: n.log, Registerer: n.registry, Now: rt.now,
	})
	if err != nil {
		return console.Usage(withHint(err, "%s: %s", senderHint, n.cfg.Where("enroll.mail")))
	}
	n.life.onStop("mails", sender.Close)
	var certificate func() (*tls.Certificate, error)
	if cfg.CertificateFile != "" {
		files := &certificateFiles{certificate: cfg.CertificateFile, key: cfg.KeyFile, logger: n.log}
		if _, err := files.get(); err != nil {
			return console.Usage(withHint(err, "certificate and key in PEM, that belong together: %s", n.cfg.Where("enroll.certificate_file")))
		}
		watchCertificate(n.registry, "enroll", files)
		certificate = files.get
	}
	n.enroll, err = enroll.New(enroll.Options{
		Listen: cfg.Listen, Certificate: certificate, TrustedProxies: cfg.TrustedProxies, PublicURL: cfg.PublicURL,
		CodeLifetime: cfg.CodeLifetime, Policy: policies[cfg.Policy], Issuer: n.cfg.OTP.Issuer,
		Contact: cfg.Contact, AppLock: appLocks[cfg.AppLock],
		Accounts: n.accounts, Devices: n.devices, Codes: n.codes, Tickets: n.store, Notes: n.store, Ping: n.mayEnroll, Keys: n.keys,
		Mailer: sender, Audit: n.audit, Logger: n.log, Registerer: n.registry, Now: rt.now,
	})
	if err != nil {
		return withHint(err, "is something else listening there? %s", n.cfg.Where("enroll.listen"))
	}
	n.life.onStop("enrollment", n.enroll.Shutdown)
	return nil
}

var policies = map[string]enroll.Policy{
	"first_device": enroll.FirstDevice, "anyone": enroll.Anyone, "invited": enroll.Invited,
}

var appLocks = map[string]enroll.AppLock{
	"offered": enroll.LockOffered, "off": enroll.LockOff, "required": enroll.LockRequired,
}

// directoriesOf translates the directories. Groups and attributes are asked for only where a gateway
// wants them, because they cost searches.
func directoriesOf(cfg *configs.Config, g *gateways) ([]directory.Config, error) {
	out := make([]directory.Config, len(cfg.Directories))
	for i, d := range cfg.Directories {
		roots, err := rootsFrom(d.CAFile)
		if err != nil {
			return nil, withHint(err, "a file with certificates in PEM: %s", cfg.Where(fmt.Sprintf("directories[%d].ca_file", i)))
		}
		out[i] = directory.Config{
			Name: d.Name, Realms: d.Realms, URLs: d.URLs, StartTLS: d.StartTLS, RootCAs: roots,
			BindDN: d.BindDN, BindPassword: d.BindPassword.Reveal(), BaseDN: d.BaseDN,
			LoginAttributes: d.LoginAttributes, MailAttributes: d.MailAttributes,
			Groups: g.groups, Attributes: g.attributes, Fresh: d.Fresh, Stale: d.Stale, LDIF: d.LDIFFile,
		}
	}
	return out, nil
}
