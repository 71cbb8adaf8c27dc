package keyset_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
		"empty":                 {nil, 0o600, keyset.ErrDamaged},
		"cut short":             {good[:len(good)/2], 0o600, keyset.ErrDamaged},
		"of another version":    {bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1), 0o600, keyset.ErrDamaged},
		"not ours":              {[]byte(`{"key": "value"}`), 0o600, keyset.ErrDamaged},
	} {
		if err := errors.Join(os.WriteFile(path, c.data, 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		if _, created, err := keyset.Open(dir); !errors.Is(err, c.want) || created {
			t.Errorf("%s: created %v, %v", name, created, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, c.data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestProcessesThatCreateAtOnceGetTheSameKeys(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	prints := make([]string, 16)
	for i := range prints {
		wg.Go(func() {
			k, _, err := keyset.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = k.Fingerprint()
		})
	}
	wg.Wait()
	for _, p := range prints {
		if p != prints[0] {
			t.Fatalf("different keys: %v", prints)
		}
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
