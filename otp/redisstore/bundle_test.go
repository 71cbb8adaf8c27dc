package redisstore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// TestClaimsDecideTogetherAsByThemselves makes the same claims in batches, where plain ones share a call, and one by
// one: the answers are the same, and so is all that is kept. Many of them concern few accounts, so that one changes
// what the next one finds.
func TestClaimsDecideTogetherAsByThemselves(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "no")
	together := open(t, redisstore.Options{Addresses: []string{server.Addr}, KeyPrefix: "together:"})
	apart := open(t, redisstore.Options{Addresses: []string{server.Addr}, KeyPrefix: "apart:"})
	const accounts = 12
	for n := range accounts - 1 { // the last has no device
		addDevice(t, together, fmt.Sprint("account-", n))
		addDevice(t, apart, fmt.Sprint("account-", n))
	}
	random := rand.New(rand.NewPCG(6, 2026))
	seen := map[otp.Answer]int{}
	now := noon
	for range 60 {
		batch, versions := make([]otp.Claim, 1+random.IntN(100)), [accounts]uint64{}
		for n := range versions {
			snap, err := apart.Devices(background(t), fmt.Sprint("account-", n))
			if err != nil {
				t.Fatal(err)
			}
			versions[n] = snap.Version
		}
		for i := range batch {
			now = now.Add(time.Duration(random.IntN(1500)) * time.Millisecond)
			n := random.IntN(accounts)
			batch[i] = someClaim(random, n, now)
			batch[i].Version = versions[n] + uint64(random.IntN(20)/19)
		}
		for i, got := range together.Claim(background(t), batch) {
			want := claimOne(background(t), apart, batch[i])
			if got != want || got.Err != nil {
				t.Fatalf("%+v\ntogether %+v\nby itself %+v", batch[i], got, want)
			}
			seen[got.Answer]++
		}
	}
	for _, answer := range []otp.Answer{otp.Claimed, otp.Used, otp.Throttled, otp.Stale, otp.Counted, otp.Spent} {
		if seen[answer] == 0 {
			t.Errorf("answer %d never came; %v did", answer, seen)
		}
	}
	for n := range accounts {
		var kept [2]map[string]string
		for i, prefix := range []string{"together:", "apart:"} {
			var err error
			if kept[i], err = admin(t, server).HGetAll(background(t), fmt.Sprintf("%s{account-%d}:a", prefix, n)).Result(); err != nil {
				t.Fatal(err)
			}
		}
		if !maps.Equal(kept[0], kept[1]) {
			t.Errorf("account-%d: together %q\nby itself %q", n, kept[0], kept[1])
		}
	}
}

// someClaim is as a rule a plain one, of a code that is fresh, used, or out of date.
func someClaim(random *rand.Rand, account int, now time.Time) otp.Claim {
	c := useStep(fmt.Sprint("account-", account), now.Unix()/20-int64(random.IntN(4)), byte(random.IntN(256)))
	c.Now, c.Place, c.Drift = now, otp.Place{byte(random.IntN(3))}, random.IntN(40)/39
	switch random.IntN(12) {
	case 0:
		c.Kind, c.Miss, c.Backoff = otp.WrongCode, otp.Miss{byte(random.IntN(256))}, []time.Duration{0, time.Second}
	case 1:
		c.Challenge = otp.Challenged{ID: [8]byte{byte(random.IntN(9))}, Tries: 2}
	}
	return c
}

// TestOneAccountsTroubleIsItsOwn has a record that was cut and a key of another kind among claims that share a call.
func TestOneAccountsTroubleIsItsOwn(t *testing.T) {
	server := redistest.Start(t)
	s, client := open(t, redisstore.Options{Addresses: []string{server.Addr}}), admin(t, server)
	var batch []otp.Claim
	for n := range 10 {
		account := fmt.Sprint("account-", n)
		addDevice(t, s, account)
		batch = append(batch, useStep(account, 100, 1))
	}
	if err := client.HSet(background(t), "otpgate:{account-3}:a", "t", "cut").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(background(t), "otpgate:{account-7}:a", "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Claim(background(t), batch) {
		switch i {
		case 3, 7:
			want := map[int]string{3: ": ERR user_script", 7: ": WRONGTYPE "}[i]
			if !errors.Is(r.Err, otp.ErrUnavailable) || r.Answer != otp.NoAnswer || !strings.Contains(r.Err.Error(), want) {
				t.Errorf("account-%d: %+v, want %s", i, r, want)
			}
		default:
			if r.Answer != otp.Claimed {
				t.Errorf("account-%d: %+v", i, r)
			}
		}
	}
}

// TestWhatRedisRefusesIsRefusedAlone has Redis refuse what a script writes first, but not what others of its batch have
// found: each gets the answer that it would get by itself, and so does whoever uses the connection next.
func TestWhatRedisRefusesIsRefusedAlone(t *testing.T) {
	for cause, c := range map[string]struct {
		setting, refuses, permits string
		want                      [5]string
	}{
		// To take the wrong code off takes no memory; after that a script may write what it likes.
		"OOM":        {"maxmemory", "1", "0", [5]string{"OOM", "", "", "OOM", "used"}},
		"NOREPLICAS": {"min-replicas-to-write", "1", "0", [5]string{"NOREPLICAS", "NOREPLICAS", "NOREPLICAS", "NOREPLICAS", "used"}},
	} {
		t.Run(cause, func(t *testing.T) { testRefused(t, cause, c.setting, c.refuses, c.permits, c.want[:]) })
	}
}

