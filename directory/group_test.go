package directory

import (
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// chain is a tree of groups: parents of each member, by DN.
func walkOver(t *testing.T, parentsOf map[string][]string) *Account {
	t.Helper()
	a := &Account{DN: "cn=me", GroupsCut: true}
	w := &walker{logger: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Unix(1, 0) }}
	err := w.fill(a, nil, func(members []term) (found []Group, more bool, err error) {
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
	if warned := w.warned.Load() != 0; warned != a.GroupsCut {
		t.Errorf("%d groups, cut: %v, warned: %v", len(a.Groups), a.GroupsCut, warned)
	}
	return a
}

func TestGroupsAreBounded(t *testing.T) {
	wide, ring := map[string][]string{}, map[string][]string{}
	chain := func(n int) map[string][]string {
		parents, parent := map[string][]string{}, "cn=me"
		for i := range n {
			next := fmt.Sprintf("cn=%d", i)
			parents[parent] = []string{next}
			parent = next
		}
		parents[parent] = []string{"cn=me"}
		return parents
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
	flat := func(n int) map[string][]string {
		parents := map[string][]string{}
		for i := range n {
			parents["cn=me"] = append(parents["cn=me"], fmt.Sprintf("cn=%d", i))
		}
		return parents
	}
	for name, c := range map[string]struct {
		parents map[string][]string
		groups  int
		cut     bool
	}{
		"none": {nil, 0, false}, "wide": {wide, maxGroups, true}, "ring": {ring, 2, false},
		"deep": {chain(100), maxGroupDepth, true}, "one too deep": {chain(maxGroupDepth + 1), maxGroupDepth, true},
		"just as deep as may be": {chain(maxGroupDepth), maxGroupDepth, false},
		"as many as may be":      {flat(maxGroups), maxGroups, false}, "one too many": {flat(maxGroups + 1), maxGroups, true},
	} {
		a := walkOver(t, c.parents)
		if len(a.Groups) != c.groups || a.GroupsCut != c.cut {
			t.Errorf("%s: %d groups, cut: %v", name, len(a.Groups), a.GroupsCut)
		}
	}
	if got := walkOver(t, ring).Groups; got[0].Name != "cn=a" || got[1].Name != "cn=b" {
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

// TestServerThatTellsNotAllGroups: a server may have a smaller limit than ours.
func TestServerThatTellsNotAllGroups(t *testing.T) {
	w := &walker{logger: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Unix(1, 0) }}
	a := &Account{DN: "cn=me"}
	err := w.fill(a, nil, func(members []term) ([]Group, bool, error) {
		return []Group{{Name: "a", DN: "cn=a"}}, members[0].value == "cn=me", nil
	})
	if err != nil || len(a.Groups) != 1 || !a.GroupsCut {
		t.Errorf("%+v, %v", a, err)
	}
}
