package redisstore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"otpgate/otp"
	"otpgate/otp/redisstore"
	"otpgate/otp/redisstore/redistest"
	"otpgate/otp/storetest"
)

var noon = time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)

// background is a context that ends with the test at the latest.
func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// admin is a client beside the store.
func admin(t testing.TB, server *redistest.Server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func addDevice(t testing.TB, s otp.Store, account string) {
	t.Helper()
	d := otp.Device{Account: account, ID: "abcdefgh22222222", Label: "phone", Sealed: bytes.Repeat([]byte{7}, 53), Algorithm: otp.SHA1, Digits: 6, Period: time.Minute, Created: noon}
	errs, err := s.AddDevices(background(t), []otp.Device{d}, 0)
	if err = errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
}

func useStep(account string, step int64, token byte) otp.Claim {
	return otp.Claim{Kind: otp.UseStep, Account: account, Version: firstVersion, Device: "abcdefgh22222222", Step: step, Token: otp.Token{token}, Now: noon}
}

func claimOne(ctx context.Context, s otp.Store, c otp.Claim) otp.Receipt {
	return s.Claim(ctx, []otp.Claim{c})[0]
}

// logs collects log lines.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestServerThatMayEvictIsRefused(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	storetest.WantUnavailable(t, s, background(t), "evicting server", useStep("a", 100, 1))
	_, err := s.Ping(background(t))
	if !errors.Is(err, redisstore.ErrEvicts) || !errors.Is(err, otp.ErrUnavailable) || strings.Contains(err.Error(), "hint") {
		t.Fatalf("Ping: %v", err)
	}
	for _, want := range []string{"maxmemory-policy", "allkeys-lru"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Ping: %v does not tell %q", err, want)
		}
	}
	if n := admin(t, server).DBSize(background(t)).Val(); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	if err := admin(t, server).ConfigSet(background(t), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ping(background(t)); err != nil {
		t.Fatalf("after the setting was put right: %v", err)
	}
}

func TestWhoseTheStoreIsCanBeAskedWithoutTakingIt(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	ctx := background(t)
	if whose, err := s.Bound(ctx); err != nil || whose != "" {
		t.Fatalf("%q, %v", whose, err)
	}
	if n := admin(t, server).DBSize(ctx).Val(); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	if err := s.Bind(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	if whose, err := s.Bound(ctx); err != nil || whose != "first" {
		t.Errorf("%q, %v", whose, err)
	}
	server.Stop()
	if _, err := s.Bound(ctx); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
}

func TestServerThatBeginsToEvictIsRefused(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	addDevice(t, s, "a")
	set := func(name, value string) {
		t.Helper()
		if err := admin(t, server).ConfigSet(background(t), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory-policy", "volatile-ttl")
	if _, err := s.Ping(background(t)); err != nil {
		t.Fatalf("a policy without a limit evicts nothing: %v", err)
	}
	set("maxmemory", "100mb")
	if _, err := s.Ping(background(t)); !errors.Is(err, otp.ErrUnavailable) || !strings.Contains(err.Error(), server.Addr) {
		t.Fatalf("Ping: %v", err)
	}
	if r := claimOne(background(t), s, useStep("a", 100, 1)); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Fatalf("%+v", r)
	}
	set("maxmemory-policy", "noeviction")
	if r := claimOne(background(t), s, useStep("a", 100, 2)); r.Answer != otp.Claimed {
		t.Fatalf("after the setting was put right: %+v", r)
	}
}

func TestSettingsAreReadFromInfoWhenConfigIsForbidden(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random",
		"--user", "no-config", "on", ">secret", "~*", "+@all", "-config",
		"--user", "no-info", "on", ">secret", "~*", "+@all", "-config", "-info")
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Username: "no-config", Password: "secret"})
	if r := claimOne(background(t), s, useStep("a", 1, 1)); !errors.Is(r.Err, redisstore.ErrEvicts) || !strings.Contains(r.Err.Error(), "allkeys-random") {
		t.Fatalf("%+v", r)
	}
	var l logs
	s = open(t, redisstore.Options{Addresses: []string{server.Addr}, Username: "no-info", Password: "secret", Logger: l.logger()})
	for range 3 {
		if _, err := s.Ping(background(t)); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(l.String(), "does not tell whether"); n != 1 {
		t.Fatalf("%d warnings in\n%s", n, l.String())
	}
}

