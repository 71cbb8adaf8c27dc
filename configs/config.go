package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"time"
)

// Config is a whole configuration, complete with defaults. Paths in it are usable as they are.
type Config struct {
	DataDir string
	// KnownAccounts is how many accounts a node remembers, of each directory and with their devices.
	KnownAccounts int
	Radius        Radius
	Directories   []Directory
	Store         Store
	OTP           OTP
	Enroll        *Enroll // nil: nobody enrolls by mail
	Metrics       Metrics
	Audit         Audit
	Log           Log

	file  string
	where map[string]position
}

const defaultDataDir = "/var/lib/otpgate"

// The operator socket is in data_dir, and the path of a socket is short on every system.
const (
	socketName = "operator.sock"
	socketPath = 103 // octets
)

// Load reads a configuration file. Its error is a [*Problems] with everything that is wrong.
// lookupEnv is os.LookupEnv, for values such as ${NAME}.
func Load(path string, lookupEnv func(string) (string, bool)) (*Config, error) {
	c, problems := Read(path, lookupEnv)
	if len(problems.List) > 0 {
		return nil, problems
	}
	return c, nil
}

// Read is Load for whoever has more to check: it returns what could be read, together with all that
// is wrong with it. Such a configuration must not be used.
func Read(path string, lookupEnv func(string) (string, bool)) (*Config, *Problems) {
	r := &reader{file: path, dir: filepath.Dir(path), lookupEnv: lookupEnv, where: map[string]position{}}
	c := &Config{file: path, where: r.where}
	if top := r.parse(path); top != nil {
		c.read(top)
		c.relate(r)
	}
	r.problems.sort()
	return c, &r.problems
}

func (c *Config) read(top *object) {
	c.DataDir = top.dataDir()
	if n := len(filepath.Join(c.DataDir, socketName)); n > socketPath {
		top.bad("data_dir", "a shorter one; it may be a symbolic link to this one", "the operator socket in it would have a path of %d octets, of %d at most", n, socketPath)
	}
	c.KnownAccounts = top.number("known_accounts", 250_000, 1000, 10_000_000)
	c.Radius = readRadius(top.section("radius"))
	top.each("directories", func(o *object) { c.Directories = append(c.Directories, readDirectory(o)) })
	c.Store = readStore(top.section("store"))
	c.OTP = readOTP(top.section("otp"))
	if section := top.section("enroll"); top.has("enroll") {
		c.Enroll = readEnroll(section)
	}
	c.Metrics = readMetrics(top.section("metrics"))
	c.Audit = readAudit(top.section("audit"))
	c.Log = readLog(top.section("log"))
	top.done()
}

// relate finds what is wrong between sections.
func (c *Config) relate(r *reader) {
	if len(c.Directories) == 0 {
		r.problem(r.at("directories"), "directories", "name at least one: with urls and base_dn, or with ldif_file", "no directory, so nobody has an account")
	}
	names := map[string]bool{}
	realms := map[string]string{}
	for i, d := range c.Directories {
		key := fmt.Sprintf("directories[%d]", i)
		if d.Name != "" && names[d.Name] {
			r.problem(r.at(key+".name"), key+".name", "give each a name of its own", "another directory is called %q", d.Name)
		}
		names[d.Name] = true
		for j, realm := range d.Realms {
			if other, taken := realms[fold(realm)]; taken {
				item := fmt.Sprintf("%s.realms[%d]", key, j)
				r.problem(r.at(item), item, "a realm leads to one directory", "%q is a realm of %q already", realm, other)
			}
			realms[fold(realm)] = d.Name
		}
	}
	c.relateClients(r, names)
	c.relateDoors(r)
}

// relateDoors finds what is listened on twice.
func (c *Config) relateDoors(r *reader) {
	r.apart(append(r.doors("radius.listen", false, c.Radius.Listen...), r.doors("radius.accounting", false, c.Radius.Accounting...)...))
	tcp := r.doors("metrics.listen", true, c.Metrics.Listen)
	if c.Radius.RadSec != nil {
		tcp = append(tcp, r.doors("radius.radsec.listen", true, c.Radius.RadSec.Listen...)...)
	}
	if c.Enroll != nil {
		tcp = append(tcp, r.doors("enroll.listen", true, c.Enroll.Listen)...)
	}
	r.apart(tcp)
}

// at is where a key is in the file; its object's place when it is not there.
func (r *reader) at(key string) position {
	for ; key != ""; key = parent(key) {
		if p, ok := r.where[key]; ok {
			return p
		}
	}
	return position{1, 1}
}

func parent(key string) string {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '.' || key[i] == '[' {
			return key[:i]
		}
	}
	return ""
}

// Where is the place of a key as "file:line:column", for what is found out later.
func (c *Config) Where(key string) string {
	r := reader{where: c.where}
	p := r.at(key)
	return fmt.Sprintf("%s:%d:%d", c.file, p.line, p.column)
}

// Problem is one with the value of a key, for what is found out later.
func (c *Config) Problem(key, message, hint string) Problem {
	r := reader{where: c.where}
	p := r.at(key)
	return Problem{File: c.file, Line: p.line, Column: p.column, Key: key, Message: message, Hint: hint}
}

// RestartNeeded names what differs between two configurations and is not taken over by a reload.
func RestartNeeded(running, next *Config) []string {
	var names []string
	differs := func(name string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			names = append(names, name)
		}
	}
	differs("data_dir", running.DataDir, next.DataDir)
	differs("known_accounts", running.KnownAccounts, next.KnownAccounts)
	differs("radius.listen", running.Radius.Listen, next.Radius.Listen)
	differs("radius.accounting", running.Radius.Accounting, next.Radius.Accounting)
	differs("radius.radsec", running.Radius.RadSec, next.Radius.RadSec)
	differs("radius.reject_delay", running.Radius.RejectDelay, next.Radius.RejectDelay)
	differs("store", running.Store, next.Store)
	differs("otp", running.OTP, next.OTP)
	differs("enroll", running.Enroll, next.Enroll)
	differs("metrics", running.Metrics, next.Metrics)
	differs("audit", running.Audit, next.Audit)
	differs("log.format", running.Log.Format, next.Log.Format)
	return names
}

// Bounds that several keys share.
const (
	aDay  = 24 * time.Hour
	aWeek = 7 * aDay
)

// DataDir reads data_dir alone, so that an operator's command finds the running node even while
// the rest of the file has problems. It does not guess: when data_dir itself has a problem, that is
// the error, because the default may be the folder of another node.
func DataDir(path string) (string, error) {
	r := &reader{file: path, dir: filepath.Dir(path), where: map[string]position{}}
	top := r.parse(path)
	if top == nil {
		return "", &r.problems
	}
	dir := top.dataDir()
	r.problems.List = slices.DeleteFunc(r.problems.List, func(p Problem) bool { return p.Key != "" && p.Key != "data_dir" })
	if len(r.problems.List) > 0 {
		return "", &r.problems
	}
	return dir, nil
}

func (o *object) dataDir() string {
	return o.r.path(o.filled("data_dir", defaultDataDir, "the folder that is the node's own, such as "+defaultDataDir))
}
