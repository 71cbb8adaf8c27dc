package directory

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// person is an account as a server tells it: every text in a piece of memory of its own.
func person(i int, groups ...Group) *Account {
	text := func(format string) string { return strings.Clone(fmt.Sprintf(format, i)) }
	return &Account{
		ID: text("0c000000-0000-4000-8000-%012d"), Directory: "corp",
		DN: text("uid=person%06d,ou=people,dc=corp,dc=example"), Name: text("person%06d"), Mail: text("person%06d@corp.example"),
		FullName: text("Person Number %06d"), Language: strings.Clone("en"), GroupsCut: true, Groups: groups,
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one swept late
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryOfAnAccount holds what a node needs for an account that it remembers, as the documentation of
// known_accounts tells it.
func TestMemoryOfAnAccount(t *testing.T) {
	const n = 30_000
	for name, c := range map[string]struct {
		groups []Group
		most   uint64
	}{
		"without groups": {nil, 460},
		"in ten groups that others are in too": {func() (list []Group) {
			for i := range 10 {
				list = append(list, Group{Name: fmt.Sprint("group-", i), DN: fmt.Sprintf("cn=group-%d,ou=groups,dc=corp,dc=example", i)})
			}
			return list
		}(), 460},
	} {
		m := newMemory(slog.New(slog.DiscardHandler), time.Now)
		m.resize(2 * n)
		before := heapInUse()
		for round := range 2 { // the second answer takes the place of the first
			for i := range n {
				m.keep(strings.Clone(fmt.Sprintf("person%06d", i)), person(i, c.groups...), time.Unix(int64(round), 0))
			}
		}
		each := (heapInUse() - before) / n
		t.Logf("figures: octets of memory for a known account (directory), %s: %d", name, each)
		if each > c.most {
			t.Errorf("%s: %d octets an account, want %d at most", name, each, c.most)
		}
		runtime.KeepAlive(m)
	}
}

func TestWhatIsRememberedIsWhatWasTold(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	staff := Group{Name: "staff", Aliases: []string{"people", "all"}, DN: "cn=staff,dc=corp"}
	vpn := Group{Name: "vpn", DN: "cn=vpn,dc=corp"}
	many := make([]Group, 2*maxSharedDNs)
	for i := range many {
		many[i] = Group{Name: fmt.Sprint(i), DN: fmt.Sprintf("cn=%d,dc=corp", i)}
	}
	renamed := staff
	renamed.Aliases = []string{"people"}
	for i, told := range []*Account{
		{ID: "1"}, person(1), person(2, staff, vpn), person(3, staff, vpn), person(4, vpn, staff), person(5, renamed, vpn), person(6, many...),
		{ID: "ä", Name: "", DN: "x", Attributes: map[string][]string{"title": {"a", "b"}}, Oversized: []string{"photo"}, Disabled: true},
	} {
		r.account = told
		got, err := r.find(context.Background(), fmt.Sprint("name", i), r.ask)
		if err != nil || !reflect.DeepEqual(got, told) {
			t.Errorf("%d: remembered %+v, want %+v (%v)", i, got, told, err)
		}
	}
	two, _ := r.known("name2")
	three, _ := r.known("name3")
	if &two.Groups[0] != &three.Groups[0] {
		t.Error("two lists of the same groups")
	}
}

func TestSharingIsBounded(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	for i := range 2*maxShared + 10 {
		r.memory.keep("name", person(i, Group{Name: fmt.Sprint(i), DN: fmt.Sprint("cn=", i)}), r.at)
	}
	if s := &r.memory.sharing; len(s.texts) > maxShared || len(s.lists) > maxShared {
		t.Errorf("%d texts, %d lists", len(s.texts), len(s.lists))
	}
}

// TestTooSmallAMemorySaysSo once, and counts.
func TestTooSmallAMemorySaysSo(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	var log bytes.Buffer
	r.memory.logger = slog.New(slog.NewTextHandler(&log, nil))
	fill := func(from, n int) {
		for i := from; i < from+n; i++ {
			if _, err := r.find(t.Context(), fmt.Sprint("person", i), r.ask); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(0, 100)
	r.at = r.at.Add(time.Hour) // nobody counts on those any more: who comes now may have their place
	fill(100, 50)
	pushedOut := r.memory.pushedOut.Load()
	if pushedOut < 40 || pushedOut > 60 {
		t.Errorf("%d accounts were pushed out", pushedOut)
	}
	fill(200, 500)
	if r.memory.pushedOut.Load() < pushedOut+400 {
		t.Errorf("%d accounts were pushed out", r.memory.pushedOut.Load())
	}
	if n := strings.Count(log.String(), "known_accounts"); n != 2 || strings.Count(log.String(), "\n") != 1 { // the figure and the hint
		t.Errorf("the log:\n%s", log.String())
	}
}

func TestAReloadTakesOverWhatIsRemembered(t *testing.T) {
	r := newRig(t, time.Minute, time.Hour)
	for i := range 100 {
		if _, err := r.find(t.Context(), fmt.Sprint("person", i), r.ask); err != nil {
			t.Fatal(err)
		}
	}
	next := newCache(Config{Fresh: 2 * time.Minute, Stale: time.Hour}, 50, r.cache, r.logger, r.now)
	if n := next.memory.accounts.Len(); n != 50 || next.memory != r.memory {
		t.Errorf("%d accounts are remembered", n)
	}
}
