package redisstore

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp/redisstore/redistest"
)

// of so many sentinels, which nobody asks.
func of(number int) *sentinels {
	return &sentinels{
		soon: make(map[int]int), clients: make([]*redis.Client, number), dialer: &dialer{timeout: time.Second, links: make(map[*link]string)},
		logger: slog.New(slog.DiscardHandler),
	}
}

// TestASentinelThatMissedAFailoverIsNotBelieved: on the master that it tells, codes are unused again that the new one
// has marked.
func TestASentinelThatMissedAFailoverIsNotBelieved(t *testing.T) {
	const before, after = "192.0.2.1:6379", "192.0.2.2:6379"
	s := of(3)
	for i, c := range []struct {
		told []answer
		want string
	}{
		{[]answer{{address: before, epoch: 4}}, before},
		{[]answer{{address: before, epoch: 4}, {address: after, epoch: 5}}, after},
		{[]answer{{address: before, epoch: 4}}, after},
		{[]answer{{address: before, epoch: 4}, {address: before, epoch: 4}}, after},
		{[]answer{{address: before, epoch: 4}, {address: after, epoch: 5}, {address: before, epoch: 4}}, after},
		{[]answer{{address: before, epoch: 6}}, before},
		{[]answer{{address: after}, {address: after}, {address: after}}, after}, // they were all told anew
	} {
		if got := s.choose(c.told, s.changes); got != c.want || s.current() != c.want {
			t.Errorf("%d: %s and %s, want %s", i, got, s.current(), c.want)
		}
	}
}

// TestAnAnswerThatWasOvertakenIsNotBelieved: it was given before another that has arrived, and all sentinels gave it.
func TestAnAnswerThatWasOvertakenIsNotBelieved(t *testing.T) {
	const before, after, last = "192.0.2.1:6379", "192.0.2.2:6379", "192.0.2.3:6379"
	for _, number := range []int{1, 3} {
		s := of(number)
		all := func(address string, epoch uint64) []answer {
			told := make([]answer, number)
			for by := range told {
				told[by] = answer{by: by, address: address, epoch: epoch}
			}
			return told
		}
		s.choose(all(before, 4), s.changes)
		asked := s.changes
		for i, c := range []struct {
			told  []answer
			asked uint64
			want  string
		}{
			{all(after, 5), asked, after},
			{all(before, 4), asked, after},
			{all(before, 5), asked, after}, // two answers of one sentinel, between which it has learned of the failover
			{all(after, 5), asked, after},
			{all(last, 6), asked, last},
			{all(after, 5), asked + 1, last},
			{all(before, 1), asked + 2, before}, // they were told anew
			{all(last, 6), asked + 2, before},   // an answer from before that
			{all(last, 2), asked + 3, last},
			{all(before, 3), asked + 2, last}, // and another, of what was told once more
		} {
			if got := s.choose(c.told, c.asked); got != c.want || s.current() != c.want {
				t.Errorf("%d sentinels, %d: %s and %s, want %s", number, i, got, s.current(), c.want)
			}
		}
	}
}

// TestWhatFallsBehind: a sentinel that knows more is waited for when the first answers know less than was told before.
func TestWhatFallsBehind(t *testing.T) {
	const before, after = "192.0.2.1:6379", "192.0.2.2:6379"
	s := of(3)
	for i, c := range []struct {
		told   []answer
		behind bool
		want   string // when it is chosen from then
	}{
		{[]answer{{address: before, epoch: 4}}, false, before},
		{[]answer{{address: before, epoch: 4}, {address: after, epoch: 4}}, false, after}, // one has promoted it
		{[]answer{{address: before, epoch: 4}, {address: after, epoch: 4}}, false, after}, // the other has not heard of it yet
		{[]answer{{address: after, epoch: 4}, {address: before, epoch: 4}}, false, after},
		{[]answer{{address: after, epoch: 4}}, false, after},
		{[]answer{{address: before, epoch: 4}}, true, before}, // and is not heard of any more
		{[]answer{{address: after, epoch: 5}}, false, after},
		{[]answer{{address: before, epoch: 4}}, true, after},
		{[]answer{{address: before, epoch: 4}}, false, after}, // no other has answered
		{[]answer{{address: after, epoch: 4}}, false, after},
		{[]answer{{address: before, epoch: 5}}, false, before},
		{[]answer{{address: before, epoch: 4}}, true, before},
	} {
		if got := s.behind(c.told); got != c.behind {
			t.Errorf("%d: behind: %v", i, got)
		}
		if got := s.choose(c.told, s.changes); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
}

// told is what is known.
func (s *sentinels) told() answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer{address: s.master, epoch: s.epoch}
}

