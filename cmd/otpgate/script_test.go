package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"otpgate/cmd/internal/clock/clocktest"
	"otpgate/enroll/browsertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"otpgate-set":   func() { os.Exit(run(set)) },
		"otpgate":       func() { os.Exit(run(time.Now)) },
		"otpgate-ahead": func() { os.Exit(run(ahead)) },
		"otpgate-jumps": func() { os.Exit(run(jumping())) },
	})
}

// set is the clock of a node on a machine whose clock was set by the duration in the file $CLOCK, which a test
// changes while the node runs.
func set() time.Time {
	text, err := os.ReadFile(os.Getenv("CLOCK"))
	if err != nil {
		panic(err)
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err)
	}
	return clocktest.Set(time.Now(), d)
}

// ahead is the clock of a node that was started with $AHEAD, a duration, set in the script: for what takes
// longer than a test.
func ahead() time.Time {
	d, err := time.ParseDuration(os.Getenv("AHEAD"))
	if err != nil {
		panic(err)
	}
	return time.Now().Add(d)
}

// TestScripts runs the end-to-end scripts that need no particular store.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", nil)
}

// TestScriptsRedis and TestScriptsEmbedded run the same scripts, once per store: what a person
// sees must not depend on where the devices are kept.
func TestScriptsRedis(t *testing.T) {
	runScripts(t, "testdata/stores", func(env *testscript.Env) error {
		env.Setenv("STORE", "redis")
		return nil
	})
}

func TestScriptsEmbedded(t *testing.T) {
	runScripts(t, "testdata/stores", func(env *testscript.Env) error {
		env.Setenv("STORE", "embedded")
		return nil
	})
}

// TestScriptsBrowser are what a person does with a phone, in a real browser.
func TestScriptsBrowser(t *testing.T) {
	runScripts(t, "testdata/browser", nil)
}

// TestScriptsEnglish, TestScriptsChinese and TestScriptsPortuguese look at every screen and page in each
// language: see `make screenshots`.
func TestScriptsEnglish(t *testing.T)    { runScripts(t, "testdata/screens", speaking("en")) }
func TestScriptsChinese(t *testing.T)    { runScripts(t, "testdata/screens", speaking("zh-Hant")) }
func TestScriptsPortuguese(t *testing.T) { runScripts(t, "testdata/screens", speaking("pt")) }

func speaking(language string) func(*testscript.Env) error {
	return func(env *testscript.Env) error {
		env.Setenv("LANGUAGE", language)
		return nil
	}
}

func runScripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	t.Helper()
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			b := newBench(env)
			env.Values[benchKey{}] = b
			if setup != nil {
				return setup(env)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"slapd":         cmdSlapd,
			"redis":         cmdRedis,
			"replicated":    cmdReplicated,
			"failover":      cmdFailover,
			"smtp":          cmdSMTP,
			"mail":          cmdMail,
			"ports":         cmdPorts,
			"expand":        cmdExpand,
			"node":          cmdNode,
			"ready":         cmdReady,
			"http":          cmdHTTP,
			"capture":       cmdCapture,
			"secret":        cmdSecret,
			"nosecrets":     cmdNoSecrets,
			"packet":        cmdPacket,
			"await":         cmdAwait,
			"store":         cmdStore,
			"exits":         cmdExits,
			"people":        cmdPeople,
			"certificate":   cmdCertificate,
			"metric":        cmdMetric,
			"stuck":         cmdStuck,
			"trail":         cmdTrail,
			"storm":         cmdStorm,
			"family":        cmdFamily,
			"deaths":        cmdDeaths,
			"network":       cmdNetwork,
			"jump":          cmdJump,
			"killing":       cmdKilling,
			"settles":       cmdSettles,
			"ready-says":    cmdReadySays,
			"forget-mails":  cmdForgetMails,
			"code":          cmdCode,
			"radclient":     cmdRadclient,
			"accounting":    cmdAccounting,
			"authority":     cmdAuthority,
			"mschapv2":      cmdMSCHAPv2,
			"pam":           cmdPAM,
			"proxy":         cmdProxy,
			"soon":          cmdSoon,
			"status-server": cmdStatusServer,
			"browser":       cmdBrowser,
			"seed":          cmdSeed,
			"front":         cmdFront,
			"oathtool":      cmdOathtool,
			"weekday":       cmdWeekday,
		},
	})
}

// benchKey is where a script's bench is kept in its environment.
type benchKey struct{}

// bench is what one script has running: its servers, its nodes, its packets, and the secrets that
// must show up nowhere.
type bench struct {
	env         *testscript.Env
	peers       peers
	authorities map[string]*authority
	nodes       map[string]*process
	proxies     map[string]*process
	packets     map[string]*sentPacket
	browser     *browsertest.Browser       // nil until it is used
	lock        *browsertest.Authenticator // nil until the phone has one
	frontTime   *atomic.Int64              // of the front, in ms since 1970; 0: the node's
	secrets     []string
	read        int // mails that the script has done with
}

func newBench(env *testscript.Env) *bench {
	return &bench{
		env: env, authorities: map[string]*authority{}, nodes: map[string]*process{}, proxies: map[string]*process{},
		packets: map[string]*sentPacket{},
	}
}

func benchOf(ts *testscript.TestScript) *bench { return ts.Value(benchKey{}).(*bench) }

// tb is the running test, for servers that end with it.
func (b *bench) tb(ts *testscript.TestScript) testing.TB {
	tb, ok := b.env.T().(testing.TB)
	if !ok {
		ts.Fatalf("the script does not run under go test")
	}
	return tb
}

// usage ends the script when a command has too few arguments or a negation that it cannot take.
func usage(ts *testscript.TestScript, neg bool, args []string, least int, form string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", form)
	}
}

// cmdExpand replaces $VARIABLES in files, and makes the files private, as secrets have to be.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "expand file...")
	for _, name := range args {
		path := ts.MkAbs(name)
		text := os.Expand(ts.ReadFile(name), func(key string) string {
			if v := ts.Getenv(key); v != "" {
				return v
			}
			ts.Fatalf("%s: $%s is not set", name, key)
			return ""
		})
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
		ts.Check(os.Chmod(path, 0o600))
	}
}

// cmdSecret notes values that must be found nowhere: see cmdNoSecrets.
func cmdSecret(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "secret value...")
	b := benchOf(ts)
	b.secrets = append(b.secrets, args...)
}

// cmdNoSecrets searches files and folders for every secret noted so far.
func cmdNoSecrets(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "nosecrets file|folder...")
	b := benchOf(ts)
	if len(b.secrets) == 0 {
		ts.Fatalf("no secret was noted, so nothing was proved")
	}
	files := 0
	for _, name := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(name), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, s := range b.secrets {
				if at := findWord(string(data), s); at >= 0 {
					return fmt.Errorf("%s holds a secret at octet %d (%q...)", path, at, s[:1])
				}
			}
			return nil
		}))
	}
	if files == 0 {
		ts.Fatalf("no file was searched")
	}
}

// findWord finds word where no letter or digit is right beside it, so that six digits inside a
// time with microseconds are not taken for a code.
func findWord(text, word string) int {
	from := 0
	for {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		at := from + i
		end := at + len(word)
		if (at == 0 || !wordOctet(text[at-1])) && (end == len(text) || !wordOctet(text[end])) {
			return at
		}
		from = at + 1
	}
}

func wordOctet(c byte) bool {
	return c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
