package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
)

// note makes one that expires in an hour.
func note(kind, key, field, value string) otp.Note {
	return otp.Note{Kind: kind, Key: key, Field: field, Value: []byte(value), Expires: start.Add(time.Hour)}
}

func (x *exam) putNotes(notes ...otp.Note) {
	x.Helper()
	if err := x.store.PutNotes(x.context(), notes); err != nil {
		x.Fatalf("PutNotes: %v", err)
	}
}

func (x *exam) notes(kind, key string, after time.Duration) []otp.Note {
	x.Helper()
	notes, err := x.store.Notes(x.context(), kind, key, start.Add(after))
	if err != nil {
		x.Fatalf("Notes: %v", err)
	}
	return notes
}

// wantNotes compares the notes that there are with field=value, by field.
func (x *exam) wantNotes(kind, key string, after time.Duration, want ...string) {
	x.Helper()
	var got []string
	for _, n := range x.notes(kind, key, after) {
		if n.Kind != kind || n.Key != key || n.Value == nil {
			x.Fatalf("%+v among the notes of %q, %q", n, kind, key)
		}
		got = append(got, n.Field+"="+string(n.Value))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		x.Fatalf("notes of %q, %q: %q, want %q", kind, key, got, want)
	}
}

func runNotes(t *testing.T, open Open) {
	cases{
		{"none", func(x *exam) {
			x.wantNotes("kind", "key", 0)
			x.putNotes()
			x.putNotes(otp.Note{Kind: "kind", Key: "key", Field: "f"})
			x.wantNotes("kind", "key", 0)
		}},
		{"they come by field, as they were put", func(x *exam) {
			x.putNotes(note("kind", "key", "b", "2"), note("kind", "key", "", "0"), note("kind", "key", "c", ""), note("kind", "key", "a", "1"))
			x.wantNotes("kind", "key", 0, "=0", "a=1", "b=2", "c=")
			if n := x.notes("kind", "key", 0)[0]; !n.Expires.Equal(start.Add(time.Hour)) {
				x.Fatalf("%+v", n)
			}
		}},
		{"a new one replaces the old one", func(x *exam) {
			x.putNotes(note("kind", "key", "a", "1"), note("kind", "key", "b", "2"))
			later := note("kind", "key", "a", "3")
			later.Expires = start.Add(2 * time.Hour)
			x.putNotes(later)
			x.wantNotes("kind", "key", 0, "a=3", "b=2")
			x.wantNotes("kind", "key", 90*time.Minute, "a=3")
		}},
		{"in the order of the call", func(x *exam) {
			x.putNotes(note("kind", "key", "a", "1"), note("kind", "key", "a", "2"))
			x.wantNotes("kind", "key", 0, "a=2")
			gone := otp.Note{Kind: "kind", Key: "key", Field: "a"}
			x.putNotes(note("kind", "key", "a", "3"), gone)
			x.wantNotes("kind", "key", 0)
			x.putNotes(gone, note("kind", "key", "a", "4"))
			x.wantNotes("kind", "key", 0, "a=4")
		}},
		{"without a value it is removed, with an empty one it stays", func(x *exam) {
			x.putNotes(note("kind", "key", "a", "1"), note("kind", "key", "b", "2"))
			x.putNotes(otp.Note{Kind: "kind", Key: "key", Field: "a", Expires: start.Add(time.Hour)}, otp.Note{Kind: "kind", Key: "key", Field: "none"})
			x.wantNotes("kind", "key", 0, "b=2")
			x.putNotes(note("kind", "key", "b", ""))
			x.wantNotes("kind", "key", 0, "b=")
			x.putNotes(otp.Note{Kind: "kind", Key: "key", Field: "b"})
			x.wantNotes("kind", "key", 0)
		}},
		{"expired by the clock of whoever asks, to the millisecond", func(x *exam) {
			x.putNotes(note("kind", "key", "a", "1"))
			x.wantNotes("kind", "key", time.Hour-time.Millisecond, "a=1")
			x.wantNotes("kind", "key", time.Hour)
			x.wantNotes("kind", "key", -1000*time.Hour, "a=1")
			x.putNotes(otp.Note{Kind: "kind", Key: "key", Field: "never", Value: []byte("x")})
			x.wantNotes("kind", "key", 0, "a=1")
			past := note("kind", "past", "a", "1")
			past.Expires = time.Unix(1_000_000_000, 0) // for a store's own clock, too
			x.putNotes(past)
			x.wantNotes("kind", "past", 0)
			if notes, err := x.store.Notes(x.context(), "kind", "past", time.Unix(999_999_999, 0)); err != nil || len(notes) != 1 {
				x.Fatalf("%v, %v", notes, err)
			}
		}},
		{"kinds and keys have their own", func(x *exam) {
			x.putNotes(note("a", "bc", "d", "1"), note("ab", "c", "d", "2"), note("", "abc", "d", "3"), note("abc", "", "d", "4"), note("a", "b", "cd", "5"), note("a", "b", "c", "6"))
			x.wantNotes("a", "bc", 0, "d=1")
			x.wantNotes("ab", "c", 0, "d=2")
			x.wantNotes("", "abc", 0, "d=3")
			x.wantNotes("abc", "", 0, "d=4")
			x.wantNotes("a", "b", 0, "c=6", "cd=5")
			x.wantNotes("", "", 0)
		}},
		{"hostile names", testHostileNotes},
		{"what is too long is refused, and nothing of the call is kept", testLongNotes},
		{"MaxNotes are kept, the one that expires first makes room", testMaxNotes},
		{"they are no account's devices or tickets", func(x *exam) {
			x.account = "only notes"
			x.putNotes(note("a", x.account, "v", "7"), note("t1", x.account, "d", "1"), note("1", x.account, "d", "1"))
			if s := x.snapshot(x.account); s.Version != 0 || len(s.Devices) != 0 {
				x.Fatalf("%+v", s)
			}
			x.take(otp.EnrollmentTicket, digest(1), 0, false)
		}},
		{"what the caller does with its slices later changes nothing", func(x *exam) {
			notes := []otp.Note{note("kind", "key", "a", "1")}
			x.putNotes(notes...)
			notes[0].Value[0] = 'x'
			x.notes("kind", "key", 0)[0].Value[0] = 'y'
			x.wantNotes("kind", "key", 0, "a=1")
		}},
	}.run(t, open)
}

