package redisstore_test

import (
	"regexp"
	"strconv"
	"testing"

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
		stats := watching.Info(background(t), "stats").Val()
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
