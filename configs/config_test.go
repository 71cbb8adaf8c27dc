package configs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"otpgate/configs"
)

var update = flag.Bool("update", false, "write what Load says into testdata/bad/*.golden")

func noEnv(string) (string, bool) { return "", false }

// Each file in testdata/bad breaks one rule; the whole of what is said about it is beside it.
func TestBadFilesAreExplained(t *testing.T) {
	shipped, err := filepath.Abs("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := privately(t, shipped, "testdata/bad")
	if len(files) < 50 {
		t.Fatalf("%d bad files", len(files))
	}
	for _, open := range []string{"world.secret", "world-readable.yaml", "world.ldif"} {
		if err := os.Chmod("testdata/bad/"+open, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	place := regexp.MustCompile(`^testdata/bad/[a-z-]+\.yaml(:\d+:\d+)?: `)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			c, err := configs.Load(file, noEnv)
			if err == nil || c != nil {
				t.Fatal("it was let through")
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "s3cret") {
				t.Errorf("the password is printed: %s", got)
			}
			golden := filepath.Join(shipped, name+".golden")
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

// privately copies a folder, whatever the umask was when it was checked out, and returns the
// configurations in it.
func privately(t *testing.T, from, to string) (configurations []string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(to, e.Name())
		if err := os.WriteFile(copied, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(copied) == ".yaml" {
			configurations = append(configurations, copied)
		}
	}
	return configurations
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
	example, plain := load(t, ownSecret(t, configs.Example)), load(t, small)
	example.Radius.Clients[0].Name, example.Radius.Clients[0].Networks = plain.Radius.Clients[0].Name, plain.Radius.Clients[0].Networks
	example.Radius.Clients[0].Secret = plain.Radius.Clients[0].Secret
	example.Radius.Clients[0].Origins, plain.Radius.Clients[0].Origins = nil, nil
	example.Directories[0].URLs, example.Directories[0].BaseDN = plain.Directories[0].URLs, plain.Directories[0].BaseDN
	show := func(c *configs.Config) string {
		var b strings.Builder
		for i, v := 0, reflect.ValueOf(c).Elem(); i < v.NumField(); i++ {
			if f := v.Type().Field(i); f.IsExported() {
				fmt.Fprintf(&b, "%s: %#v\n", f.Name, v.Field(i).Interface())
			}
		}
		return strings.NewReplacer("[]string{}", "nil", "[]string(nil)", "nil").Replace(b.String())
	}
	if a, b := show(example), show(plain); a != b {
		t.Errorf("example:\n%s\ndefaults:\n%s", a, b)
	}
}

// uncommented is the example with the keys that it has in comments.
func uncommented(t *testing.T) string {
	t.Helper()
	key := regexp.MustCompile(`(?m)^( *)# ( *)([a-z_]+:.*)$`)
	return key.ReplaceAllString(ownSecret(t, configs.Example), "$1$2$3")
}

// least is a file with the sections that are off by default, and in them what the example has where there is no default.
const least = `
radius:
  radsec: {certificate_file: radsec.crt, key_file: radsec.key, client_ca_file: radsec-ca.crt}
  clients: [{name: vpn, networks: [10.0.0.0/8], secret: long-enough-1}]
directories: [{name: corp, urls: ["ldaps://dc1"], base_dn: "dc=corp"}]
store: {redis: {addresses: ["redis-1:6379"], username: me, password_file: redis.secret, tls: {ca_file: redis-ca.pem}}}
enroll:
  certificate_file: web.crt
  key_file: web.key
  public_url: https://otp.example.org
  mail: {from: "OTP <otp@example.org>", smtp: "smtp://mail.example.org:587", username: me, password_file: smtp.secret, ca_file: mail-ca.pem}
`

// What the example has in comments has to work too, once it is uncommented, and shows the defaults of what is off.
func TestTheExampleWithEverythingUncommentedLoads(t *testing.T) {
	text := uncommented(t)
	text = regexp.MustCompile(`(?m)^ *ldif_file:.*$`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, `bind_dn: ""`, "bind_dn: cn=otpgate")
	text = strings.ReplaceAll(text, `username: ""`, "username: me")
	path := write(t, "otpgate.yaml", text)
	certificate, private := selfSigned(t)
	for _, name := range regexp.MustCompile(`[a-z-]+\.(secret|pem|crt|key)`).FindAllString(text, -1) {
		content := map[string]string{".secret": "secret of " + name + "\n", ".key": private}[filepath.Ext(name)]
		if content == "" {
			content = certificate
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(content), 0o600); err != nil {
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
	plain := filepath.Join(filepath.Dir(path), "least.yaml")
	if err := os.WriteFile(plain, []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := configs.Load(plain, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for name, both := range map[string][2]any{
		"radius.radsec": {c.Radius.RadSec, want.Radius.RadSec}, "store.redis": {c.Store.Redis, want.Store.Redis}, "enroll": {c.Enroll, want.Enroll},
	} {
		if !reflect.DeepEqual(both[0], both[1]) {
			t.Errorf("%s: example %+v, defaults %+v", name, both[0], both[1])
		}
	}
}

// unknownToAll has a key in every object that no object knows: then each says which it does.
const unknownToAll = `
unknown_to_all: 1
radius:
  unknown_to_all: 1
  radsec: {unknown_to_all: 1}
  clients: [{unknown_to_all: 1, hours: {unknown_to_all: 1}, shared_code: {unknown_to_all: 1}, reply_groups: {unknown_to_all: 1}}]
directories: [{unknown_to_all: 1, cache: {unknown_to_all: 1}}]
store: {unknown_to_all: 1, redis: {unknown_to_all: 1, tls: {unknown_to_all: 1}}}
otp: {unknown_to_all: 1}
enroll: {unknown_to_all: 1, mail: {unknown_to_all: 1}}
metrics: {unknown_to_all: 1}
audit: {unknown_to_all: 1}
log: {unknown_to_all: 1}
`

// Every key is in the example, a secret in one of its two forms; rules under reply are shown in a comment of their own.
func TestTheExampleShowsEveryKey(t *testing.T) {
	var top map[string]any
	if err := yaml.Unmarshal([]byte(uncommented(t)), &top); err != nil {
		t.Fatal(err)
	}
	shown, objects := map[string]bool{}, map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			objects[path] = true
			for name, inner := range v {
				key := strings.TrimPrefix(path+"."+name, ".")
				shown[key] = true
				walk(key, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), inner)
			}
		}
	}
	walk("", top)
	_, problems := configs.Read(write(t, "otpgate.yaml", unknownToAll), noEnv)
	for _, p := range problems.List {
		object, ok := strings.CutSuffix(p.Key, "unknown_to_all")
		names, told := strings.CutPrefix(p.Hint, "known keys here: ")
		if !ok || !told {
			continue
		}
		delete(objects, strings.TrimSuffix(object, "."))
		for name := range strings.SplitSeq(names, ", ") {
			inline, file := strings.CutSuffix(name, "_file")
			if !shown[object+name] && !(file && shown[object+inline]) && !shown[object+name+"_file"] {
				t.Errorf("the example lacks %s%s", object, name)
			}
		}
	}
	for path := range objects { // without a section here nobody asks for its keys
		t.Errorf("nothing was said of the keys of %q: %v", path, problems)
	}
}

func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// ownSecret is a shipped configuration with a secret in the place of the one that everybody can read.
func ownSecret(t *testing.T, shipped []byte) string {
	t.Helper()
	const theirs = "change-me-to-16-random-octets"
	if strings.Count(string(shipped), theirs) != 1 {
		t.Fatalf("no placeholder in\n%s", shipped)
	}
	return strings.Replace(string(shipped), theirs, "kGk3BvTq6gQy2mWd", 1)
}

// What stands where a secret belongs, in a file that ships with the program or did once, opens nothing.
func TestShippedSecretsAreRefused(t *testing.T) {
	shipped := [][]byte{configs.Example, configs.Quickstart, []byte("secret: correct-horse-battery")}
	for _, name := range configs.Gateways() {
		page, _, _ := configs.Gateway(name)
		shipped = append(shipped, []byte(page))
	}
	found := 0
	for _, text := range shipped {
		for _, m := range regexp.MustCompile(`(?m)^[-# ]*(?:.*[{,] *)?[a-z_]*(?:secret|password): *"?([^"\s,}]+)`).FindAllSubmatch(text, -1) {
			found++
			_, err := configs.Load(write(t, "otpgate.yaml", strings.Replace(small, "long-enough-1", string(m[1]), 1)), noEnv)
			if err == nil || !strings.Contains(err.Error(), "radius.clients[0].secret: it is the placeholder that everybody knows\n  hint: make one up") {
				t.Errorf("%s: %v", m[0], err)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d secrets were found", found)
	}
}

// The quickstart does not run with the secret that everybody can read, and with nothing else to mend.
func TestTheQuickstartLoadsWithASecretOfItsOwn(t *testing.T) {
	_, err := configs.Load(write(t, "quickstart.yaml", string(configs.Quickstart)), noEnv)
	var problems *configs.Problems
	if !errors.As(err, &problems) || len(problems.List) != 1 || problems.List[0].Key != "radius.clients[0].secret" {
		t.Errorf("as shipped: %v", err)
	}
	if c := load(t, ownSecret(t, configs.Quickstart)); c.Radius.Clients[0].Login != "code" {
		t.Errorf("%+v", c.Radius)
	}
}

// Whoever installs as root gives the service's group its files to read: root:otpgate 0640.
func TestTheGroupMayReadSecrets(t *testing.T) {
	path := write(t, "otpgate.yaml", strings.ReplaceAll(small, "secret: long-enough-1", "secret_file: vpn.secret")+
		"store: {redis: {addresses: ['127.0.0.1:1'], password: inline}}\n")
	secret := filepath.Join(filepath.Dir(path), "vpn.secret")
	if err := os.WriteFile(secret, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[os.FileMode]bool{
		0o600: false, 0o400: false, 0o640: false, 0o440: false,
		0o660: true, 0o620: true, 0o644: true, 0o604: true, 0o602: true, 0o601: true,
	} {
		for _, name := range []string{path, secret} {
			for _, restore := range []string{path, secret} {
				if err := os.Chmod(restore, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
			_, err := configs.Load(path, noEnv)
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), "others can read or change "+filepath.Base(name)) {
				t.Errorf("%s %04o: %v", filepath.Base(name), mode, err)
			}
		}
	}
}

// Without a secret in it, a configuration may be read by everybody.
func TestAConfigurationWithoutSecretsMayBeOpen(t *testing.T) {
	path := write(t, "otpgate.yaml", strings.ReplaceAll(small, "long-enough-1", `"${SECRET}"`))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(path, func(string) (string, bool) { return "long-enough-1", true }); err != nil {
		t.Error(err)
	}
}

// An LDIF file may be open as long as nobody's password is in it, however that is written.
func TestAnLDIFFileWithPasswordsMustBeClosed(t *testing.T) {
	path := write(t, "otpgate.yaml", strings.Replace(small, `urls: ["ldaps://dc1"]`, "ldif_file: people.ldif", 1))
	people := filepath.Join(filepath.Dir(path), "people.ldif")
	check := func(lines string, mode os.FileMode, refused bool) {
		t.Helper()
		if err := os.WriteFile(people, []byte("dn: uid=a,dc=corp\nuid: a\n"+lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(people, mode); err != nil {
			t.Fatal(err)
		}
		_, err := configs.Load(path, noEnv)
		if (err != nil) != refused || refused && !strings.Contains(err.Error(), "others can read or change people.ldif (mode 0"+strconv.FormatInt(int64(mode), 8)+")") {
			t.Errorf("%.40q, %04o: %v", lines, mode, err)
		}
		if refused && err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "hint: chmod 600 people.ldif")) {
			t.Errorf("%.40q: %v", lines, err)
		}
	}
	for mode, refused := range map[os.FileMode]bool{
		0o600: false, 0o400: false, 0o640: false, 0o440: false, 0o660: true, 0o644: true, 0o604: true, 0o602: true,
	} {
		check("userPassword: s3cret\n", mode, refused)
	}
	for lines, refused := range map[string]bool{
		"": false, "description: userPassword: no\n": false, "# userPassword: no\n": false, "# see\n userPassword: no\n": false,
		"userPasswordHint: no\n": false, "cn: a\n userPassword: no\n": false,
		"USERPASSWORD: s3cret\n": true, "userPassword:: czNjcmV0\n": true, "userPassword;x-old: s3cret\n": true,
		"userpassword:s3cret": true, "userPass\n word: s3cret\n": true, "userPassword\r\n : s3cret\r\n": true, "u\n serPasswor\n d\n ;x: s3cret\n": true,
		"jpegPhoto:: " + strings.Repeat("A", 1<<20) + "\nuserPassword: {SSHA}s3cret\n": true,
	} {
		check(lines, 0o644, refused)
	}
}

func TestNamesOfEntriesAreToldFromOtherText(t *testing.T) {
	for base, good := range map[string]bool{
		"dc=corp,dc=example": true, "DC=corp, DC=example": true, "o=Acme\\, Inc.,c=PT": true, "2.5.4.10=x": true,
		"ou=a+cn=b,dc=c": true, "ou=M\\C3\\BCnchen,dc=x": true, "ou=小 組,dc=x": true, "ou=x\\ ,dc=y": true, "cn=a=b": true,
		"corp.example": false, "dc=corp,": false, "dc=corp,,dc=x": false, "dc:corp": false, "=x": false, "d c=x": false,
		"ou=a;dc=b": false, "ou=<a>": false, "ou=a\\": false, "ou=a\\zz": false, "-dc=x": false,
	} {
		_, err := configs.Load(write(t, "otpgate.yaml", strings.Replace(small, `"dc=corp"`, "'"+base+"'", 1)), noEnv)
		if (err == nil) != good {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// What cannot be listened on beside each other ends the node at every start, and so is a problem; what can is none.
func TestWhatIsListenedOnTwice(t *testing.T) {
	for pair, want := range map[[2]string]struct{ udp, tcp bool }{
		{":1812", ":1812"}:                             {true, true},
		{":1812", "127.0.0.1:1812"}:                    {true, true},
		{":1812", "[::1]:1812"}:                        {true, true},
		{":1812", "0.0.0.0:1812"}:                      {true, true},
		{":1812", "[::]:1812"}:                         {true, true},
		{":1812", "localhost:1812"}:                    {true, true},
		{"localhost:1812", "localhost:1812"}:           {true, true},
		{"192.0.2.1:1812", "192.0.2.1:01812"}:          {true, true},
		{"192.0.2.1:1812", "[::ffff:192.0.2.1]:1812"}:  {true, true},
		{"0.0.0.0:1812", "192.0.2.1:1812"}:             {true, true},
		{"[::ffff:0.0.0.0]:1812", "192.0.2.1:1812"}:    {true, true},
		{"[::]:1812", "[2001:db8::1]:1812"}:            {true, true},
		{"[2001:db8::1]:1812", "[2001:DB8:0::1]:1812"}: {true, true},
		{"0.0.0.0:1812", "[::]:1812"}:                  {false, true},
		{"0.0.0.0:1812", "[::1]:1812"}:                 {false, true},
		{"[::]:1812", "127.0.0.1:1812"}:                {false, true},
		{"0.0.0.0:1812", "localhost:1812"}:             {false, true},
		{"127.0.0.1:1812", "localhost:1812"}:           {false, false}, // whose name that is, a machine may say
		{"127.0.0.1:1812", "127.0.0.2:1812"}:           {false, false},
		{"127.0.0.1:1812", "[::1]:1812"}:               {false, false},
		{"[fe80::1%a]:1812", "[fe80::1%b]:1812"}:       {false, false},
		{":1812", ":1645"}:                             {false, false},
		{":0", ":0"}:                                   {false, false},
		{"127.0.0.1:0", "127.0.0.1:0"}:                 {false, false},
	} {
		for _, p := range [][2]string{pair, {pair[1], pair[0]}} {
			for form, meet := range map[string]bool{
				"radius: {listen: [%q, %q]}":                              want.udp,
				"radius: {listen: [%q], accounting: [%q]}":                want.udp,
				"radius: {radsec: {listen: [%q, %q]}}":                    want.tcp,
				"radius: {radsec: {listen: [%q]}}\nmetrics: {listen: %q}": want.tcp,
				"enroll: {listen: %q}\nmetrics: {listen: %q}":             want.tcp,
				"metrics: {listen: %q}\nenroll: {listen: %q}":             want.tcp,
				"radius: {listen: [%q]}\nmetrics: {listen: %q}":           false, // UDP and TCP
			} {
				text := fmt.Sprintf(form, p[0], p[1])
				_, problems := configs.Read(write(t, "otpgate.yaml", text), noEnv)
				if _, met := listenedOnTwice(problems); met != meet {
					t.Errorf("%s: %v, want %v: %v", text, met, meet, problems)
				}
			}
		}
	}
	// What stands in the file is what people can change, and not the default.
	_, problems := configs.Read(write(t, "otpgate.yaml", small+"enroll: {listen: '127.0.0.1:9812'}\n"), noEnv)
	if p, met := listenedOnTwice(problems); !met || p.Key != "enroll.listen" || p.Line != 4 {
		t.Errorf("%+v", p)
	}
}

func listenedOnTwice(all *configs.Problems) (configs.Problem, bool) {
	i := slices.IndexFunc(all.List, func(p configs.Problem) bool {
		return (strings.Contains(p.Key, "listen") || strings.Contains(p.Key, "accounting")) && strings.HasSuffix(p.Message, " already")
	})
	if i < 0 {
		return configs.Problem{}, false
	}
	return all.List[i], true
}

// What is known of a file with problems is there for those who look for more of them.
func TestAFileWithProblemsCanBeReadOn(t *testing.T) {
	c, problems := configs.Read(write(t, "otpgate.yaml", small+"otp: {digits: 9}\n"), noEnv)
	if len(problems.List) != 1 || len(c.Directories) != 1 {
		t.Fatalf("%+v, %v", c, problems)
	}
	problems.Add(c.Problem("directories[0].base_dn", "it is elsewhere", "here"))
	if got := problems.List[0]; got.Line != 3 || got.Column != 51 || got.Key != "directories[0].base_dn" || got.Hint != "here" {
		t.Errorf("%+v", got)
	}
}

// An operator's command must not go to the node of another folder.
func TestTheFolderOfTheNodeIsNotGuessed(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                             "/var/lib/otpgate",
		"data_dir: /srv/x\notp: [1]":     "/srv/x",
		"data_dir: /srv/x\notp: 1\notp:": "/srv/x",
		"data_dir: [x]":                  "",
		"data_dir: ''":                   "",
		"data_dir:":                      "",
		"data_dir: a\ndata_dir: b":       "",
		"[x]":                            "",
	} {
		dir, err := configs.DataDir(write(t, "otpgate.yaml", text))
		if dir != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, dir, err)
		}
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
	} {
		if strings.Contains(s, "long-enough") {
			t.Errorf("a secret is printed: %s", s)
		}
	}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "% X", "%d", "%c", "%t", "%U", "%08b", "%20s"} {
		if s := fmt.Sprintf(verb, c.Radius.Clients[0].Secret); s != "[redacted]" {
			t.Errorf("%s: %s", verb, s)
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
	b.OTP.Digits, b.Metrics.Listen, b.KnownAccounts = 8, ":1", 1000
	if names := strings.Join(configs.RestartNeeded(a, b), " "); names != "known_accounts otp metrics" {
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
	f.Add([]byte(gateway(everyKey)))
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
			for _, w := range c.Warnings() {
				if w.Key == "" || w.Message == "" || w.Hint == "" || w.Line < 1 || w.Column < 1 {
					t.Errorf("a warning without place or words: %+v", w)
				}
			}
			for _, client := range c.Radius.Clients {
				for _, s := range client.Explain() {
					if s.Origin == "" || s.Value == "" {
						t.Errorf("a setting from nowhere: %+v", s)
					}
				}
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