func testHostileNotes(x *exam) {
	var names []string
	for _, n := range HostileAccounts() {
		if len(n) <= otp.MaxNoteName {
			names = append(names, n)
		}
	}
	for n, name := range names {
		x.putNotes(note(name, "key", name, fmt.Sprint("kind ", n)), note("kind", name, name, fmt.Sprint("key ", n)))
	}
	for n, name := range names {
		x.wantNotes(name, "key", 0, fmt.Sprint(name, "=kind ", n))
		x.wantNotes("kind", name, 0, fmt.Sprint(name, "=key ", n))
	}
	fields := names[:min(len(names), otp.MaxNotes)]
	for n, name := range fields {
		x.putNotes(note("fields", "key", name, fmt.Sprint(n)))
	}
	if got := x.notes("fields", "key", 0); len(got) != len(fields) {
		x.Fatalf("%d fields, want %d", len(got), len(fields))
	}
}

func testLongNotes(x *exam) {
	name, value := strings.Repeat("n", otp.MaxNoteName), strings.Repeat("v", otp.MaxNoteValue)
	x.putNotes(note(name, name, name, value))
	x.wantNotes(name, name, 0, name+"="+value)
	for _, long := range []otp.Note{note(name+"n", "key", "f", "v"), note("kind", name+"n", "f", "v"), note("kind", "key", name+"n", "v"), note("kind", "key", "f", value+"v")} {
		err := x.store.PutNotes(x.context(), []otp.Note{note("kind", "key", "a", "1"), long, note("kind", "key", "b", "1")})
		if !errors.Is(err, otp.ErrNoteInvalid) || errors.Is(err, otp.ErrUnavailable) {
			x.Fatalf("a note of %d, %d, %d and %d octets: %v", len(long.Kind), len(long.Key), len(long.Field), len(long.Value), err)
		}
	}
	x.wantNotes("kind", "key", 0)
}

