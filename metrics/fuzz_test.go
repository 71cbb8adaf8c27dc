package metrics

import (
	"strings"
	"testing"
)

// FuzzAccept: whatever a header says, JSON is for who names it.
func FuzzAccept(f *testing.F) {
	f.Add("application/json;q=0.5, text/plain")
	f.Add("*/*")
	f.Add("application/json; q=\"")
	f.Fuzz(func(t *testing.T, accept string) {
		if wantsJSON([]string{accept}) && !strings.Contains(strings.ToLower(accept), "json") {
			t.Fatal(accept)
		}
	})
}
