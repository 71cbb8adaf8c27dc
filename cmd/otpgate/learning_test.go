package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestANodeHasANameOfItsOwn: the same after a restart, no other's, and an error where it cannot be kept:
// with a new name at every start a node would count as many.
func TestANodeHasANameOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	first, err := nodeID(dir)
	if err != nil || first == "" || len(first) > 64 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := nodeID(dir); err != nil || again != first {
		t.Errorf("after a restart %q, %v, want %q", again, err, first)
	}
	if other, err := nodeID(t.TempDir()); err != nil || other == first {
		t.Errorf("another node: %q, %v", other, err)
	}
	file := filepath.Join(dir, nodeName)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for what, text := range map[string]string{"cut short by a full disk": "", "too long": strings.Repeat("x", 65)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name, err := nodeID(dir); err != nil || name == "" || name == first || len(name) > 64 {
			t.Errorf("%s: %q, %v", what, name, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if name, err := nodeID(dir); err == nil {
		t.Errorf("a folder in its place: %q", name)
	}
	if name, err := nodeID(filepath.Join(dir, "nowhere")); err == nil {
		t.Errorf("no data_dir: %q", name)
	}
}
