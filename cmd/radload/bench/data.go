package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// population is people with a device each.
type population struct {
	accounts int
	period   time.Duration
}

// flags are those of radload.
func (p population) flags() []string {
	return []string{"--master", master, "--count", fmt.Sprint(p.accounts), "--period", p.period.String()}
}

// String names it, as part of the name of a folder.
func (p population) String() string { return fmt.Sprintf("%d-%s", p.accounts, p.period) }

// freeRADIUSPeriod is that of the only codes that FreeRADIUS's module knows.
const freeRADIUSPeriod = 30 * time.Second

// shortPeriod is that of the codes where a measurement takes all codes there are: the shortest that otpgate knows.
const shortPeriod = 15 * time.Second

// marker is the file that says that what is in a folder is complete.
const marker = "complete"

// made makes what is in a folder, unless it is there from a bench before.
func (b *bench) made(folder string, make func(dir string) error) (string, error) {
	dir := b.path(folder)
	_, err := os.Stat(filepath.Join(dir, marker))
	if err == nil {
		if !b.seen[folder] {
			b.say("%s: data reused", folder)
		}
		b.seen[folder] = true
		return dir, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	began := b.Now()
	if err := make(dir); err != nil {
		return "", err
	}
	b.seen[folder] = true
	b.say("%s: made in %s", folder, b.Now().Sub(began).Round(time.Millisecond))
	return dir, b.finish(dir)
}

// finish notes that what is in a folder is complete.
func (b *bench) finish(dir string) error {
	return os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
}

// people writes the files that servers learn accounts and devices from.
func (b *bench) people(ctx context.Context, p population) (dir string, err error) {
	return b.made("people-"+p.String(), func(dir string) error {
		file := func(name string) string { return filepath.Join(dir, name) }
		args := append([]string{"devices", "--csv", file("devices.csv"), "--freeradius", file("users"), "--ldif", file("people.ldif"),
			"--base", "ou=people," + ldapBase}, p.flags()...)
		return b.once(ctx, b.Radload, args...)
	})
}

// configure writes a configuration into a folder, from its template.
func (b *bench) configure(template, file string, values ...string) error {
	text, err := fs.ReadFile(b.Files, template)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(replaced(string(text), append(values, "DIR", filepath.Dir(file), "SECRET", secret,
		"LDAP_BASE", ldapBase, "LDAP_DN", ldapDN, "LDAP_PASSWORD", ldapPassword)...)), 0o600)
}

// replaced puts values where their names stand between @.
func replaced(text string, pairs ...string) string {
	var all []string
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, "@"+pairs[i]+"@", pairs[i+1])
	}
	return strings.NewReplacer(all...).Replace(text)
}