func TestServerThatMayForgetIsWarnedAboutOnce(t *testing.T) {
	const noConfig = "no-config"
	user := []string{"--user", noConfig, "on", ">secret", "~*", "+@all", "-config"}
	for _, test := range []struct {
		name, user string
		args       []string
		want       string // in the one warning
	}{
		{"neither", "", []string{"--appendonly", "no"}, "nothing on disk"},
		{"snapshots", "", []string{"--appendonly", "no", "--save", "3600 1 300 100 60 10000"}, "no append-only file"},
		{"append-only file", "", nil, ""},
		{"append-only file and snapshots", "", []string{"--save", "3600 1"}, ""},
		{"CONFIG is forbidden", noConfig, append([]string{"--appendonly", "no"}, user...), "no append-only file"},
		{"CONFIG is forbidden, append-only file", noConfig, user, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l logs
			server := redistest.Start(t, test.args...)
			o := redisstore.Options{Addresses: []string{server.Addr}, Logger: l.logger(), Username: test.user}
			if test.user != "" {
				o.Password = "secret"
			}
			s := open(t, o)
			for range 3 {
				if _, err := s.Ping(background(t)); err != nil {
					t.Fatal(err)
				}
			}
			wantConcern(t, s, &l, test.want)
		})
	}
}

// wantConcern fails unless the store has this concern and no other, and the log has it once.
func wantConcern(t *testing.T, s *redisstore.Store, l *logs, want string) {
	t.Helper()
	concerns, lines := s.Concerns(), strings.Count(l.String(), "level=WARN")
	if want == "" {
		if len(concerns) > 0 || lines > 0 {
			t.Fatalf("concerns %q, logged:\n%s", concerns, l.String())
		}
		return
	}
	if len(concerns) != 1 || !strings.Contains(concerns[0], want) || lines != 1 || !strings.Contains(l.String(), want) {
		t.Fatalf("concerns %q, logged:\n%s", concerns, l.String())
	}
}

func TestAppendOnlyFileThatIsSwitchedOffIsNoticed(t *testing.T) {
	var l logs
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Logger: l.logger()})
	for _, step := range []struct{ set, want string }{{"yes", ""}, {"no", "nothing on disk"}} {
		if err := admin(t, server).ConfigSet(background(t), "appendonly", step.set).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ping(background(t)); err != nil {
			t.Fatal(err)
		}
		wantConcern(t, s, &l, step.want)
	}
	if err := admin(t, server).ConfigSet(background(t), "appendonly", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ping(background(t)); err != nil || len(s.Concerns()) > 0 {
		t.Fatalf("after it was switched on: %v, %q", err, s.Concerns())
	}
}

