package redisstore

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
		if got := s.choose(c.told); got != c.want || s.current() != c.want {
			t.Errorf("%d: %s and %s, want %s", i, got, s.current(), c.want)
		}
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
		s.choose(c.told)
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
		s.choose([]answer{{address: master, epoch: s.epoch + 1}})
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
