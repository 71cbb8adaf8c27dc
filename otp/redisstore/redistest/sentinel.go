package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is the name by which the sentinel of [StartSentinel] knows the master.
const MasterName = "otpgate"

// StartSentinel runs a master, its replica, and one sentinel, which makes the replica the master within
// seconds when the master is gone.
func StartSentinel(t testing.TB) (master, replica, sentinel *Server) {
	t.Helper()
	master, replicas, sentinels := StartSentinels(t, 1, 1)
	return master, replicas[0], sentinels[0]
}

// StartSentinels runs a master, so many replicas, and so many sentinels, of which more than half have to agree
// that the master is gone.
func StartSentinels(t testing.TB, copies, number int) (master *Server, replicas, sentinels []*Server) {
	t.Helper()
	master = Start(t, "--repl-diskless-sync-delay", "0")
	for range copies {
		replicas = append(replicas, StartReplica(t, master.Addr))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range number {
		sentinels = append(sentinels, watch(t, master.Addr, number/2+1))
	}
	for _, sentinel := range sentinels {
		waitFor(ctx, t, sentinel.Addr, "the sentinel does not find the replicas and the other sentinels", func(c *redis.Client) bool {
			found, err := c.Do(ctx, "sentinel", "replicas", MasterName).Slice()
			others, err2 := c.Do(ctx, "sentinel", "sentinels", MasterName).Slice()
			return err == nil && err2 == nil && len(found) == copies && len(others) == number-1
		})
	}
	return master, replicas, sentinels
}

// StartReplica runs a replica of the server at an address, and waits until it has what that has.
func StartReplica(t testing.TB, of string, args ...string) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(of)
	replica := Start(t, append([]string{"--repl-diskless-sync-delay", "0", "--replicaof", host + " " + port}, args...)...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	waitFor(ctx, t, replica.Addr, "the replica does not find its master", func(c *redis.Client) bool {
		info, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	return replica
}

// watch runs a sentinel, which takes a server for gone that has not answered for 1.5 s. It asks a master once a second, or
// as often as it may take one for gone, and of one that it has just made it waits for the first answer from then on: with a
// second or less that one is as good as gone before it is asked, and now and then its only replica is made master in its
// place, which nobody copies for the ten seconds after.
func watch(t testing.TB, master string, quorum int) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(master)
	sentinel := &Server{t: t, Dir: t.TempDir(), Addr: FreeAddr(t)}
	t.Cleanup(sentinel.Kill)
	_, own, _ := net.SplitHostPort(sentinel.Addr)
	config := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %[3]s 1500\nsentinel failover-timeout %[3]s 3000\n", own, sentinel.Dir, MasterName, host, port, quorum)
	file := filepath.Join(sentinel.Dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel.command = []string{file, "--sentinel"}
	sentinel.Start()
	return sentinel
}

// waitFor asks a server until it says what is wanted.
func waitFor(ctx context.Context, t testing.TB, addr, otherwise string, done func(*redis.Client) bool) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer func() { _ = client.Close() }()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !done(client) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatal(otherwise)
		}
	}
}
