package redisstore_test

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
)

// until asks until the answer is yes, and returns when it was.
func until(t *testing.T, what string, is func() bool) time.Time {
	t.Helper()
	deadline := time.After(time.Minute)
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !is() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatal(what)
		}
	}
	return time.Now()
}

// spread adds so many accounts, in slots all over a cluster.
func spread(t *testing.T, s otp.Store, number int) []string {
	t.Helper()
	accounts := make([]string, number)
	for i := range accounts {
		accounts[i] = fmt.Sprint("account-", i)
		addDevice(t, s, accounts[i])
	}
	return accounts
}

// back claims one step after another until the store does so again, and returns when that was.
func back(t *testing.T, s otp.Store, account string, step int64) time.Time {
	t.Helper()
	var last otp.Receipt
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last answer about %s: %+v", account, last)
		}
	})
	return until(t, "nobody gets in any more", func() bool {
		step++
		last = claimOne(background(t), s, tried(account, step, 1))
		return last.Answer == otp.Claimed
	})
}

// tried is a claim whose token no other step has.
func tried(account string, step int64, try byte) otp.Claim {
	c := useStep(account, step, 0)
	c.Token = otp.Token{0xff, try, byte(step >> 16), byte(step >> 8), byte(step)}
	return c
}

// TestFailoverWhenTheMastersMachineIsGone stops the master and the sentinel beside it at once, as the loss of a
// machine does: no connection is closed. What comes back is no master any more.
func TestFailoverWhenTheMastersMachineIsGone(t *testing.T) {
	master, replicas, sentinels := redistest.StartSentinels(t, 1, 3)
	replica := replicas[0]
	addresses := make([]string, len(sentinels))
	for i, s := range sentinels {
		addresses[i] = s.Addr
	}
	s := open(t, redisstore.Options{Addresses: addresses, MasterName: redistest.MasterName, Timeout: time.Second})
	recovers(t, s)
	addDevice(t, s, "a")
	if r := claimOne(background(t), s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if n, err := admin(t, master).Wait(background(t), 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("WAIT: %d, %v", n, err)
	}
	sentinels[0].Freeze()
	master.Freeze()
	promoted, ctx := make(chan time.Time, 1), background(t)
	go func() {
		promoted <- until(t, "no replica becomes the master", func() bool { return sentinels[1].Names(ctx, replica) })
	}()
	took := back(t, s, "a", 100).Sub(<-promoted)
	t.Logf("figures: the master's machine is gone: first accept %v after a sentinel told of the promotion", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("the first accept came %v after the promotion", took)
	}
	master.Thaw()
	sentinels[0].Thaw()
	for step := int64(10_000); master.IsMaster(ctx); step++ {
		if r := claimOne(background(t), s, tried("a", step, 1)); r.Err == nil {
			if r := claimOne(background(t), s, tried("a", step, 2)); r.Err == nil && r.Answer != otp.Used {
				t.Fatalf("%+v", r)
			}
		}
	}
	if r := claimOne(background(t), s, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Fatalf("%+v", r)
	}
}

// TestFailoverInCluster kills one of three masters. Accounts of the others go on, also in one batch with those
// of the one that is gone, and also while that hangs; its own are back when its replica is the master.
func TestFailoverInCluster(t *testing.T) {
	for name, gone := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "hanging": (*redistest.Server).Freeze} {
		t.Run(name, func(t *testing.T) { testFailoverInCluster(t, gone) })
	}
}

