package boltstore

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// group is accounts as a group leaves them, each with its entry if it has one.
func (x *index) group(state string, changed bool, accounts ...string) (group []*touched) {
	for _, a := range accounts {
		group = append(group, &touched{entry: x.entries.Get(a), image: image{key: a, state: state}, changed: changed})
	}
	return group
}

// cut is what a slice of a fold has of entries.
func cut(entries []*entry) ([]*entry, []string) {
	p := (&fold{entries: entries}).cut(len(entries))
	return p.entries, p.states
}

// TestIndexKeepsWhatIsNewer than the buckets, whoever else makes entries go.
func TestIndexKeepsWhatIsNewer(t *testing.T) {
	x := newIndex(1)
	x.publish(x.group("first", true, "a"), true)
	// The first of the group is one too many, and the second has been the first to go.
	group := append(x.group("other", false, "b"), x.group("second", true, "a")...)
	x.publish(group, false)
	for range 3 {
		for n := range 100 {
			x.publish(x.group("other", true, fmt.Sprint("c", n)), true)
		}
		if m, ok, _ := x.get([]byte("a")); !ok || m.state != "second" {
			t.Fatalf("%+v, %t", m, ok)
		}
	}
	if x.dirtyCount() != 1 || x.entries.Len() != 2 {
		t.Errorf("%d dirty of %d", x.dirtyCount(), x.entries.Len())
	}
	x.folded(cut(x.take()))
	x.publish(x.group("other", false, "b"), false)
	if _, ok, _ := x.get([]byte("a")); ok || x.dirtyCount() != 0 || x.entries.Len() != 1 {
		t.Errorf("%t, %d dirty of %d", ok, x.dirtyCount(), x.entries.Len())
	}
}

// TestIndexListsOnce what folds have to look at, however often and in whatever way it changes.
func TestIndexListsOnce(t *testing.T) {
	x := newIndex(8)
	for range 3 {
		x.publish(x.group("journal", true, "a", "b"), false)
		x.publish(x.group("file", true, "b"), true)
		x.publish(x.group("journal", true, "b"), false)
	}
	listed := x.take()
	if len(listed) != 2 || x.dirtyCount() != 2 {
		t.Fatalf("%d listed, %d dirty", len(listed), x.dirtyCount())
	}
	x.publish(x.group("journal", false, "a", "b"), false) // looked at only
	if x.dirtyCount() != 2 {
		t.Errorf("%d dirty after a look", x.dirtyCount())
	}
	x.publish(x.group("meanwhile", true, "a", "b"), false) // the fold will look at them still
	if next := x.take(); len(next) != 0 {
		t.Errorf("%d listed for the next fold too", len(next))
	}
	x.folded(cut(listed[:1]))
	x.publish(x.group("later", true, "a", "b"), false) // one of them is over
	if next := x.take(); len(next) != 1 || next[0] != listed[0] || x.dirtyCount() != 2 {
		t.Errorf("%d listed, %d dirty", len(next), x.dirtyCount())
	}
}

// TestIndexAndASlice has entries change while a slice with what they were is written: what they are is for the next fold.
func TestIndexAndASlice(t *testing.T) {
	x := newIndex(1)
	x.publish(x.group("filed", true, "c"), true)
	x.publish(x.group("first", true, "a", "b", "c"), false)
	x.publish(x.group("filed", true, "c"), true)
	entries, states := cut(x.take())
	x.publish(x.group("second", true, "a", "c"), false)
	x.folded(entries, states)
	for n := range 100 {
		x.publish(x.group("other", false, fmt.Sprint("d", n)), false)
	}
	for account, want := range map[string]string{"a": "second", "b": "", "c": "second"} {
		if m, _, _ := x.get([]byte(account)); m.state != want {
			t.Errorf("%s is %q, not %q", account, m.state, want)
		}
	}
	if next := x.take(); len(next) != 2 || x.dirtyCount() != 2 {
		t.Errorf("%d listed, %d dirty", len(next), x.dirtyCount())
	}
}

// TestIndexAndWhatIsGone has an entry that went to the file, and from the index, before the fold has looked at it: it
// touches nobody who has its place.
func TestIndexAndWhatIsGone(t *testing.T) {
	x := newIndex(1)
	x.publish(x.group("first", true, "a"), false)
	x.publish(x.group("filed", true, "a"), true)
	x.publish(x.group("other", false, "b"), false)
	if _, ok, _ := x.get([]byte("a")); ok {
		t.Fatal("it is there, and nothing is proven")
	}
	x.publish(x.group("second", true, "a"), false)
	listed := x.take()
	if len(listed) != 2 {
		t.Fatalf("%d listed", len(listed))
	}
	x.folded(cut(listed[:1]))
	for n := range 100 {
		x.publish(x.group("other", false, fmt.Sprint("c", n)), false)
	}
	if m, _, _ := x.get([]byte("a")); m.state != "second" || x.dirtyCount() != 1 {
		t.Errorf("%+v, %d dirty", m, x.dirtyCount())
	}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Update(func(tx *bbolt.Tx) error {
		states, err := tx.CreateBucket(statesBucket)
		if err == nil {
			err = (&fold{entries: []*entry{listed[1], listed[0]}}).cut(2).put(states)
		}
		if kept := states.Get([]byte("a")); string(kept) != "second" {
			t.Errorf("folded: %q", kept)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestIndexBeginsAnew with what the journal has, and with nothing of before.
func TestIndexBeginsAnew(t *testing.T) {
	x := newIndex(2)
	x.publish(x.group("lost", true, "a"), false)
	x.publish(x.group("filed", true, "b"), true)
	listed := x.reset(replayed{dirty: map[string]image{"b": {key: "b", state: "journal"}}})
	if stale := x.take(); len(stale) != 0 || len(listed) != 1 || listed[0].key != "b" || x.dirtyCount() != 1 {
		t.Fatalf("%d stale, %d listed, %d dirty", len(stale), len(listed), x.dirtyCount())
	}
	for n := range 10 {
		x.publish(x.group("other", true, fmt.Sprint("c", n)), true)
	}
	if m, _, _ := x.get([]byte("b")); m.state != "journal" {
		t.Errorf("%+v", m)
	}
	if _, ok, _ := x.get([]byte("a")); ok {
		t.Error("what nobody knows is there")
	}
	x.publish(x.group("later", true, "b"), false) // the first fold will look at it
	if next := x.take(); len(next) != 0 {
		t.Errorf("%d listed for the next fold too", len(next))
	}
}

// TestIndexForgets those that were not used, before those that were.
func TestIndexForgets(t *testing.T) {
	const capacity = 16
	x := newIndex(capacity)
	x.publish(x.group("often", false, "often"), false)
	for n := range 1000 {
		x.publish(x.group("once", false, fmt.Sprint(n)), false)
		if _, ok, _ := x.get([]byte("often")); !ok {
			t.Fatal("what was used all the time is gone")
		}
		x.publish(x.group("often", false, "often"), false)
		if x.entries.Len() > capacity || len(x.queue) > capacity {
			t.Fatalf("%d entries, %d in the queue", x.entries.Len(), len(x.queue))
		}
	}
	if _, ok, _ := x.get([]byte("10")); ok {
		t.Error("what was used once is there")
	}
}
