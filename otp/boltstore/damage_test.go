package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"otpgate/otp"
)

func TestWhatIsNoStoreIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "devices.db")
	for name, content := range map[string]string{"text": "this is no store", "zeros": string(make([]byte, 64<<10))} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Path: path}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Open: %v", name, err)
		}
		if _, err := Bound(path); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Bound: %v", name, err)
		}
	}
	if _, err := Open(Options{Path: filepath.Join(path, "below")}); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a path that cannot be: %v", err)
	}
}

func TestWhoseTheStoreIsCanBeAskedWithoutTakingIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "devices.db")
	ask := func(want string) {
		t.Helper()
		if whose, err := Bound(path); err != nil || whose != want {
			t.Errorf("%q, %v", whose, err)
		}
	}
	ask("")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("asking made the file: %v", err)
	}
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if _, err := Bound(path); !errors.Is(err, otp.ErrLocked) {
		t.Errorf("while it is used: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ask("first")
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("asking changed the file: %v", err)
	}
}