// watching is what a node has of this number of real sentinels.
func watching(t *testing.T, copies, number int) (s *sentinels, replicas, real []*redistest.Server) {
	t.Helper()
	_, replicas, real = redistest.StartSentinels(t, copies, number)
	o := Options{MasterName: redistest.MasterName}
	for _, r := range real {
		o.Addresses = append(o.Addresses, r.Addr)
	}
	s = newSentinels(&o, &dialer{timeout: time.Second, links: map[*link]string{}}, slog.New(slog.DiscardHandler), 5*time.Second)
	t.Cleanup(func() { _ = s.close() })
	return s, replicas, real
}

// TestASlowSentinelIsWaitedFor while the others know less than was told before.
func TestASlowSentinelIsWaitedFor(t *testing.T) {
	s, _, real := watching(t, 0, 2)
	master, err := s.ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const later = 100 // an epoch
	s.choose([]answer{{address: master, epoch: s.told().epoch + later}}, s.changes)
	real[1].Freeze()
	time.AfterFunc(10*stragglers, real[1].Thaw)
	if _, err := s.ask(t.Context()); err != nil || s.told().epoch >= later { // which all of them have said
		t.Errorf("%+v, %v", s.told(), err)
	}
}

// TestSentinelsAtVarianceAreAConcern, until they agree, whether or not one of them is gone.
func TestSentinelsAtVarianceAreAConcern(t *testing.T) {
	s, replicas, real := watching(t, 1, 3)
	after := replicas[0]
	if _, err := s.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	command := func(r *redistest.Server, args ...any) {
		t.Helper()
		client := redis.NewClient(&redis.Options{Addr: r.Addr, MaintNotificationsConfig: noMaintenance()})
		defer func() { _ = client.Close() }()
		if err := client.Do(t.Context(), append([]any{"sentinel"}, args...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(what string, done func() bool) {
		t.Helper()
		for until := time.Now().Add(time.Minute); !done(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: %q is the master, not followed %q", what, s.current(), s.notFollowed())
			}
		}
	}
	command(real[0], "failover", redistest.MasterName)
	wait("a failover, of which all have heard", func() bool {
		return s.current() == after.Addr && !slices.ContainsFunc(real, func(r *redistest.Server) bool { return !r.Names(t.Context(), after) })
	})
	other := redistest.Start(t).Addr
	host, port, err := net.SplitHostPort(other)
	if err != nil {
		t.Fatal(err)
	}
	anew := func(r *redistest.Server) {
		t.Helper()
		command(r, "remove", redistest.MasterName)
		command(r, "monitor", redistest.MasterName, host, port, 2)
	}
	concerned := func() bool {
		told := s.concerns(t.Context())
		return len(told) > 0 && strings.Contains(told[len(told)-1].fact, other)
	}
	anew(real[0])
	wait("one of three", func() bool { return s.notFollowed() == other })
	if concerned() {
		t.Error("it is a concern at once, as in every failover")
	}
	wait("one of three", concerned)
	real[2].Kill()
	anew(real[1])
	wait("two of three, and one that is gone", concerned)
	if s.current() != after.Addr {
		t.Errorf("%q is the master", s.current())
	}
	real[2].Start()
	anew(real[2])
	wait("all three", func() bool {
		told := s.concerns(t.Context()) // which asks again
		return s.current() == other && len(told) == 0
	})
}

// TestNobodyGoesBackToTheOldMaster while many ask a sentinel that is failing over.
func TestNobodyGoesBackToTheOldMaster(t *testing.T) {
	_, _, sentinel := redistest.StartSentinel(t)
	var log strings.Builder // a handler writes one line at a time
	s := newSentinels(&Options{Addresses: []string{sentinel.Addr}, MasterName: redistest.MasterName}, &dialer{timeout: time.Second, links: map[*link]string{}},
		slog.New(slog.NewTextHandler(&log, nil)), 5*time.Second)
	before, err := s.ask(t.Context())
	if err != nil {
		t.Fatal(err, s.close())
	}
	var asking sync.WaitGroup
	enough := make(chan struct{})
	for range 32 {
		asking.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
					_, _ = s.ask(t.Context())
				}
			}
		})
	}
	client := redis.NewClient(&redis.Options{Addr: sentinel.Addr, MaintNotificationsConfig: noMaintenance()})
	defer func() { _ = client.Close() }()
	const enoughTime = 10 * time.Second // for a failover; one that was given up is begun again
	until, again := time.Now().Add(6*enoughTime), time.Time{}
	for s.current() == before && time.Now().Before(until) {
		// It may not have met the replica yet.
		if time.Now().After(again) && client.Do(t.Context(), "sentinel", "failover", redistest.MasterName).Err() == nil {
			again = time.Now().Add(enoughTime)
		}
		<-time.After(5 * time.Millisecond)
	}
	<-time.After(300 * time.Millisecond) // so long what was asked before may arrive
	close(enough)
	asking.Wait()
	if err := s.close(); err != nil { // nothing is logged any more
		t.Error(err)
	}
	if n := strings.Count(log.String(), "another master"); n != 1 || s.current() == before {
		t.Errorf("the master has changed %d times, and is %s; before %s", n, s.current(), before)
	}
}