func testFailoverInCluster(t *testing.T, gone func(*redistest.Server)) {
	const timeout = 2 * time.Second
	shards := redistest.StartReplicatedCluster(t, 1, "--appendfsync", "no") // whose disk is busy keeps others waiting too
	var addresses []string
	for _, s := range shards {
		addresses = append(addresses, s.Addrs()...)
	}
	s := open(t, redisstore.Options{Addresses: addresses, Timeout: timeout})
	recovers(t, s)
	accounts := spread(t, s, 30)
	dead := make(map[string]bool)
	keys, err := admin(t, shards[0].Master).Keys(background(t), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		for _, k := range keys {
			dead[a] = dead[a] || strings.Contains(k, "{"+a+"}")
		}
	}
	batch := func(step int64) (claims []otp.Claim) {
		for _, a := range accounts {
			claims = append(claims, useStep(a, step, 1))
		}
		return claims
	}
	for i, r := range s.Claim(background(t), batch(100)) {
		if r.Answer != otp.Claimed {
			t.Fatalf("%s: %+v", accounts[i], r)
		}
	}
	if n, err := admin(t, shards[0].Master).Wait(background(t), 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("WAIT: %d, %v", n, err)
	}
	gone(shards[0].Master)
	promoted, ctx := make(chan time.Time, 1), background(t)
	go func() {
		promoted <- until(t, "no replica becomes the master", func() bool { return shards[0].Replicas[0].IsMaster(ctx) })
	}()
	var slowest time.Duration
	var accepted time.Time
	for step := int64(101); accepted.IsZero(); step++ {
		began := time.Now()
		for i, r := range s.Claim(background(t), batch(step)) {
			switch {
			case !dead[accounts[i]]:
				if r.Answer != otp.Claimed {
					t.Fatalf("%s is kept by another master: %+v", accounts[i], r)
				}
			case r.Answer == otp.Claimed:
				accepted = time.Now()
			case !errors.Is(r.Err, otp.ErrUnavailable):
				t.Fatalf("%s: %+v", accounts[i], r)
			}
		}
		slowest = max(slowest, time.Since(began))
		began = time.Now()
		snapshots, errs := s.AllDevices(background(t), accounts) // as of people whom a node does not know yet
		for i, a := range accounts {
			switch {
			case errs[i] == nil:
				if len(snapshots[i].Devices) != 1 {
					t.Fatalf("%s: %+v", a, snapshots[i])
				}
			case !dead[a] || !errors.Is(errs[i], otp.ErrUnavailable):
				t.Fatalf("the devices of %s: %v", a, errs[i])
			}
		}
		slowest = max(slowest, time.Since(began))
	}
	took := accepted.Sub(<-promoted)
	t.Logf("figures: first accept %v after the promotion; a batch with accounts of all masters took %v at most", took.Round(time.Millisecond), slowest.Round(time.Millisecond))
	if took > 5*time.Second || slowest > timeout {
		t.Errorf("the first accept came %v after the promotion, and a batch took %v", took, slowest)
	}
	for _, a := range accounts {
		if r := claimOne(background(t), s, useStep(a, 100, 2)); r.Answer != otp.Used {
			t.Fatalf("%s: %+v", a, r)
		}
	}
}