func TestReplicasThatNeedNotHaveWritesAreAConcern(t *testing.T) {
	master, _, sentinel := redistest.StartSentinel(t)
	for _, user := range []string{"default", "no-config"} {
		ctx := background(t)
		if err := admin(t, master).Do(ctx, "acl", "setuser", user, "on", "nopass", "~*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
		if user == "no-config" {
			if err := admin(t, master).Do(ctx, "acl", "setuser", user, "-config").Err(); err != nil {
				t.Fatal(err)
			}
		}
		for _, set := range []struct{ value, want string }{{"1", ""}, {"0", "no replica"}} {
			if err := admin(t, master).ConfigSet(ctx, "min-replicas-to-write", set.value).Err(); err != nil {
				t.Fatal(err)
			}
			var l logs
			s := open(t, redisstore.Options{Addresses: []string{sentinel.Addr}, MasterName: redistest.MasterName, Username: user, Password: "any", Logger: l.logger()})
			recovers(t, s)
			wantConcern(t, s, &l, set.want)
		}
	}
}

// TestASentinelThatIsHastyIsAConcern, and no longer than it is hasty.
func TestASentinelThatIsHastyIsAConcern(t *testing.T) {
	_, _, sentinels := redistest.StartSentinels(t, 1, 3)
	o := redisstore.Options{MasterName: redistest.MasterName}
	for _, s := range sentinels {
		o.Addresses = append(o.Addresses, s.Addr)
	}
	after := func(milliseconds int) {
		t.Helper()
		for _, s := range sentinels { // all: one may be late with its first answer
			if err := admin(t, s).Do(background(t), "sentinel", "set", redistest.MasterName, "down-after-milliseconds", milliseconds).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for milliseconds, want := range map[int]string{1001: "", 1000: "after 1000 ms", 900: "after 900 ms"} {
		after(milliseconds)
		var l logs
		o.Logger = l.logger()
		s := open(t, o)
		recovers(t, s)
		concerned := func() bool {
			if _, err := s.Ping(background(t)); err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(s.Concerns(), func(c string) bool { return strings.Contains(c, "Redis Sentinel takes a server for gone "+want) })
		}
		if concerned() != (want != "") || strings.Count(l.String(), "Redis Sentinel takes") != min(len(want), 1) {
			t.Errorf("%d ms: concerns %q, logged:\n%s", milliseconds, s.Concerns(), l.String())
		}
		after(1500)
		until(t, "the concern goes when it was mended", func() bool { return !concerned() || want == "" })
	}
}

func TestServerThatHangs(t *testing.T) {
	const timeout = 500 * time.Millisecond
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Timeout: timeout})
	if _, err := s.Ping(background(t)); err != nil {
		t.Fatal(err)
	}
	addDevice(t, s, "a")
	server.Freeze()
	// Generous: the machine is busy. What is to be proven is that nobody waits for the server.
	within := func(what string, limit time.Duration, ctx context.Context, causes ...error) {
		t.Helper()
		began := time.Now() // real time: a real server hangs
		r := claimOne(ctx, s, useStep("a", 100, 1))
		if took := time.Since(began); took > limit+2*time.Second {
			t.Errorf("%s: took %v", what, took)
		}
		is := func(cause error) bool { return errors.Is(r.Err, cause) }
		if !is(otp.ErrUnavailable) || len(causes) > 0 && !slices.ContainsFunc(causes, is) {
			t.Errorf("%s: %+v", what, r)
		}
	}
	deadline, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	// The connection has the context's deadline too, and may be the first to notice.
	within("deadline", 100*time.Millisecond, deadline, context.DeadlineExceeded, os.ErrDeadlineExceeded)
	cancelled, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	within("cancel", 50*time.Millisecond, cancelled, context.Canceled)
	within("neither", 3*timeout, context.Background())
	t.Run("a crowd", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		var crowd sync.WaitGroup
		for n := range 300 {
			crowd.Go(func() {
				if r := claimOne(ctx, s, useStep("a", 100, byte(n))); !errors.Is(r.Err, otp.ErrUnavailable) {
					t.Errorf("%+v", r)
				}
			})
		}
		crowd.Wait()
	})
	server.Thaw()
	recovers(t, s)
	if r := claimOne(background(t), s, useStep("a", 1000, 1)); r.Err != nil {
		t.Fatalf("after the hang: %+v", r)
	}
}

// TestServerThatIsSlow has one answer later than a timeout, and one not in time: it is asked once each time.
func TestServerThatIsSlow(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testSlow(t, redistest.Start(t), nil) })
	t.Run("TLS", func(t *testing.T) {
		cert, key, roots := selfSigned(t)
		server := redistest.Start(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
		testSlow(t, server, &tls.Config{RootCAs: roots})
	})
}