func testMaxNotes(x *exam) {
	numbered := func(n int, expires time.Duration) otp.Note {
		v := note("kind", "key", fmt.Sprintf("%03d", n), strings.Repeat("v", otp.MaxNoteValue))
		v.Expires = start.Add(expires)
		return v
	}
	has := func(want bool, n int) {
		x.Helper()
		got := false
		for _, v := range x.notes("kind", "key", -time.Hour) {
			got = got || v.Field == fmt.Sprintf("%03d", n)
		}
		if got != want {
			x.Fatalf("field %d is there: %t, want %t", n, got, want)
		}
	}
	var notes []otp.Note
	for n := range otp.MaxNotes {
		notes = append(notes, numbered(n, time.Duration(100+(n*37)%otp.MaxNotes)*time.Second)) // 0 expires first, then 45
	}
	x.putNotes(notes...)
	x.putNotes(numbered(5, time.Hour)) // no new field
	if got := x.notes("kind", "key", 0); len(got) != otp.MaxNotes {
		x.Fatalf("%d notes, want %d", len(got), otp.MaxNotes)
	}
	x.putNotes(numbered(500, time.Second)) // expires first of all, but is new
	has(false, 0)
	has(true, 500)
	x.putNotes(numbered(501, time.Hour))
	has(false, 500)
	has(true, 45)
	x.putNotes(numbered(502, time.Hour))
	has(false, 45)
	has(true, 5)
	if got := x.notes("kind", "key", -time.Hour); len(got) != otp.MaxNotes {
		x.Fatalf("%d notes, want %d", len(got), otp.MaxNotes)
	}
	x.putNotes(note("kind", "other", "f", "v"), note("other", "key", "f", "v")) // have room
	has(true, 502)
}

// testNotesTogether writes two fields at once from many sides: whoever reads finds both of one writer.
func testNotesTogether(x *exam) {
	ctx := x.context()
	x.putNotes(note("kind", "key", "a", "12345678"), note("kind", "key", "b", "12345678"))
	var mixed atomic.Int32
	together(40, func(n int) {
		for round := range 10 {
			if n%2 == 0 {
				v := string(binary.BigEndian.AppendUint64(nil, uint64(n*100+round)))
				if err := x.store.PutNotes(ctx, []otp.Note{note("kind", "key", "a", v), note("kind", "key", "b", v)}); err != nil {
					x.Error(err)
				}
				continue
			}
			notes, err := x.store.Notes(ctx, "kind", "key", start)
			if err != nil || len(notes) != 2 {
				x.Error(len(notes), err)
				return
			}
			if !bytes.Equal(notes[0].Value, notes[1].Value) {
				mixed.Add(1)
			}
		}
	})
	if n := mixed.Load(); n > 0 {
		x.Fatalf("%d times one writer's note stood beside another's", n)
	}
}

// testNotesBounded writes more fields at once than there may be.
func testNotesBounded(x *exam) {
	ctx := x.context()
	together(300, func(n int) {
		if err := x.store.PutNotes(ctx, []otp.Note{note("kind", "key", fmt.Sprint(n), "v")}); err != nil {
			x.Error(err)
		}
	})
	if got := x.notes("kind", "key", 0); len(got) != otp.MaxNotes {
		x.Fatalf("%d notes, want %d", len(got), otp.MaxNotes)
	}
}
