package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options say what is measured, and on what.
type Options struct {
	Dir         string // everything is kept there; it must exist
	Files       fs.FS  // configurations of the servers
	Radload     string // this program
	Otpgate     string
	Accounts    int
	Runs        int
	Duration    time.Duration // of a measurement
	Rate        int           // logins per second of the open loop
	Flood       int           // packets per second of the floods
	Outstanding int
	Workers     int    // threads of FreeRADIUS where it has back ends; half of it where it has none
	ServerCores string // as taskset -c has them
	LoadCores   string
	Only        []string  // names of cases; none: all
	Curves      bool      // latency over the rate is measured as well
	Log         io.Writer // how it goes
	Now         func() time.Time
}

// bench is a benchmark that runs.
type bench struct {
	Options
	slapd, redis        *process
	ldapPort, redisPort int
}

// What the peers are told; nothing of it is worth keeping secret.
const (
	master       = "radload bench"
	secret       = "radload-testing-secret"
	ldapBase     = "dc=bench"
	ldapDN       = "cn=root,dc=bench"
	ldapPassword = "radload-testing-password"
)

// Run measures all cases.
func Run(ctx context.Context, o Options) (*Report, error) {
	switch {
	case o.Accounts < 1, o.Runs < 1, o.Duration <= 0, o.Outstanding < 1, o.Workers < 2, o.Rate < 1, o.Flood < 1:
		return nil, errors.New("a number is missing")
	}
	b := &bench{Options: o}
	cases, err := chosen(o.Only)
	if err != nil {
		return nil, err
	}
	defer func() {
		b.slapd.stop()
		b.redis.stop()
	}()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	r := b.describe(ctx)
	for run := range o.Runs {
		for _, c := range cases {
			b.say("run %d of %d: %s", run+1, o.Runs, c.name)
			m, err := b.measure(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			b.say("  %s", m)
			r.add(c, m)
		}
	}
	if o.Curves {
		if err := b.curves(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Log, b.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// path is a file of the benchmark.
func (b *bench) path(name string) string { return filepath.Join(b.Dir, name) }

// prepare writes what the servers need to know, and starts the peers.
func (b *bench) prepare(ctx context.Context) error {
	for _, p := range [...][2]string{
		{"taskset", "util-linux"}, {"slapd", "slapd"}, {"slapadd", "slapd"}, {"redis-server", "redis-server"}, {"freeradius", "freeradius"},
	} {
		if _, err := exec.LookPath(p[0]); err != nil {
			return fmt.Errorf("%s is missing: install Debian's package %s", p[0], p[1])
		}
	}
	b.say("writing %d accounts", b.Accounts)
	for _, args := range [][]string{
		{"--csv", b.path("devices.csv"), "--ldif", b.path("people.ldif"), "--base", "ou=people," + ldapBase},
		{"--freeradius", b.path("users"), "--period", "30s"},
	} {
		args = append([]string{"devices", "--master", master, "--count", fmt.Sprint(b.Accounts)}, args...)
		if err := b.once(ctx, b.Radload, args...); err != nil {
			return err
		}
	}
	if err := b.startRedis(ctx); err != nil {
		return err
	}
	return b.startDirectory(ctx)
}

// once runs a program to its end.
func (b *bench) once(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = b.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}

func (b *bench) startRedis(ctx context.Context) (err error) {
	if b.redisPort, err = freePort(); err != nil {
		return err
	}
	data := b.path("redis")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	b.redis, err = b.start("redis", b.ServerCores, "redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(b.redisPort), "--dir", data,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--daemonize", "no", "--maxmemory-policy", "noeviction")
	if err != nil {
		return err
	}
	return b.redis.await(ctx, func() bool { return listens(b.redisPort) })
}

func (b *bench) startDirectory(ctx context.Context) (err error) {
	if b.ldapPort, err = freePort(); err != nil {
		return err
	}
	if err := os.MkdirAll(b.path("ldap"), 0o700); err != nil {
		return err
	}
	if err := b.configure("slapd.conf", "slapd.conf"); err != nil {
		return err
	}
	base := "dn: dc=bench\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: bench\n\n" +
		"dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n"
	people, err := os.ReadFile(b.path("people.ldif"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.path("all.ldif"), append([]byte(base), people...), 0o600); err != nil {
		return err
	}
	if err := b.once(ctx, "slapadd", "-q", "-f", b.path("slapd.conf"), "-l", b.path("all.ldif")); err != nil {
		return err
	}
	b.slapd, err = b.start("slapd", b.ServerCores, "slapd", "-d", "0", "-f", b.path("slapd.conf"), "-h", fmt.Sprintf("ldap://127.0.0.1:%d", b.ldapPort))
	if err != nil {
		return err
	}
	return b.slapd.await(ctx, func() bool { return listens(b.ldapPort) })
}

// configure writes a configuration from its template..
func (b *bench) configure(template, name string, values ...string) error {
	text, err := fs.ReadFile(b.Files, template)
	if err != nil {
		return err
	}
	all := append(values, "DIR", b.Dir, "SECRET", secret, "USERS", b.path("users"), "LDAP_BASE", ldapBase, "LDAP_DN", ldapDN,
		"LDAP_PASSWORD", ldapPassword, "LDAP_PORT", fmt.Sprint(b.ldapPort), "REDIS_PORT", fmt.Sprint(b.redisPort))
	pairs := make([]string, 0, len(all))
	for i := 0; i+1 < len(all); i += 2 {
		pairs = append(pairs, "@"+all[i]+"@", all[i+1])
	}
	return os.WriteFile(b.path(name), []byte(strings.NewReplacer(pairs...).Replace(string(text))), 0o600)
}
