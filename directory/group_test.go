package directory

import (
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// chain is a tree of groups: parents of each member, by DN.
func walkOver(t *testing.T, parentsOf map[string][]string) []Group {
	t.Helper()
	w := &walker{logger: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Unix(1, 0) }}
	groups, err := w.groups("cn=me", nil, func(members []term) (found []Group, more bool, err error) {
		if len(members) > termsAtOnce {
			t.Errorf("%d terms in one search", len(members))
		}
		for _, m := range members {
			if m.attribute != "member" {
				continue
			}
			for _, dn := range parentsOf[m.value] {
				found = append(found, Group{Name: dn, DN: dn})
			}
		}
		return found, false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cut := w.warned.Load() != 0; cut != (len(groups) == maxGroups || len(groups) == maxGroupDepth) {
		t.Errorf("%d groups, warned: %v", len(groups), cut)
	}
	return groups
}

func TestGroupsAreBounded(t *testing.T) {
	deep, wide, ring := map[string][]string{}, map[string][]string{}, map[string][]string{}
	parent := "cn=me"
	for i := range 100 {
		next := fmt.Sprintf("cn=%d", i)
		deep[parent] = []string{next}
		parent = next
	}
	for i := range 60 {
		group := fmt.Sprintf("cn=%d", i)
		wide["cn=me"] = append(wide["cn=me"], group)
		for j := range 60 {
			wide[group] = append(wide[group], fmt.Sprintf("cn=%d-%d", i, j))
		}
	}
	ring["cn=me"] = []string{"cn=a", "CN=A"}
	ring["cn=a"] = []string{"cn=b", "cn=me"}
	ring["cn=b"] = []string{"cn=a", "cn=b"}
	if got := len(walkOver(t, deep)); got != maxGroupDepth {
		t.Errorf("deep: %d", got)
	}
	if got := len(walkOver(t, wide)); got != maxGroups {
		t.Errorf("wide: %d", got)
	}
	if got := walkOver(t, ring); len(got) != 2 || got[0].Name != "cn=a" || got[1].Name != "cn=b" {
		t.Errorf("ring: %v", got)
	}
}
