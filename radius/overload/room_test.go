package overload

import (
	"sync"
	"testing"
	"time"
)

const patience = 2500 * time.Millisecond

func start() time.Time { return time.Unix(1_700_000_000, 0) }

// enter takes n places, and returns how many there were.
func enter(r *Room, s *Share, n int, first bool, now time.Time) (got int) {
	for range n {
		if r.Enter(s, first, patience, now) == Entered {
			got++
		}
	}
	return got
}

// TestPlaces is how many a client gets of a room with so many places.
func TestPlaces(t *testing.T) {
	for _, c := range []struct{ most, one, other, first int }{
		{0, 1, 0, 0},
		{1, 1, 0, 0},
		{7, 7, 0, 0},
		{8, 7, 0, 1},
		{16, 14, 0, 2},
		{64, 56, 0, 8},
		{128, 96, 16, 16},
		{4096, 3072, 512, 512},
	} {
		r, one, other := NewRoom(c.most, 0), new(Share), new(Share)
		if got := enter(r, one, 5000, false, start()); got != c.one {
			t.Errorf("of %d places one client gets %d, want %d", c.most, got, c.one)
		}
		if got := enter(r, other, 5000, false, start()); got != c.other {
			t.Errorf("of %d places another client gets %d, want %d", c.most, got, c.other)
		}
		if got := enter(r, one, 5000, true, start()); got != c.first {
			t.Errorf("of %d places those who go first get %d, want %d", c.most, got, c.first)
		}
		for range r.Load() {
			r.Leave(one, NotDone, start())
		}
		if r.Load() != 0 {
			t.Errorf("%d places are taken", r.Load())
		}
	}
}

// TestWhy is what is said to whom there is no place for.
func TestWhy(t *testing.T) {
	r, s := NewRoom(1000, 0), new(Share)
	enter(r, s, 750, false, start())
	if v := r.Enter(s, false, patience, start()); v != Crowded {
		t.Errorf("of three quarters of the places: %d", v)
	}
	if v := r.Enter(new(Share), false, patience, start()); v != Entered {
		t.Errorf("another client: %d", v)
	}
	enter(r, s, 500, true, start())
	for _, first := range []bool{true, false} {
		if v := r.Enter(new(Share), first, patience, start()); v != Full {
			t.Errorf("of no places: %d", v)
		}
	}
	var v Verdict
	if v == Entered {
		t.Error("the zero verdict lets in")
	}
}

// served is a peer that does one thing after the other, so many per second, and what becomes of what is offered.
type served struct {
	room                     *Room
	perSecond                int
	done, late, turned, most int
	oldest                   time.Duration // of what was done
	queue                    []time.Time   // of those under way, by their arrival
}

// run offers things, so many per second, for so long, to a room that may be one without a pace.
func (v *served) run(offered int, long time.Duration, paced bool) {
	s := new(Share)
	now, owed, due := start(), 0, 0
	for ; now.Sub(start()) < long; now = now.Add(time.Millisecond) {
		for owed += offered; owed >= 1000; owed -= 1000 {
			if v.room.Enter(s, !paced, patience, now) != Entered {
				v.turned++
				continue
			}
			v.queue = append(v.queue, now)
		}
		v.most = max(v.most, len(v.queue))
		for due += v.perSecond; due >= 1000; due -= 1000 {
			if len(v.queue) == 0 {
				due = 0
				break
			}
			took := now.Sub(v.queue[0])
			v.queue = v.queue[1:]
			v.room.Leave(s, took, now)
			if took >= patience {
				v.late++
				continue
			}
			v.done++
			v.oldest = max(v.oldest, took)
		}
	}
}

// TestThreeTimesTheCapacity: what a peer can do it does, for people who still wait. Without a pace it works for
// those who have gone.
func TestThreeTimesTheCapacity(t *testing.T) {
	const long, perSecond = 20 * time.Second, 500
	for _, times := range []int{1, 3, 10} {
		v := &served{room: NewRoom(4096, 0), perSecond: perSecond}
		v.run(times*perSecond, long, true)
		t.Logf("%d times: %d done, up to %s, %d late, %d turned away, %d under way", times, v.done, v.oldest, v.late, v.turned, v.most)
		if v.done < perSecond*int(long/time.Second)*8/10 || v.late > times*perSecond/8 {
			t.Errorf("%d times: %d done, %d late", times, v.done, v.late)
		}
		if times == 1 && v.turned > 0 {
			t.Errorf("%d turned away of what could be done", v.turned)
		}
	}
	v := &served{room: NewRoom(4096, 0), perSecond: perSecond}
	v.run(3*perSecond, long, false)
	if v.late < v.done {
		t.Errorf("%d done, %d late: this test proves nothing", v.done, v.late)
	}
}