func testSlow(t *testing.T, server *redistest.Server, secure *tls.Config) {
	const timeout = time.Second
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}, Timeout: timeout, TLS: secure})
	addDevice(t, s, "a")
	admin := redis.NewClient(&redis.Options{Addr: server.Addr, TLSConfig: secure})
	t.Cleanup(func() { _ = admin.Close() })
	calls := regexp.MustCompile(`cmdstat_evalsha:calls=(\d+)`)
	asked := func() int {
		t.Helper()
		stats, err := admin.Info(background(t), "commandstats").Result()
		found := calls.FindStringSubmatch(stats)
		if err != nil || found == nil {
			t.Fatalf("%q: %v", stats, err)
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if r := claimOne(background(t), s, useStep("a", 1, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	before := asked()
	server.Freeze()
	thaw := time.AfterFunc(timeout*3/2, server.Thaw)
	if r := claimOne(background(t), s, useStep("a", 2, 2)); r.Answer != otp.Claimed {
		t.Errorf("after one and a half: %+v", r)
	}
	thaw.Stop()
	server.Freeze()
	began := time.Now() // real time: a real server hangs
	if r := claimOne(background(t), s, useStep("a", 3, 3)); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Errorf("never: %+v", r)
	}
	if took := time.Since(began); took < 2*timeout {
		t.Errorf("given up after %v", took)
	}
	server.Thaw()
	recovers(t, s)
	if after := asked(); after != before+2 {
		t.Errorf("asked %d times", after-before)
	}
}

// TestMasterThatIsSlow keeps a claim in a cluster waiting for one timeout, and not for two: others may be at work
// for its accounts by then.
func TestMasterThatIsSlow(t *testing.T) {
	const timeout = time.Second
	nodes := redistest.StartCluster(t)
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Addr)
	}
	s := open(t, redisstore.Options{Addresses: addresses, Timeout: timeout})
	addDevice(t, s, "a")
	if r := claimOne(background(t), s, useStep("a", 1, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	master := slices.IndexFunc(nodes, func(n *redistest.Server) bool {
		there, err := admin(t, n).Exists(background(t), "otpgate:{a}:a").Result() // the others say who has it
		return err == nil && there == 1
	})
	if master < 0 {
		t.Fatal("nobody has the account")
	}
	nodes[master].Freeze()
	began := time.Now() // real time: a real server hangs
	if r := claimOne(background(t), s, useStep("a", 2, 2)); !errors.Is(r.Err, otp.ErrUnavailable) {
		t.Errorf("%+v", r)
	}
	if took := time.Since(began); took < timeout || took >= 2*timeout {
		t.Errorf("given up after %v", took)
	}
	nodes[master].Thaw()
	recovers(t, s)
	if r := claimOne(background(t), s, useStep("a", 3, 3)); r.Answer != otp.Claimed {
		t.Errorf("afterwards: %+v", r)
	}
}

// recovers waits until the store works again.
func recovers(t *testing.T, s otp.Store) {
	t.Helper()
	ctx := background(t)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		_, err := s.Ping(ctx)
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("the store does not recover: %v", err)
		}
	}
}

