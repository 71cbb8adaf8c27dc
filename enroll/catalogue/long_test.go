package catalogue

import (
	"strings"
	"testing"
)

// TestLongWishesAreCut: a language is asked for by anybody, without a limit, and matching thousands takes
// milliseconds. What is said first counts.
func TestLongWishesAreCut(t *testing.T) {
	c := load(t)
	long := strings.Repeat("de,", 2700)
	if n := testing.AllocsPerRun(3, func() { c.Pick(long, long) }); n > 1000 {
		t.Errorf("%.0f allocations", n)
	}
	if got := c.Pick("", "de, pt;q=0.9, "+long).Language(); got != "pt" {
		t.Error(got)
	}
	if got := c.Pick("", long+"pt").Language(); got != "en" {
		t.Error(got)
	}
}
