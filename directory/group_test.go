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

// TestGroupNames: what reads as a DN is compared as one, and with nothing else.
func TestGroupNames(t *testing.T) {
	const admins = "cn=admins,dc=corp"
	forged := Group{Name: admins, Aliases: []string{"CN=admins, DC=corp", "x=1"}, DN: "cn=cn\\3Dadmins\\2Cdc\\3Dcorp,ou=own,dc=corp"}
	real := Group{Name: "admins", Aliases: []string{"Roots", "a = b, c"}, DN: admins}
	for _, c := range []struct {
		group  Group
		name   string
		called string
		is     bool
	}{
		{forged, admins, "", false}, {forged, "CN=admins, DC=corp", "", false}, {forged, "x=1", "", false},
		{forged, "admins", "", false}, {forged, forged.DN, forged.Name, true},
		{real, "ADMINS", "admins", true}, {real, "CN=Admins, DC=CORP", "admins", true}, {real, "roots", "Roots", true},
		{real, "a = b, c", "a = b, c", true}, // no DN
		{real, "", "", false}, {Group{}, "", "", false}, {Group{Aliases: []string{""}}, "", "", false}, {real, "admin", "", false},
	} {
		called, is := c.group.Called(c.name)
		if is != c.is || is && called != c.called || c.group.Is(c.name) != c.is {
			t.Errorf("%q is %q: %v, as %q", c.group.Name, c.name, is, called)
		}
		if in := (&Account{Groups: []Group{{Name: "other"}, c.group}}).InAny([]string{"none", c.name}); in != c.is {
			t.Errorf("in %q: %v", c.name, in)
		}
	}
}