// TestWhatRedisSaysToANewConnectionIsSaid, with and without replicas, and not that nothing came back.
func TestWhatRedisSaysToANewConnectionIsSaid(t *testing.T) {
	for _, replicas := range []int{0, 1} {
		server := redistest.Start(t)
		s := open(t, redisstore.Options{Addresses: []string{server.Addr}, MinReplicas: replicas})
		ours, ctx := admin(t, server), background(t)
		if err := s.Bind(ctx, "ours"); (err == nil) != (replicas == 0) {
			t.Fatal(err)
		}
		for _, command := range [][]any{{"config", "set", "requirepass", "changed"}, {"client", "kill", "skipme", "yes"}} {
			if err := ours.Do(ctx, command...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		r := claimOne(ctx, s, useStep("a", 1, 1))
		_, ping := s.Ping(ctx)
		_, read := s.Devices(ctx, "a")
		for what, err := range map[string]error{"claim": r.Err, "ping": ping, "devices": read} {
			if !errors.Is(err, otp.ErrUnavailable) || !strings.Contains(err.Error(), "NOAUTH") {
				t.Errorf("%d replicas: %s: %v", replicas, what, err)
			}
		}
	}
}

func TestServerThatGoesAndComesBack(t *testing.T) {
	server := redistest.Start(t)
	server.Stop()
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	storetest.WantUnavailable(t, s, background(t), "server that was never there", useStep("a", 100, 1))
	server.Start()
	recovers(t, s)
	addDevice(t, s, "a")
	for step := int64(100); step < 103; step++ {
		if r := claimOne(background(t), s, useStep("a", step, byte(step))); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
		server.Stop()
		storetest.WantUnavailable(t, s, background(t), "stopped server", useStep("a", 100, 1))
		server.Start()
		recovers(t, s)
		if r := claimOne(background(t), s, useStep("a", step, 1)); r.Answer != otp.Used {
			t.Fatalf("%+v", r)
		}
	}
}

func TestScriptsAreLoadedAnew(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	addDevice(t, s, "a")
	for round := range int64(3) {
		if err := admin(t, server).ScriptFlush(background(t)).Err(); err != nil {
			t.Fatal(err)
		}
		first := 100 + 10*round
		batch := []otp.Claim{useStep("a", first, byte(first)), useStep("a", first, 1), useStep("a", first+1, byte(first+1))}
		for i, r := range s.Claim(background(t), batch) {
			if want := []otp.Answer{otp.Claimed, otp.Used, otp.Claimed}[i]; r.Answer != want {
				t.Fatalf("claim %d after SCRIPT FLUSH: %+v", i, r)
			}
		}
	}
}

func TestPingTellsTheTimeOfTheServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{Addresses: []string{server.Addr}})
	at, err := s.Ping(background(t))
	if err != nil || at.Before(time.Now().Add(-time.Minute)) || at.After(time.Now().Add(time.Minute)) {
		t.Fatalf("%v, %v", at, err)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for name, o := range map[string]redisstore.Options{
		"no address":      {},
		"brace in prefix": {Addresses: []string{"127.0.0.1:1"}, KeyPrefix: "otp{gate}:"},
	} {
		if _, err := redisstore.Open(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFailoverBySentinel(t *testing.T) {
	master, replica, sentinel := redistest.StartSentinel(t)
	s := open(t, redisstore.Options{Addresses: []string{sentinel.Addr}, MasterName: redistest.MasterName, Timeout: 2 * time.Second})
	recovers(t, s)
	addDevice(t, s, "a")
	if r := claimOne(background(t), s, useStep("a", 100, 1)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	// Replication is asynchronous: what the replica has not got yet is lost with the master.
	if n, err := admin(t, master).Wait(background(t), 1, 10*time.Second).Result(); err != nil || n != 1 {
		t.Fatalf("WAIT: %d, %v", n, err)
	}
	master.Kill()
	recovers(t, s)
	if r := claimOne(background(t), s, useStep("a", 100, 2)); r.Answer != otp.Used {
		t.Fatalf("the step is accepted again after the failover: %+v", r)
	}
	if r := claimOne(background(t), s, useStep("a", 101, 3)); r.Answer != otp.Claimed {
		t.Fatalf("%+v", r)
	}
	if role, err := admin(t, replica).Do(background(t), "role").Slice(); err != nil || role[0] != "master" {
		t.Fatalf("the replica is %v, %v", role, err)
	}
}

// TestDamagedAccount: a record that was cut lets nobody in, wherever it was cut, and is left as it is.
func TestDamagedAccount(t *testing.T) {
	server := redistest.Start(t)
	s, client := open(t, redisstore.Options{Addresses: []string{server.Addr}}), admin(t, server)
	for _, field := range []string{"t", "uabcdefgh22222222"} {
		addDevice(t, s, field)
		if r := claimOne(background(t), s, useStep(field, 100, 1)); r.Answer != otp.Claimed {
			t.Fatalf("%+v", r)
		}
		key := "otpgate:{" + field + "}:a"
		whole, err := client.HGet(background(t), key, field).Result()
		if err != nil {
			t.Fatal(err)
		}
		for length := 1; length < len(whole); length++ {
			if err := client.HSet(background(t), key, field, whole[:length]).Err(); err != nil {
				t.Fatal(err)
			}
			for _, later := range []time.Duration{time.Second, time.Hour} {
				c := useStep(field, 101, 2)
				c.Now = c.Now.Add(later)
				if r := claimOne(background(t), s, c); !errors.Is(r.Err, otp.ErrUnavailable) || r.Answer != otp.NoAnswer {
					t.Errorf("%s of %d octets, %v later: %+v", field, length, later, r)
				}
			}
			if left, err := client.HGet(background(t), key, field).Result(); err != nil || left != whole[:length] {
				t.Errorf("%s of %d octets is now %q (%v)", field, length, left, err)
			}
		}
	}
}