// TestSlowIsNotOverloaded: a peer that takes its time for each, and does all at once, has nobody turned away.
func TestSlowIsNotOverloaded(t *testing.T) {
	r, s := NewRoom(4096, 0), new(Share)
	const perSecond, delay = 500, 350 * time.Millisecond
	turned := 0
	var ends []time.Time
	for now := start(); now.Sub(start()) < 10*time.Second; now = now.Add(time.Second / perSecond) {
		if r.Enter(s, false, patience, now) == Entered {
			ends = append(ends, now.Add(delay))
		} else {
			turned++
		}
		for ; len(ends) > 0 && !ends[0].After(now); ends = ends[1:] {
			r.Leave(s, delay, now)
		}
	}
	if turned > 0 {
		t.Errorf("%d turned away", turned)
	}
}

// TestABurst: many at once, after nothing, all enter, and so do those after a minute in which little was done.
func TestABurst(t *testing.T) {
	r, s := NewRoom(4096, 0), new(Share)
	now := start()
	for range 60 {
		if got := enter(r, s, 2000, false, now); got != 2000 {
			t.Fatalf("%d entered", got)
		}
		for range 2000 {
			r.Leave(s, 20*time.Millisecond, now)
		}
		now = now.Add(time.Second)
	}
}

// TestFirstDoNotHeedThePace, nor do the few that are under way in any case.
func TestFirstDoNotHeedThePace(t *testing.T) {
	r, s := NewRoom(4096, 0), new(Share)
	now := start()
	enter(r, s, 200, true, now)
	for range 100 { // so many in a second, each of which took two
		now = now.Add(10 * time.Millisecond)
		r.Leave(s, 2*time.Second, now)
		r.Enter(s, true, patience, now)
	}
	if v := r.Enter(new(Share), false, patience, now); v != Slow {
		t.Errorf("behind 200 that take two seconds: %d", v)
	}
	if v := r.Enter(new(Share), false, 20*time.Second, now); v != Entered {
		t.Errorf("who has time: %d", v)
	}
	if v := r.Enter(new(Share), true, patience, now); v != Entered {
		t.Errorf("who goes first: %d", v)
	}
	if v := r.Enter(new(Share), false, patience, now.Add(2*time.Second)); v != Entered {
		t.Errorf("when nothing is known any more: %d", v)
	}
	if v := r.Enter(new(Share), false, patience, now.Add(-time.Hour)); v != Entered {
		t.Errorf("when the clock was set back: %d", v)
	}
	for r.Load() > few-1 {
		r.Leave(s, NotDone, now)
	}
	if v := r.Enter(new(Share), false, patience, now); v != Entered {
		t.Errorf("one of a few: %d", v)
	}
}

// TestManyAtOnce: no more than there are places, and all of them come back.
func TestManyAtOnce(t *testing.T) {
	r := NewRoom(100, 0)
	var all sync.WaitGroup
	for range 8 {
		s := new(Share)
		all.Go(func() {
			for i := range 5000 {
				now := start().Add(time.Duration(i) * time.Millisecond)
				if r.Enter(s, i%3 == 0, patience, now) != Entered {
					continue
				}
				if n := r.Load(); n > 100+8 { // others who are about to be turned away are counted for a moment
					t.Errorf("%d places are taken", n)
				}
				r.Leave(s, time.Duration(i)*time.Millisecond, now)
			}
			if n := s.held.Load(); n != 0 {
				t.Errorf("a client holds %d", n)
			}
		})
	}
	all.Wait()
	if n := r.Load(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r, s := NewRoom(10, 0), new(Share)
	if n := testing.AllocsPerRun(1000, func() {
		if r.Enter(s, false, patience, start()) == Entered {
			r.Leave(s, time.Millisecond, start())
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRoom(b *testing.B) {
	r, s, now := NewRoom(4096, 0), new(Share), start()
	for b.Loop() {
		if r.Enter(s, false, patience, now) == Entered {
			r.Leave(s, time.Millisecond, now)
		}
	}
}
