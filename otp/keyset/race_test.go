//go:build race

package keyset_test

const raceEnabled = true
