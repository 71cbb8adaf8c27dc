package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const top = "../.." // of the tree

// fence is a fenced block of the README.
type fence struct {
	heading, language, text string
	line                    int
}

// fences returns the blocks of the README in their order, and what is outside of them.
func fences(t testing.TB) (blocks []fence, prose string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks = fenced(t, "README.md", string(data))
	var outside strings.Builder
	inside := false
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "```") {
			inside = !inside
		} else if !inside {
			outside.WriteString(line)
		}
	}
	return blocks, outside.String()
}

// fenced returns the blocks of a page in their order.
func fenced(t testing.TB, file, text string) (blocks []fence) {
	t.Helper()
	var heading string
	var open *fence
	for i, line := range strings.Split(text, "\n") {
		language, mark := strings.CutPrefix(line, "```")
		switch {
		case mark && open == nil:
			open = &fence{heading: heading, language: language, line: i + 1}
		case mark:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			if h, ok := strings.CutPrefix(line, "## "); ok {
				heading = h
			}
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block does not end", file, open.line)
	}
	return blocks
}

// TestReadme does what the README says: testdata/readme types its commands, one after the other,
// and runs what it configures. What is not there but in the README fails the tests that follow.
func TestReadme(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/readme",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			abs, err := filepath.Abs(top)
			if err != nil {
				return err
			}
			env.Setenv("TOP", abs)
			env.Values[benchKey{}], env.Values[insteadKey{}] = newBench(env), new(instead)
			demo, err := os.ReadFile(filepath.Join(top, "configs", "demo.ldif"))
			if err != nil {
				return err
			}
			if err := os.Mkdir(filepath.Join(env.WorkDir, "configs"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "configs", "demo.ldif"), demo, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"slapd": cmdSlapd, "smtp": cmdSMTP, "ports": cmdPorts, "node": cmdNode, "ready": cmdReady,
			"await": cmdAwait, "capture": cmdCapture, "code": cmdCode, "exits": cmdExits,
			"type": cmdType, "block": cmdBlock, "instead": cmdInstead,
		},
	})
}

// instead is what a script replaces in the README's text: $VARIABLE stands for its value, \n for a
// new line. The newest comes first.
type instead struct{ pairs []string }

type insteadKey struct{}

func replace(ts *testscript.TestScript, text string) string {
	return strings.NewReplacer(ts.Value(insteadKey{}).(*instead).pairs...).Replace(text)
}

// cmdInstead has another text stand in a place of the README's commands and blocks from here on.
func cmdInstead(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "instead OLD NEW")
	i := ts.Value(insteadKey{}).(*instead)
	i.pairs = append([]string{args[0], os.Expand(strings.ReplaceAll(args[1], `\n`, "\n"), ts.Getenv)}, i.pairs...)
}

// cmdType types a command of the README into a shell. With & at its end it is a node that goes on:
// n1, as of cmdNode.
func cmdType(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: type COMMAND [&]")
	}
	command, background := strings.CutSuffix(strings.Join(args, " "), " &")
	command = replace(ts, command)
	if background {
		benchOf(ts).start(ts, "n1", strings.Fields(command)[1:])
		return
	}
	if err := ts.Exec("sh", "-c", command); (err != nil) != neg {
		ts.Fatalf("%s: %v\n%s", command, err, lastLines(ts, 6))
	}
}

// cmdBlock writes the configuration under a heading of the README to a file, with lines added, and
// beside it the files that the configuration names.
func cmdBlock(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "block HEADING file [line...]")
	blocks, _ := fences(benchOf(ts).tb(ts))
	i := slices.IndexFunc(blocks, func(b fence) bool { return b.heading == args[0] && b.language == "yaml" })
	if i < 0 {
		ts.Fatalf("the README has no configuration under %q", args[0])
	}
	text := replace(ts, blocks[i].text)
	for _, line := range args[2:] {
		text += os.Expand(line, ts.Getenv) + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
	ts.Check(namedFiles(ts.MkAbs("."), text))
}

var namesFile = regexp.MustCompile(`(?m)(\w+)_file: *([^\s,}]+)`)

