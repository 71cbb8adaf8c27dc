package configs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"otpgate/configs"
)

var update = flag.Bool("update", false, "write what Load says into testdata/bad/*.golden")

func noEnv(string) (string, bool) { return "", false }

// Each file in testdata/bad breaks one rule; the whole of what is said about it is beside it.
func TestBadFilesAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d bad files, %v", len(files), err)
	}
	if err := os.Chmod("testdata/bad/world.secret", 0o644); err != nil { // whatever the umask was
		t.Fatal(err)
	}
	place := regexp.MustCompile(`^testdata/bad/[a-z-]+\.yaml(:\d+:\d+)?: `)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c, err := configs.Load(file, noEnv)
			if err == nil || c != nil {
				t.Fatal("it was let through")
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			for _, line := range strings.Split(strings.TrimSpace(got), "\n") {
				if !strings.HasPrefix(line, "  hint: ") && !place.MatchString(line) {
					t.Errorf("no place: %s", line)
				}
			}
		})
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const small = `
radius: {clients: [{name: vpn, networks: [10.0.0.0/8], secret: long-enough-1}]}
directories: [{name: corp, urls: ["ldaps://dc1"], base_dn: "dc=corp"}]
`

func load(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Load(write(t, "otpgate.yaml", text), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The example shows every default, so it must mean the same as a file that shows none.
func TestTheExampleShowsTheDefaults(t *testing.T) {
	example, plain := load(t, string(configs.Example)), load(t, small)
	example.Radius.Clients[0].Name, example.Radius.Clients[0].Networks = plain.Radius.Clients[0].Name, plain.Radius.Clients[0].Networks
	example.Radius.Clients[0].Secret = plain.Radius.Clients[0].Secret
	example.Directories[0].URLs, example.Directories[0].BaseDN = plain.Directories[0].URLs, plain.Directories[0].BaseDN
	show := func(c *configs.Config) string {
		return strings.NewReplacer("[]string{}", "nil", "[]string(nil)", "nil").Replace(
			fmt.Sprintf("%q %#v %#v %#v %#v %#v %#v %#v", c.DataDir, c.Radius, c.Directories, c.Store, c.OTP, c.Metrics, c.Audit, c.Log))
	}
	if a, b := show(example), show(plain); a != b {
		t.Errorf("example:\n%s\ndefaults:\n%s", a, b)
	}
}

// What the example has in comments has to work too, once it is uncommented.
func TestTheExampleWithEverythingUncommentedLoads(t *testing.T) {
	key := regexp.MustCompile(`(?m)^( *)# ( *)([a-z_]+:.*)$`)
	text := key.ReplaceAllString(string(configs.Example), "$1$2$3")
	text = regexp.MustCompile(`(?m)^ *ldif_file:.*$`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, `bind_dn: ""`, "bind_dn: cn=otpgate")
	text = strings.ReplaceAll(text, `username: ""`, "username: me")
	path := write(t, "otpgate.yaml", text)
	for _, name := range regexp.MustCompile(`[a-z-]+\.(secret|pem|crt|key)`).FindAllString(text, -1) {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte("secret of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := configs.Load(path, noEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if c.Store.Redis == nil || c.Store.Redis.TLS == nil || c.Enroll == nil || c.Enroll.Mail.Password.Reveal() != "secret of smtp.secret" {
		t.Errorf("%+v", c)
	}
}

func TestTheQuickstartLoads(t *testing.T) {
	if c := load(t, string(configs.Quickstart)); c.Radius.Clients[0].Login != "code" {
		t.Errorf("%+v", c.Radius)
	}
}

func TestSecretsComeFromTheEnvironmentAndFromFiles(t *testing.T) {
	path := write(t, "otpgate.yaml", strings.ReplaceAll(small, "secret: long-enough-1", `secret_file: vpn.secret`)+
		"store: {redis: {addresses: ['127.0.0.1:1'], password: '${REDIS_PASSWORD}'}}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "vpn.secret"), []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(path, func(name string) (string, bool) { return "value of " + name, name == "REDIS_PASSWORD" })
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Radius.Clients[0].Secret.Reveal(); s != "from the file" {
		t.Errorf("%q", s)
	}
	if s := c.Store.Redis.Password.Reveal(); s != "value of REDIS_PASSWORD" {
		t.Errorf("%q", s)
	}
}

func TestSecretsPrintAsNothing(t *testing.T) {
	c := load(t, small)
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", c.Radius.Clients[0].Secret, "config", c)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c.Radius.Clients[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		logged.String(), string(asJSON), string(asYAML), fmt.Sprint(c.Radius), fmt.Sprintf("%+v", c.Radius), fmt.Sprintf("%#v", c.Radius),
		fmt.Sprintf("%s %q %x", c.Radius.Clients[0].Secret, c.Radius.Clients[0].Secret, c.Radius.Clients[0].Secret),
	} {
		if strings.Contains(s, "long-enough") || strings.Contains(s, fmt.Sprintf("%x", "long-enough-1")) {
			t.Errorf("a secret is printed: %s", s)
		}
	}
}

func TestPlacesOfKeysAreKept(t *testing.T) {
	c := load(t, small)
	if where := c.Where("directories[0].base_dn"); !strings.HasSuffix(where, "otpgate.yaml:3:51") {
		t.Errorf("%s", where)
	}
	if where := c.Where("directories[0].ldif_file"); !strings.Contains(where, "otpgate.yaml:3:") {
		t.Errorf("a key that is not there: %s", where)
	}
}

func TestWhatAReloadDoesNotTakeOverIsNamed(t *testing.T) {
	a := load(t, small)
	b := load(t, strings.ReplaceAll(small, "vpn", "other"))
	if names := configs.RestartNeeded(a, b); len(names) != 1 || names[0] != "data_dir" { // it is relative to the file
		b.DataDir = a.DataDir
		if names := configs.RestartNeeded(a, b); len(names) != 0 {
			t.Errorf("clients are taken over: %v", names)
		}
	}
	b.DataDir = a.DataDir
	b.OTP.Digits, b.Metrics.Listen = 8, ":1"
	if names := strings.Join(configs.RestartNeeded(a, b), " "); names != "otp metrics" {
		t.Errorf("%s", names)
	}
}

func TestAFileThatIsTooLargeIsRefused(t *testing.T) {
	if _, err := configs.Load(write(t, "otpgate.yaml", "# "+strings.Repeat("x", 5<<20)), noEnv); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}

func TestAFolderIsNoConfiguration(t *testing.T) {
	if _, err := configs.Load(t.TempDir(), noEnv); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Errorf("%v", err)
	}
}

func FuzzConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(configs.Example)
	f.Add([]byte(small))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", os.Getpid()))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := configs.Load(path, noEnv)
		if err == nil {
			if c == nil || len(c.Directories) == 0 || len(c.Radius.Clients) == 0 {
				t.Errorf("accepted without a directory or a client: %+v", c)
			}
			return
		}
		for _, p := range err.(*configs.Problems).List {
			if p.File == "" || p.Message == "" || p.Line < 1 || p.Column < 1 {
				t.Errorf("no place or no words: %+v", p)
			}
		}
	})
}