// TestAMasterThatWasMendedIsUsedWhileAnotherIsAway: one master of a cluster is refused, because it may evict keys. When its
// setting is put right, those whom it keeps get in again, also when another master is gone by then.
func TestAMasterThatWasMendedIsUsedWhileAnotherIsAway(t *testing.T) {
	servers := redistest.StartCluster(t)
	o := redisstore.Options{Timeout: 2 * time.Second}
	for _, s := range servers { // which waited until each knew the slots of all; without full coverage nobody does
		o.Addresses = append(o.Addresses, s.Addr)
		if err := admin(t, s).ConfigSet(background(t), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, o)
	recovers(t, s)
	spread(t, s, 30)
	mine := keptBy(t, servers[0])
	set := func(name, value string) {
		t.Helper()
		if err := admin(t, servers[0]).ConfigSet(background(t), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory", "100mb")
	set("maxmemory-policy", "allkeys-lru")
	late := open(t, o) // it meets the server with its first connection
	for _, s := range []otp.Store{s, late} {
		if _, err := s.Ping(background(t)); !errors.Is(err, redisstore.ErrEvicts) {
			t.Fatalf("Ping: %v", err)
		}
	}
	servers[1].Kill()
	for i, s := range []otp.Store{s, late} {
		if r := claimOne(background(t), s, useStep(mine, 100+int64(i), byte(i))); !errors.Is(r.Err, otp.ErrUnavailable) {
			t.Fatalf("by a server that may evict keys: %+v", r)
		}
	}
	set("maxmemory-policy", "noeviction")
	for i, s := range []otp.Store{s, late} {
		until(t, "the master is used when it was mended", func() bool {
			return claimOne(background(t), s, useStep(mine, 100+int64(i), byte(i))).Answer == otp.Claimed
		})
	}
}

// keptBy is an account that a master of a cluster keeps.
func keptBy(t *testing.T, master *redistest.Server) string {
	t.Helper()
	return allKeptBy(t, master)[0]
}

// allKeptBy are the accounts that a master of a cluster keeps, at least one.
func allKeptBy(t *testing.T, master *redistest.Server) []string {
	t.Helper()
	keys, err := admin(t, master).Keys(background(t), "otpgate:{account-*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("the master has %d accounts, %v", len(keys), err)
	}
	for i, key := range keys {
		keys[i], _, _ = strings.Cut(strings.TrimPrefix(key, "otpgate:{"), "}")
	}
	return keys
}

// TestAMasterThatIsNoneAnyMoreIsForgottenWhileAnotherIsAway: one master of a cluster is refused, because it may evict keys.
// When a replica has its place, which may not, those whom it keeps get in again, also when others are gone by then.
func TestAMasterThatIsNoneAnyMoreIsForgottenWhileAnotherIsAway(t *testing.T) {
	shards := redistest.StartReplicatedCluster(t, 1, "--appendfsync", "no")
	o := redisstore.Options{Timeout: 2 * time.Second}
	for _, shard := range shards {
		o.Addresses = append(o.Addresses, shard.Addrs()...)
	}
	s := open(t, o)
	recovers(t, s)
	spread(t, s, 30)
	refused, heir := shards[0].Master, shards[0].Replicas[0]
	mine := keptBy(t, refused)
	for _, setting := range [][2]string{{"maxmemory", "100mb"}, {"maxmemory-policy", "allkeys-lru"}} {
		if err := admin(t, refused).ConfigSet(background(t), setting[0], setting[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Ping(background(t)); !errors.Is(err, redisstore.ErrEvicts) {
		t.Fatalf("Ping: %v", err)
	}
	if r := claimOne(background(t), s, useStep(mine, 100, 1)); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Fatalf("by a server that may evict keys: %+v", r)
	}
	refused.Kill()
	until(t, "no replica becomes the master", func() bool { return heir.IsMaster(background(t)) })
	shards[1].Master.Kill()
	shards[1].Replicas[0].Kill()
	back(t, s, mine, 100)
}

// lagging is a master and a replica that gets nothing any more from some time on.
func lagging(t *testing.T) (master, replica *redistest.Server, link *redistest.Link) {
	t.Helper()
	master = redistest.Start(t, "--repl-diskless-sync-delay", "0")
	link = redistest.StartLink(t, master.Addr)
	return master, redistest.StartReplica(t, link.Addr), link
}

// promote makes a replica the master, and returns a store there.
func promote(t *testing.T, replica *redistest.Server) otp.Store {
	t.Helper()
	if err := admin(t, replica).Do(background(t), "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	return open(t, redisstore.Options{Addresses: []string{replica.Addr}})
}

// TestWhatAsynchronousReplicationLoses shows what the documentation warns of: a code that passed passes again,
// because the replica that became the master had not been told.
func TestWhatAsynchronousReplicationLoses(t *testing.T) {
	master, replica, link := lagging(t)
	s := open(t, redisstore.Options{Addresses: []string{master.Addr}})
	addDevice(t, s, "a")
	if n, err := admin(t, master).Wait(background(t), 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("WAIT: %d, %v", n, err)
	}
	link.Cut()
	if r := claimOne(background(t), s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	master.Kill()
	if r := claimOne(background(t), promote(t, replica), useStep("a", 100, 2)); r.Answer != otp.Claimed {
		t.Fatalf("nothing was lost, so this test shows nothing: %+v", r)
	}
}

// TestMinReplicasLoseNothing shows that with min_replicas nothing is reported that such a failover takes along:
// neither by the call that wrote it, nor by one that finds it written.
func TestMinReplicasLoseNothing(t *testing.T) {
	master, replica, link := lagging(t)
	s := open(t, redisstore.Options{Addresses: []string{master.Addr}, MinReplicas: 1, Timeout: 3 * time.Second})
	if err := s.Bind(background(t), "fingerprint"); err != nil {
		t.Fatal(err)
	}
	addDevice(t, s, "a")
	addDevice(t, s, "b")
	if r := claimOne(background(t), s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	link.Cut()
	for range 2 { // the gateway sends again, and the token is known: that is written no better
		for _, r := range s.Claim(background(t), []otp.Claim{useStep("a", 101, 1), useStep("b", 101, 1)}) {
			if !errors.Is(r.Err, otp.ErrUnavailable) {
				t.Fatalf("%+v", r)
			}
		}
	}
	if _, err := s.Ping(background(t)); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
	master.Kill()
	after := promote(t, replica)
	if r := claimOne(background(t), after, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Fatalf("a code that passed passes again: %+v", r)
	}
	if r := claimOne(background(t), after, useStep("a", 101, 1)); r.Answer != otp.Claimed {
		t.Fatalf("the code of a person who was not let in does not pass: %+v", r)
	}
}

// TestWhatIsFoundDoneIsWrittenAnew: who takes a device away again, because nobody could tell of the first time, must not
// be told that it is gone before the replicas know, or a lost phone would be good again after a failover. WAIT
// promises that for what was written on its own connection. (The Redis 7.0 of the tests waits for all that was written.)
func TestWhatIsFoundDoneIsWrittenAnew(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	addDevice(t, s, "a")
	there, err := s.Devices(background(t), "a")
	if err != nil || len(there.Devices) != 1 {
		t.Fatalf("%+v, %v", there, err)
	}
	hset := regexp.MustCompile(`cmdstat_hset:calls=\d+`)
	writes := func() string {
		t.Helper()
		stats, err := admin(t, server).Info(background(t), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return hset.FindString(stats)
	}
	before := writes()
	if err := s.RemoveDevice(background(t), "a", "another"); !errors.Is(err, otp.ErrNotFound) || writes() == before {
		t.Errorf("a device that is gone: %v, %s writes", err, before)
	}
	before = writes()
	if errs, err := s.AddDevices(background(t), there.Devices, 0); err != nil || !errors.Is(errs[0], otp.ErrExists) || writes() == before {
		t.Errorf("a device that is there: %v, %v, %s writes", errs, err, before)
	}
	before = writes()
	if err := s.RemoveDevice(background(t), "nobody", "another"); !errors.Is(err, otp.ErrNotFound) || writes() != before {
		t.Errorf("of nobody: %v, %s writes", err, before)
	}
	if now, err := s.Devices(background(t), "a"); err != nil || !reflect.DeepEqual(now, there) {
		t.Errorf("%+v, %v; before %+v", now, err, there)
	}
}

func TestMinReplicasInCluster(t *testing.T) {
	shards := redistest.StartReplicatedCluster(t, 1)
	s := open(t, redisstore.Options{Addresses: []string{shards[0].Master.Addr, shards[1].Master.Addr}, MinReplicas: 1, Timeout: 3 * time.Second})
	recovers(t, s)
	accounts := spread(t, s, 30)
	shards[0].Replicas[0].Freeze()
	kept, err := admin(t, shards[0].Master).Keys(background(t), "*account-*").Result()
	if err != nil || len(kept) == 0 || len(kept) == len(accounts) {
		t.Fatalf("%d of %d accounts are at the first master, %v", len(kept), len(accounts), err)
	}
	failed := 0
	for range 2 { // also when it is known that one does not answer
		var claims []otp.Claim
		for _, a := range accounts {
			claims = append(claims, useStep(a, 100, 1))
		}
		failed = 0
		for _, r := range s.Claim(background(t), claims) {
			if errors.Is(r.Err, otp.ErrUnavailable) {
				failed++
			} else if r.Answer != otp.Claimed {
				t.Fatalf("%+v", r)
			}
		}
		if failed != len(kept) {
			t.Fatalf("%d claims failed, want those of the %d accounts whose replica hangs", failed, len(kept))
		}
	}
	shards[0].Replicas[0].Thaw()
	for _, a := range accounts {
		until(t, a+" does not get in", func() bool { return claimOne(background(t), s, useStep(a, 100, 1)).Answer == otp.Claimed })
	}
}

func TestMinReplicasAreWatched(t *testing.T) {
	master, replica, _ := lagging(t)
	for _, step := range []struct {
		min, insists int
		want         string
	}{{0, 0, "no replica has"}, {1, 0, "wait in vain"}, {1, 1, ""}, {2, 1, "nobody gets in"}} {
		if err := admin(t, master).ConfigSet(background(t), "min-replicas-to-write", fmt.Sprint(step.insists)).Err(); err != nil {
			t.Fatal(err)
		}
		var l logs
		o := redisstore.Options{Addresses: []string{master.Addr}, MinReplicas: step.min, Logger: l.logger()}
		if step.min > 1 { // it waits in vain
			o.Timeout = 2 * time.Second
		}
		s := open(t, o)
		_, err := s.Ping(background(t))
		if (err != nil) != (step.min > 1) {
			t.Errorf("Ping with min_replicas %d: %v", step.min, err)
		}
		wantConcern(t, s, &l, step.want)
	}
	replica.Kill()
}

// TestAMasterThatIsAReplicaIsNamed: whoever has to mend it reads which server it is, and whose replica.
func TestAMasterThatIsAReplicaIsNamed(t *testing.T) {
	master, replica, sentinel := redistest.StartSentinel(t)
	s := open(t, redisstore.Options{Addresses: []string{sentinel.Addr}, MasterName: redistest.MasterName})
	recovers(t, s)
	addDevice(t, s, "a")
	host, port, _ := net.SplitHostPort(replica.Addr)
	client := admin(t, master)
	if err := client.Do(background(t), "replicaof", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.ClientKillByFilter(background(t), "type", "normal", "skipme", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	want := master.Addr + ", which the sentinels name as the master: the server is a replica of " + replica.Addr
	if r := claimOne(background(t), s, useStep("a", 100, 1)); !errors.Is(r.Err, otp.ErrUnavailable) || !strings.Contains(r.Err.Error(), want) {
		t.Errorf("%v, want %q", r.Err, want)
	}
}
