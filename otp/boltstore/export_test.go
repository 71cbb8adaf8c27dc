package boltstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// OpenTiny opens a store that forgets and folds all the time.
func OpenTiny(o Options) (*Store, error) {
	return open(o, bounds{remembered: 2, foldAccounts: 2, foldOctets: 2000, foldSlice: 1})
}

// Killed copies a store that stands still as it is on disk, which is what the death of its process leaves.
func Killed(t *testing.T, s *Store) (path string) {
	t.Helper()
	release := hang(s)
	defer release()
	from := s.options.Path
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	files, err := filepath.Glob(from + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+strings.TrimPrefix(file, from), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
