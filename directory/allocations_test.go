//go:build !race

package directory_test

import (
	"testing"
	"time"
)

// TestAllocations holds what finding a known account allocates to what it did when that was last written
// down: neither more, nor less. The race detector allocates by itself, so `make unit` runs this without it.
func TestAllocations(t *testing.T) {
	c := inFile(t, "dn: uid=jörg,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: jörg\n\ndn: uid=alice,dc=corp,dc=example\nobjectClass: inetOrgPerson\nuid: alice\n")
	c.Realms, c.Fresh, c.Stale = []string{"corp.example", "CORP"}, time.Minute, time.Hour
	s := open(t, newClock(), c)
	for name, written := range map[string]float64{"alice": 1, `CORP\alice`: 5, "jörg": 6} {
		mustFind(t, s, name)
		got := testing.AllocsPerRun(500, func() {
			if _, ok := s.FindKnown(name, nil); !ok {
				t.Fatal("it is not known")
			}
		})
		if got != written {
			t.Errorf("%s: %v allocations, written down are %v", name, got, written)
		}
	}
}