func testRefused(t *testing.T, cause, setting, refuses, permits string, want []string) {
	server := redistest.Start(t)
	s, client := open(t, redisstore.Options{Addresses: []string{server.Addr}}), admin(t, server)
	batch := plainBatch(t, s)[:5]
	wrong := batch[1]
	wrong.Kind, wrong.Miss, wrong.Token = otp.WrongCode, otp.Miss{1}, otp.Token{9}
	if r := claimOne(background(t), s, wrong); r.Answer != otp.Counted {
		t.Fatalf("%+v", r)
	}
	if r := claimOne(background(t), s, batch[4]); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	batch[4].Token = otp.Token{7} // somebody else's, with the same code
	batch[3].Kind, batch[3].Miss = otp.WrongCode, otp.Miss{1}
	before := connections(t, client)
	if err := client.ConfigSet(background(t), setting, refuses).Err(); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Claim(background(t), batch) {
		wants(t, i, r, want[i])
	}
	if snap, err := s.Devices(background(t), batch[0].Account); err != nil || snap.Version != firstVersion || len(snap.Devices) != 1 || snap.Devices[0].LastStep == 100 {
		t.Errorf("read after %s: %+v, %v", cause, snap, err)
	}
	if after := connections(t, client); !maps.Equal(before, after) {
		t.Errorf("connections %v, and afterwards %v", before, after)
	}
	if err := client.ConfigSet(background(t), setting, permits).Err(); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.Claim(background(t), batch[:3]) { // as the gateway does that has had no answer
		wants(t, i, r, "")
	}
}

// TestAServerThatBecomesAReplicaIsLeft: the connection is given up, because its name may lead to another server by now.
func TestAServerThatBecomesAReplicaIsLeft(t *testing.T) {
	server := redistest.Start(t)
	s, client := open(t, redisstore.Options{Addresses: []string{server.Addr}}), admin(t, server)
	batch := plainBatch(t, s)
	before := connections(t, client)
	host, port, _ := net.SplitHostPort(redistest.FreeAddr(t)) // where nobody is, so that it keeps what it has
	if err := client.Do(background(t), "replicaof", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	wantAll(t, s, batch, "READONLY")
	for id := range connections(t, client) {
		delete(before, id)
	}
	if len(before) == 0 {
		t.Error("the connection is still there")
	}
}

// TestManyClaimsShareSeveralCalls has more of them than one call takes, and others behind them.
func TestManyClaimsShareSeveralCalls(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "no")
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	batch := plainBatch(t, s)
	var many []otp.Claim
	for n := range 150 {
		c := batch[n%len(batch)]
		c.Step, c.Token = int64(100+n/len(batch)), otp.Token{byte(n), 1}
		many = append(many, c)
	}
	used := many[7]
	used.Token = otp.Token{200}
	wrong := used
	wrong.Kind, wrong.Miss = otp.WrongCode, otp.Miss{1}
	many = append(many, wrong, used, used)
	for i, r := range s.Claim(background(t), many) {
		want := otp.Claimed
		switch i {
		case 150:
			want = otp.Counted
		case 151, 152:
			want = otp.Used
		}
		if r.Answer != want {
			t.Errorf("claim %d: %+v, want %d", i, r, want)
		}
	}
}

// TestAServerThatKeepsAccountsApart is one of a cluster that is addressed as if it were none: it has all slots, and
// takes no call about two of them.
func TestAServerThatKeepsAccountsApart(t *testing.T) {
	server := redistest.StartShard(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	batch := plainBatch(t, s)
	for step := range int64(3) {
		for i := range batch {
			batch[i].Step, batch[i].Token = 200+step, otp.Token{byte(step)}
		}
		wantAll(t, s, batch, "")
	}
	stats, err := admin(t, server).Info(background(t), "errorstats").Result()
	if err != nil || !strings.Contains(stats, "errorstat_CROSSSLOT:count=1\r\n") {
		t.Errorf("it was tried more than once, or not at all: %s, %v", stats, err)
	}
}

// plainBatch is a claim of each of some accounts, which can share a call.
func plainBatch(t *testing.T, s otp.Store) (batch []otp.Claim) {
	t.Helper()
	for n := range 10 {
		account := fmt.Sprint("account-", n)
		addDevice(t, s, account)
		batch = append(batch, useStep(account, 100, 1))
	}
	return batch
}

// wantAll claims, and wants everybody to be claimed, or to have an error of this cause.
func wantAll(t *testing.T, s otp.Store, batch []otp.Claim, cause string) {
	t.Helper()
	for i, r := range s.Claim(background(t), batch) {
		wants(t, i, r, cause)
	}
}

// wants is an error of a cause, "used", or "" for who is let in.
func wants(t *testing.T, i int, r otp.Receipt, cause string) {
	t.Helper()
	switch {
	case cause == "" && r.Answer == otp.Claimed && r.Err == nil:
	case cause == "used" && r.Answer == otp.Used && r.Err == nil:
	case cause != "" && r.Answer == otp.NoAnswer && errors.Is(r.Err, otp.ErrUnavailable) && redis.HasErrorPrefix(r.Err, cause):
	default:
		t.Errorf("claim %d: %+v, want %q", i, r, cause)
	}
}

// connections are the ids of all but the one that asks.
func connections(t *testing.T, client *redis.Client) map[string]bool {
	t.Helper()
	list, err := client.ClientList(background(t)).Result()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(list) {
		if id, rest, _ := strings.Cut(line, " "); !strings.Contains(rest, "cmd=client") {
			ids[id] = true
		}
	}
	return ids
}
