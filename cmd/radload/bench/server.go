package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"otpgate/cmd/radload/bench/machine"
)

// server is what is loaded.
type server struct {
	*machine.Process
	port    int
	metrics int           // port of otpgate's; 0: it has none
	took    time.Duration // from its start until it was ready
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// startFreeRADIUS starts FreeRADIUS with one of its configurations.
func (b *bench) startFreeRADIUS(ctx context.Context, configuration string, workers int) (*server, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	p := population{b.Accounts, freeRADIUSPeriod}
	people, err := b.people(ctx, population{b.Accounts, b.Period})
	if err != nil {
		return nil, err
	}
	dir := b.path("freeradius")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := b.configure(configuration, filepath.Join(dir, "radiusd.conf"), "PORT", fmt.Sprint(port), "WORKERS", fmt.Sprint(workers),
		"USERS", filepath.Join(people, "users"), "LDAP_PORT", fmt.Sprint(b.directory.port), "REDIS_PORT", fmt.Sprint(b.shared.redis[0].port)); err != nil {
		return nil, err
	}
	began := b.Now()
	s := &server{port: port}
	if s.Process, err = machine.Start("freeradius", dir, b.ServerCores, "freeradius", "-f", "-d", dir, "-n", "radiusd", "-l", "stdout"); err != nil {
		return nil, err
	}
	// It is ready when it logs somebody in: so long it may take to read them all.
	err = s.Await(ctx, func() bool {
		return b.once(ctx, b.Radload, append([]string{"run", "--quiet", "--server", s.address(), "--secret", secret,
			"--first", fmt.Sprint(b.Accounts - 1), "--outstanding", "1", "--logins", "1", "--timeout", "500ms", "--tries", "1",
			"--linger", "0s", "--message-authenticator", "optional", "--reuse", "refused"}, p.flags()...)...) == nil
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	s.took = b.Now().Sub(began)
	return s, nil
}

// startOtpgate starts a node of this name on a store. The first one imports the devices.
func (b *bench) startOtpgate(ctx context.Context, st *store, d *directory, name string, fresh time.Duration) (*server, error) {
	s := new(server)
	var err error
	if s.port, err = machine.FreePort(); err != nil {
		return nil, err
	}
	if s.metrics, err = machine.FreePort(); err != nil {
		return nil, err
	}
	dir := filepath.Join(st.dir, "node-"+name)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	if err := shareKeys(filepath.Join(st.dir, keysetFile), filepath.Join(dir, "data", keysetFile)); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "otpgate.yaml")
	if err := b.configure("otpgate.yaml", config, "PORT", fmt.Sprint(s.port), "METRICS", fmt.Sprint(s.metrics), "DATA", filepath.Join(dir, "data"),
		"STORE", st.lines(), "FRESH", fresh.String(), "LDAP_PORT", fmt.Sprint(d.port), "KNOWN", b.knownLine(st.codes.accounts)); err != nil {
		return nil, err
	}
	began := b.Now()
	if s.Process, err = machine.Start("otpgate", dir, b.ServerCores, b.Otpgate, "serve", "--config", config); err != nil {
		return nil, err
	}
	err = s.Await(ctx, s.ready)
	s.took = b.Now().Sub(began)
	if err == nil {
		err = b.fill(ctx, st, config)
	}
	if err == nil {
		err = shareKeys(filepath.Join(dir, "data", keysetFile), filepath.Join(st.dir, keysetFile))
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// keysetFile is what seeds are sealed with: all nodes of a store need the same.
const keysetFile = "keyset.json"

// shareKeys copies a keyset, unless there is none yet.
func shareKeys(from, to string) error {
	keys, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, keys, 0o600)
}

// ready reports whether a node says that it is.
func (s *server) ready() bool {
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", s.metrics))
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// knownLine is the line of the configuration that has a node know all accounts at once, and more than twice as many, as
// the example advises.
func (b *bench) knownLine(accounts int) string {
	if !b.knownLimit {
		return ""
	}
	return fmt.Sprintf("known_accounts: %d", max(2*accounts+accounts/10, 1000))
}

// understands asks otpgate whether it has a setting, by lines that hold it: one that is older can be measured too.
func (b *bench) understands(ctx context.Context, setting, known, store string) bool {
	file := b.path("asked.yaml")
	defer func() { _ = os.Remove(file) }()
	err := b.configure("otpgate.yaml", file, "PORT", "1", "METRICS", "2", "DATA", b.path("nothing"), "STORE", store, "FRESH", "1h",
		"LDAP_PORT", "3", "KNOWN", known)
	text, checkErr := b.output(ctx, b.Otpgate, "check", "--config", file)
	if err == nil && (checkErr == nil || !strings.Contains(text, setting)) {
		return true
	}
	b.say("this otpgate has no setting %s: it goes without", setting)
	return false
}
