package keyset_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"otpgate/otp/keyset"
)

func open(t *testing.T, dir string) *keyset.Keys {
	t.Helper()
	k, _, err := keyset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysAreMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	first, created, err := keyset.Open(dir)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	info, err := os.Stat(filepath.Join(dir, keyset.Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	second, created, err := keyset.Open(dir)
	if err != nil || created {
		t.Fatalf("created %v, %v", created, err)
	}
	sealed, err := first.Seal([]byte("seed"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := second.Open(sealed, []byte("ad")); err != nil || string(plain) != "seed" {
		t.Errorf("%q, %v", plain, err)
	}
	if first.Fingerprint() != second.Fingerprint() || first.MAC("a", []byte("b")) != second.MAC("a", []byte("b")) {
		t.Error("the same file gives different keys")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".keyset-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEveryFlippedBitOfASealIsNoticed(t *testing.T) {
	k := open(t, t.TempDir())
	sealed, err := k.Seal([]byte("12345678901234567890"), []byte("ad"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := k.Open(bad, []byte("ad")); err == nil {
			t.Errorf("bit %d can be flipped", bit)
		}
	}
	if _, err := k.Open(sealed, []byte("another")); err == nil {
		t.Error("it opens with other associated data")
	}
	if _, err := open(t, t.TempDir()).Open(sealed, []byte("ad")); err == nil {
		t.Error("it opens with another keyset")
	}
}

func TestMACsOfDifferentListsDiffer(t *testing.T) {
	k := open(t, t.TempDir())
	seen := map[[32]byte]int{}
	for i, sum := range [][32]byte{
		k.MAC("p"), k.MAC("p", nil), k.MAC("p", nil, nil), k.MAC("p", []byte("ab")), k.MAC("p", []byte("a"), []byte("b")),
		k.MAC("p", []byte("b"), []byte("a")), k.MAC("pa", []byte("b")), k.MAC("", []byte("p")), k.MAC("q", []byte("ab")),
	} {
		if j, ok := seen[sum]; ok {
			t.Errorf("%d and %d are the same", i, j)
		}
		seen[sum] = i
	}
}

func TestAFileThatMustNotBeUsedIsRefusedAndLeftAlone(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	path := filepath.Join(dir, keyset.Name)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		mode os.FileMode
		want error
	}{
		"readable by the group": {good, 0o640, keyset.ErrExposed},
		"readable by all":       {good, 0o604, keyset.ErrExposed},
		"writable by the group": {good, 0o620, keyset.ErrExposed},
		"empty":                 {nil, 0o600, keyset.ErrDamaged},
		"cut short":             {good[:len(good)/2], 0o600, keyset.ErrDamaged},
		"of another version":    {bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1), 0o600, keyset.ErrDamaged},
		"not ours":              {[]byte(`{"key": "value"}`), 0o600, keyset.ErrDamaged},
		"without a PRF key":     {bytes.Replace(good, []byte(`"prf"`), []byte(`"sealing"`), 1), 0o600, keyset.ErrDamaged},
		"without sealing keys":  {bytes.Replace(good, []byte(`"sealing"`), []byte(`"prf"`), 1), 0o600, keyset.ErrDamaged},
		"with keys mixed up":    {swapped(t, good), 0o600, keyset.ErrDamaged},
		"with HMAC-SHA1":        {bytes.Replace(good, []byte("EgIIAxog"), []byte("EgIIARog"), 1), 0o600, keyset.ErrDamaged},
	} {
		if err := errors.Join(os.WriteFile(path, c.data, 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(c.data, good) && c.want == keyset.ErrDamaged {
			t.Fatalf("%s: this is a good file", name)
		}
		k, created, err := keyset.Open(dir)
		if !errors.Is(err, c.want) || created || k != nil {
			t.Fatalf("%s: created %v, %v", name, created, err)
		}
		if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hint") {
			t.Errorf("%s: no path, or more than the fact, in %v", name, err)
		}
		for _, secret := range secrets(t, good) {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds a key", name)
			}
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, c.data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// swapped has each of the two keysets in the place of the other.
func swapped(t *testing.T, data []byte) []byte {
	t.Helper()
	var l map[string]any
	if err := json.Unmarshal(data, &l); err != nil {
		t.Fatal(err)
	}
	l["sealing"], l["prf"] = l["prf"], l["sealing"]
	out, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// secrets are the key values of a file.
func secrets(t *testing.T, data []byte) []string {
	t.Helper()
	var values []string
	for _, m := range regexp.MustCompile(`"value": *"([^"]+)"`).FindAllSubmatch(data, -1) {
		values = append(values, string(m[1]))
	}
	if len(values) != 2 {
		t.Fatalf("%d keys are in the file", len(values))
	}
	return values
}

func TestAnExposedFileIsOpenedAgainOnceItIsClosed(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	path := filepath.Join(dir, keyset.Name)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := keyset.Open(dir)
	if !errors.Is(err, keyset.ErrExposed) {
		t.Fatalf("%v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if open(t, dir).Fingerprint() != first.Fingerprint() {
		t.Error("the keys changed")
	}
}

// What an earlier process left of a file that it never finished is in nobody's way.
func TestAnUnfinishedFileIsNotMistakenForTheKeyset(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".keyset-123"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, created, err := keyset.Open(dir); err != nil || !created {
		t.Errorf("created %v, %v", created, err)
	}
}

// Real processes, all of which find no keyset, as far as they can be made to start at once.
func TestProcessesThatCreateAtOnceGetTheSameKeys(t *testing.T) {
	if dir := os.Getenv("OTPGATE_KEYSET_OPEN"); dir != "" {
		if _, err := os.Stdin.Read(make([]byte, 1)); err != io.EOF { // the parent lets all go
			t.Fatal(err)
		}
		k, created, err := keyset.Open(dir)
		fmt.Printf("%v %v %v\n", k, created, err)
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "data")
	gate, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outs := make([]bytes.Buffer, 8)
	processes := make([]*exec.Cmd, len(outs))
	for i := range processes {
		c := exec.Command(os.Args[0], "-test.run=^TestProcessesThatCreateAtOnceGetTheSameKeys$")
		c.Env = append(os.Environ(), "OTPGATE_KEYSET_OPEN="+dir)
		c.Stdin, c.Stdout, c.Stderr = gate, &outs[i], &outs[i]
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		processes[i] = c
	}
	if err := errors.Join(gate.Close(), hold.Close()); err != nil {
		t.Fatal(err)
	}
	created, want := 0, ""
	for i, c := range processes {
		if err := c.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, outs[i].Bytes())
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(outs[i].String(), "keyset "), " ")
		switch rest {
		case "true <nil>\n":
			created++
		case "false <nil>\n":
		default:
			t.Errorf("process %d: %s", i, outs[i].String())
		}
		if want == "" {
			want = name
		}
		if name != want {
			t.Errorf("process %d has other keys", i)
		}
	}
	if created != 1 {
		t.Errorf("%d processes say that they made the keyset", created)
	}
}

func TestMACsHardlyAllocate(t *testing.T) {
	k := open(t, t.TempDir())
	account, proof := []byte("account"), []byte("123456")
	k.MAC("warm", account, proof)
	limit := 0.0
	if raceEnabled {
		limit = 16 // the race detector has sync.Pool lose some
	}
	if n := testing.AllocsPerRun(100, func() { k.MAC("token", account, proof) }); n > limit {
		t.Errorf("a MAC allocates %v times", n)
	}
}

func TestMACsDoNotDependOnWhatWasMadeBefore(t *testing.T) {
	k := open(t, t.TempDir())
	want := k.MAC("p", []byte("part"))
	for n := range 3 * 8192 / 512 {
		k.MAC("q", make([]byte, n*512))
		if k.MAC("p", []byte("part")) != want {
			t.Fatalf("another MAC after one over %d octets", n*512)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	k, _, err := keyset.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	part := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		k.MAC("token", part, part)
	}
}

func TestKeysPrintAsTheirFingerprint(t *testing.T) {
	k := open(t, t.TempDir())
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(form, k); strings.TrimPrefix(s, "keyset ") != k.Fingerprint() {
			t.Errorf("%s prints %q", form, s)
		}
	}
}
