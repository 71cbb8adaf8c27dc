package overload

import (
	"testing"
	"time"
)

// TestInVain: a client that is told no most of the time keeps a few places and turns, until it is not any more.
func TestInVain(t *testing.T) {
	s, r := new(Share), NewRoom(4096, 0)
	notes := 0
	for ; !s.InVain(); notes++ {
		s.Note(true)
	}
	if notes < memory || notes > 4*memory {
		t.Errorf("%d in vain were enough", notes)
	}
	for range 10 * memory {
		s.Note(true)
	}
	if got := enter(r, s, 1000, false, start()); got != few {
		t.Errorf("%d places, want %d", got, few)
	}
	if got := enter(r, new(Share), 1000, false, start()); got != 1000 {
		t.Errorf("another client has %d places", got)
	}
	if got := enter(r, s, 100, true, start()); got != 100 {
		t.Errorf("who goes first has %d places", got)
	}
	turns := func(now time.Time) (n int) {
		for range 1000 {
			if s.Turn(now) {
				n++
			}
		}
		return n
	}
	for _, at := range []time.Duration{0, time.Hour, 0} {
		for range 2 * few { // to ask costs none
			if !s.Turns(start().Add(at)) {
				t.Fatal("no turn is left")
			}
		}
		if got := turns(start().Add(at)); got != few {
			t.Errorf("%d turns, want %d", got, few)
		}
		if s.Turns(start().Add(at)) {
			t.Error("a turn is left")
		}
	}
	second := 0
	for at := time.Duration(0); at < time.Second; at += time.Millisecond {
		second += turns(start().Add(time.Minute + at))
	}
	if second != few*int(spans) {
		t.Errorf("%d turns in a second", second)
	}
	for notes = 0; s.InVain(); notes++ {
		s.Note(false)
	}
	if notes > memory {
		t.Errorf("it took %d that were not in vain", notes)
	}
}

// TestSomeInVain: people mistype, and some gateways let anybody try.
func TestSomeInVain(t *testing.T) {
	s := new(Share)
	for i := range 10000 {
		if s.Note(i%4 > 0); s.InVain() {
			t.Fatalf("after %d, three of four in vain", i)
		}
	}
}
