package redisstore_test

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestANewConnectionAsksLittle: when there is too much on the line to Redis, answers come too late and their connections
// are closed. What the next ones ask is on the same line, and must not be what keeps it full.
func TestANewConnectionAsksLittle(t *testing.T) {
	server := redistest.Start(t)
	watching := admin(t, server)
	said := func() int {
		t.Helper()
		stats, err := watching.Info(background(t), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		octets, err := strconv.Atoi(regexp.MustCompile(`total_net_output_bytes:(\d+)`).FindStringSubmatch(stats)[1])
		if err != nil {
			t.Fatal(err)
		}
		return octets
	}
	said() // on a connection that is new itself
	before := said()
	asking := said() - before // what it costs to ask how much was said
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	before = said()
	if _, err := s.Bound(background(t)); err != nil {
		t.Fatal(err)
	}
	octets := said() - before - asking
	t.Logf("%d octets to a new connection, with its first answer", octets)
	if octets < 100 || octets > 700 {
		t.Errorf("%d octets to a new connection", octets)
	}
}

// TestANewConnectionAsksOnce: where each answer takes its time, a connection that has to ask three times before it is of
// use takes longer than a login may.
func TestANewConnectionAsksOnce(t *testing.T) {
	const connections = 3 // a busy machine may cut one answer in two
	server := redistest.Start(t)
	least := int64(1 << 62)
	for range connections {
		line := newHalting(t, server.Addr)
		s := open(t, redisstore.Options{Addresses: []string{line.addr}})
		if _, err := s.Bound(background(t)); err != nil {
			t.Fatal(err)
		}
		least = min(least, line.answers.Load())
	}
	if least != 3 {
		t.Errorf("%d answers until one call is made: the library is greeted by one, and one is the call's own", least)
	}
}

// halting is a line to a server that halts before it passes on what the server says, and counts how often.
type halting struct {
	addr    string
	answers atomic.Int64
}

// newHalting takes one connection.
func newHalting(t *testing.T, to string) *halting {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	l := &halting{addr: listener.Addr().String()}
	go func() {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = near.Close() }()
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = far.Close() }()
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		l.pass(far, near)
	}()
	return l
}

// pass passes on what was said until nothing more came for a while.
func (l *halting) pass(from, to net.Conn) {
	b := make([]byte, 64<<10)
	for n := 0; ; {
		if n > 0 {
			_ = from.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		} else {
			_ = from.SetReadDeadline(time.Time{})
		}
		more, err := from.Read(b[n:])
		n += more
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.answers.Add(1)
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
			n = 0
		case err != nil:
			return
		}
	}
}
