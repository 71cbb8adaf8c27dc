package boltstore

import "testing"

// OpenTiny opens a store that forgets and folds all the time.
func OpenTiny(o Options) (*Store, error) {
	return open(o, bounds{remembered: 2, foldAccounts: 2, foldOctets: 2000, foldSlice: 1})
}

// Killed copies a store that stands still as it is on disk, which is what the death of its process leaves.
func Killed(t *testing.T, s *Store) (path string) {
	t.Helper()
	release := hang(s)
	defer release()
	return copied(t, s)
}
