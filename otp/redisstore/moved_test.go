package redisstore_test

import (
	"errors"
	"testing"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestSlotsThatMove gives a master that had none the slots of another, one after the other and faster than anybody can
// ask for all of them anew: at every step each account gets in, at the first try and once.
func TestSlotsThatMove(t *testing.T) {
	t.Run("each by itself", func(t *testing.T) { testSlotsThatMove(t, false) })
	t.Run("in a batch with all others", func(t *testing.T) { testSlotsThatMove(t, true) })
}

func testSlotsThatMove(t *testing.T, batch bool) {
	s, servers, empty := growing(t)
	all := spread(t, s, 60)
	step := int64(100)
	claims := func(account string) (claims []otp.Claim) {
		if !batch {
			return []otp.Claim{tried(account, step, 1)}
		}
		for _, a := range all {
			claims = append(claims, tried(a, step, 1))
		}
		return claims
	}
	check := func(when, account string) {
		t.Helper()
		step++
		first := claims(account)
		for i, r := range s.Claim(background(t), first) {
			if r.Answer != otp.Claimed || r.Again {
				t.Fatalf("%s of %s, %s: %+v", when, account, first[i].Account, r)
			}
		}
		if r := claimOne(background(t), s, tried(account, step, 2)); r.Answer != otp.Used {
			t.Fatalf("%s of %s, once more: %+v", when, account, r)
		}
		if snap, err := s.Devices(background(t), account); err != nil || len(snap.Devices) != 1 || snap.Devices[0].LastStep != step {
			t.Fatalf("%s of %s, its devices: %+v, %v", when, account, snap, err)
		}
	}
	mine := allKeptBy(t, servers[0])
	if len(mine) < 10 {
		t.Fatalf("%d accounts are too few to see what happens", len(mine))
	}
	for _, account := range mine {
		key := "otpgate:{" + account + "}:a"
		m := redistest.BeginMove(t, key, servers[0], empty)
		check("before the move", account)
		m.Keys()
		check("amid the move", account)
		if err := s.RenameDevice(background(t), account, "abcdefgh22222222", "other phone"); err != nil {
			t.Fatal(err)
		}
		m.End()
		check("after the move", account)
	}
	if left := allKeptBy(t, empty); len(left) < len(mine) {
		t.Fatalf("%d of %d accounts have moved", len(left), len(mine))
	}
}

// TestPingWhileItsSlotMoves: health is no worse for a slot that is on its way.
func TestPingWhileItsSlotMoves(t *testing.T) {
	s, servers, empty := growing(t)
	for _, key := range []string{"otpgate:ping", "otpgate:keyset"} {
		if err := s.Bind(background(t), "ours"); err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			t.Helper()
			if _, err := s.Ping(background(t)); err != nil {
				t.Fatalf("%s of %s: %v", when, key, err)
			}
			if err := s.Bind(background(t), "ours"); err != nil {
				t.Fatalf("%s of %s: %v", when, key, err)
			}
			if err := s.Bind(background(t), "another"); !errors.Is(err, otp.ErrForeignKeyset) {
				t.Fatalf("%s of %s: a foreign keyset: %v", when, key, err)
			}
		}
		m := redistest.BeginMove(t, key, keeper(t, servers, key), empty)
		check("before the move")
		m.Keys()
		check("amid the move")
		m.End()
		check("after the move")
	}
}

// keeper is the server that has a key.
func keeper(t *testing.T, servers []*redistest.Server, key string) *redistest.Server {
	t.Helper()
	for _, s := range servers {
		if n, err := admin(t, s).Exists(background(t), key).Result(); err == nil && n == 1 {
			return s
		}
	}
	t.Fatalf("nobody has %s", key)
	return nil
}

// growing is a store in a cluster of three masters and of one that has no slot, which the store was not told of.
func growing(t *testing.T) (s *redisstore.Store, servers []*redistest.Server, empty *redistest.Server) {
	t.Helper()
	servers, empty = redistest.StartGrowingCluster(t, "--appendfsync", "no")
	var o redisstore.Options
	for _, server := range servers {
		o.Addresses = append(o.Addresses, server.Addr)
	}
	s = open(t, o)
	recovers(t, s)
	return s, servers, empty
}