// TestTheMostHastySentinelCounts, also when another one tells the master, and when it is late with its next answer.
func TestTheMostHastySentinelCounts(t *testing.T) {
	const master = "192.0.2.1:6379"
	s := of(3)
	for i, c := range []struct {
		told []answer
		want int
	}{
		{[]answer{{by: 0, soon: 1500}, {by: 1}, {by: 2, soon: 30_000}}, 0},
		{[]answer{{by: 0, soon: 1001, epoch: 1}, {by: 1, soon: 900}, {by: 2, soon: 30_000}}, 900},
		{[]answer{{by: 0, soon: 1500}, {by: 2, soon: 30_000}}, 900},
		{[]answer{{by: 0, soon: 1000}, {by: 1}}, 900},
		{[]answer{{by: 1, soon: 1500}}, 1000},
		{[]answer{{by: 0, soon: 1500}}, 0},
	} {
		for n := range c.told {
			c.told[n].address = master
		}
		s.choose(c.told, s.changes)
		if got := s.hasty(); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
}

// TestAConnectionThatAFailoverOvertakesIsNotUsed: it would lead to the old master for as long as nothing goes wrong
// with it.
func TestAConnectionThatAFailoverOvertakesIsNotUsed(t *testing.T) {
	listening, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listening.Close() })
	address := listening.Addr().String()
	s := of(1)
	for master, good := range map[string]bool{address: true, "192.0.2.2:6379": false} {
		s.choose([]answer{{address: master, epoch: s.epoch + 1}}, s.changes)
		conn, err := s.connect(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("x")); (err == nil) != good {
			t.Errorf("while %s is the master: %v", master, err)
		}
		_ = conn.Close()
		if n := len(s.dialer.links); n != 0 {
			t.Errorf("%d connections left", n)
		}
	}
}