// namedFiles makes what a configuration names and is not there: certificates with their key, and
// secrets, none like another.
func namedFiles(dir, config string) error {
	certificate, key, err := selfSigned()
	if err != nil {
		return err
	}
	for _, m := range namesFile.FindAllStringSubmatch(config, -1) {
		path := filepath.Join(dir, m[2])
		if filepath.IsAbs(m[2]) {
			path = m[2]
		}
		if _, err := os.Stat(path); err == nil {
			continue
		}
		content := []byte("secret of " + m[2] + "\n")
		switch m[1] {
		case "key":
			content = key
		case "certificate", "ca", "client_ca":
			content = certificate
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func selfSigned() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

// TestReadmeCommandsAreTyped compares the commands of the README with those that the scripts type.
func TestReadmeCommandsAreTyped(t *testing.T) {
	scripts, err := filepath.Glob("testdata/readme/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	typed := map[string]bool{} // and whether the README has it
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:! )?type '((?:[^']|'')*)'(?: &)?$`).FindAllStringSubmatch(string(text), -1) {
			typed[strings.ReplaceAll(m[1], "''", "'")] = false
		}
	}
	blocks, _ := fences(t)
	for _, b := range blocks {
		switch b.language {
		case "console":
			for line := range strings.Lines(b.text) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
				if !ok {
					continue // what it prints
				}
				if _, ok := typed[command]; !ok {
					t.Errorf("README.md:%d: no script in testdata/readme types %q", b.line, command)
				}
				typed[command] = true
			}
		case "yaml":
		case "":
			if strings.Contains(b.text, "$ ") {
				t.Errorf("README.md:%d: a block with commands is a console", b.line)
			}
		default:
			t.Errorf("README.md:%d: nothing runs a block of %s", b.line, b.language)
		}
	}
	for command, there := range typed {
		if !there {
			t.Errorf("a script types %q, which is not in the README", command)
		}
	}
}

// TestReadmeConfigurationsLoad checks every configuration of the README as it stands there.
func TestReadmeConfigurationsLoad(t *testing.T) {
	blocks, _ := fences(t)
	blocks = slices.DeleteFunc(blocks, func(b fence) bool { return b.language != "yaml" })
	if len(blocks) == 0 {
		t.Fatal("the README has no configuration")
	}
	for _, b := range blocks {
		t.Run(b.heading, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "otpgate.yaml")
			if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := namedFiles(dir, b.text); err != nil {
				t.Fatal(err)
			}
			if status, said := typeHere(t, "check", "--config", path); status != 0 {
				t.Errorf("README.md:%d: status %d\n%s", b.line, status, said)
			}
		})
	}
}

// typeHere runs a command line in this process and returns its status and all that it printed.
func typeHere(t *testing.T, args ...string) (status int, said string) {
	t.Helper()
	var out bytes.Buffer
	rt := &runtime{
		in: strings.NewReader(""), out: &out, err: &out, now: time.Now,
		lookupEnv: func(name string) (string, bool) { return "value of " + name, true },
	}
	return rt.execute(t.Context(), args), out.String()
}

// TestReadmeProseIsTrue looks at what the README mentions in passing: commands, and places in the
// tree.
func TestReadmeProseIsTrue(t *testing.T) {
	_, prose := fences(t)
	for _, m := range regexp.MustCompile("`otpgate ([^`]*)`").FindAllStringSubmatch(prose, -1) {
		if status, said := typeHere(t, append(strings.Fields(m[1]), "--help")...); status != 0 {
			t.Errorf("otpgate %s: %s", m[1], said)
		}
	}
	place := regexp.MustCompile("`((?:cmd|configs|directory|enroll|metrics|otp|radius)(?:/[^`]*)?)`|\\]\\(([^):]*)\\)")
	places := place.FindAllStringSubmatch(prose, -1)
	if len(places) < 10 {
		t.Errorf("only %d places found", len(places))
	}
	for _, m := range places {
		if _, err := os.Stat(filepath.Join(top, m[1]+m[2])); err != nil {
			t.Error(err)
		}
	}
}
