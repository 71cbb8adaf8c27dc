package directorytest

import (
	"testing"

	"otpgate/directory"
	"otpgate/directory/slapdtest"
)

// The names that the suite gives to what it opens. An Open function keeps them.
const (
	Directory = "corp"
	Realm     = "corp.example"
	Domain    = "CORP"
)

// Open returns a set of one directory that holds [slapdtest.Entries]: [Directory] with the realms
// [Realm] and [Domain], groups resolved, nothing remembered, and otherwise as change leaves it. It
// is closed by whoever opened it, at the end of the test.
type Open func(t *testing.T, change func(*directory.Config)) *directory.Set

// Base returns the configuration that an Open function starts from; where the directory is has
// still to be said.
func Base() directory.Config {
	return directory.Config{
		Name: Directory, Realms: []string{Realm, Domain}, BaseDN: slapdtest.BaseDN, Groups: true,
	}
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Run("accounts", func(t *testing.T) { testAccounts(t, open) })
	t.Run("names", func(t *testing.T) { testNames(t, open) })
	t.Run("mail", func(t *testing.T) { testMail(t, open) })
	t.Run("groups", func(t *testing.T) { testGroups(t, open) })
	t.Run("attributes", func(t *testing.T) { testAttributes(t, open) })
	t.Run("passwords", func(t *testing.T) { testPasswords(t, open) })
	t.Run("memory", func(t *testing.T) { testMemory(t, open) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, open) })
}
