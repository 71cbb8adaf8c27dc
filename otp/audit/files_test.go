package audit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestNumbersOfRotatedFilesEnd: a fifth digit would sort before the four of those that are older, and what is removed
// first is what sorts first. The microsecond that follows begins anew, and what sorts last is the newest still, also
// when the clock goes back.
func TestNumbersOfRotatedFilesEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	now := time.Date(2026, 11, 27, 9, 0, 0, 999_999_000, time.UTC)
	var made []string
	rotate := func(at time.Time, stamp string, n int) {
		t.Helper()
		name := free(path, at)
		if want := rotatedName(path, stamp, n); name != want {
			t.Errorf("%s, want %s", filepath.Base(name), filepath.Base(want))
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, name)
	}
	const full, next = "20261127T090000.999999", "20261127T090001.000000"
	made = append(made, rotatedName(path, full, lastNumber-1))
	if err := os.WriteFile(made[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rotate(now, full, lastNumber)
	rotate(now, next, 0)
	rotate(now, next, 1)
	rotate(now.Add(-time.Hour), next, 2)
	rotate(now.Add(time.Microsecond), next, 3)
	rotate(now.Add(time.Second), "20261127T090001.999999", 0)
	if got := rotated(path); !slices.Equal(got, made) {
		t.Errorf("sorted: %q, made: %q", got, made)
	}
}
