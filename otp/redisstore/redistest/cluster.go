package redistest

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots is how many hash slots a Redis Cluster has.
const slots = 16384

// StartCluster runs a cluster of three masters without replicas.
func StartCluster(t testing.TB, args ...string) []*Server {
	t.Helper()
	nodes := startNodes(t, 3, "5000", args)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	meet(ctx, t, nodes, 3)
	return nodes
}

// A Shard is a master of a cluster and its replicas.
type Shard struct {
	Master   *Server
	Replicas []*Server
}

// Addrs are those of all of them.
func (s *Shard) Addrs() []string {
	addrs := []string{s.Master.Addr}
	for _, r := range s.Replicas {
		addrs = append(addrs, r.Addr)
	}
	return addrs
}

// StartShard runs a cluster of one server, which has all slots. It ends with the test.
func StartShard(t testing.TB, args ...string) *Server {
	t.Helper()
	nodes := startNodes(t, 1, "5000", args)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	meet(ctx, t, nodes, 1)
	return nodes[0]
}

// StartReplicatedCluster runs a cluster of three masters with so many replicas each, one of which takes the master's
// place within seconds when that is gone. The other masters serve their slots meanwhile.
func StartReplicatedCluster(t testing.TB, copies int, args ...string) []Shard {
	t.Helper()
	const masters = 3
	nodes := startNodes(t, masters*(1+copies), "800", append([]string{
		"--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0",
	}, args...))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	meet(ctx, t, nodes, masters)
	shards := make([]Shard, masters)
	for i, replica := range nodes[masters:] {
		shards[i%masters].Replicas = append(shards[i%masters].Replicas, replica)
	}
	for i := range shards {
		shards[i].Master = nodes[i]
		for _, replica := range shards[i].Replicas {
			replicate(ctx, t, shards[i].Master, replica)
		}
	}
	for _, node := range nodes { // each has to know whom a replica belongs to, so that it may vote
		waitFor(ctx, t, node.Addr, "the nodes do not know the replicas", func(c *redis.Client) bool {
			text, err := c.ClusterNodes(ctx).Result()
			return err == nil && strings.Count(text, "slave ") == masters*copies && strings.Count(text, "connected") == len(nodes)
		})
	}
	return shards
}

// replicate makes one server of a cluster the replica of another.
func replicate(ctx context.Context, t testing.TB, of, by *Server) {
	t.Helper()
	master, replica := redis.NewClient(&redis.Options{Addr: of.Addr}), redis.NewClient(&redis.Options{Addr: by.Addr})
	defer func() { _, _ = master.Close(), replica.Close() }()
	id, err := master.ClusterMyID(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := replica.ClusterReplicate(ctx, id).Err(); err != nil {
		t.Fatal(err)
	}
	waitFor(ctx, t, by.Addr, "the replica does not find its master", func(c *redis.Client) bool {
		info, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

// startNodes runs nodes that know nothing of each other.
func startNodes(t testing.TB, number int, timeout string, args []string) []*Server {
	t.Helper()
	nodes := make([]*Server, number)
	for i := range nodes {
		_, bus, _ := net.SplitHostPort(FreeAddr(t))
		nodes[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", timeout}, args...)...)
	}
	return nodes
}

// meet makes a cluster of nodes, the first of which share the slots.
func meet(ctx context.Context, t testing.TB, nodes []*Server, masters int) {
	t.Helper()
	clients := make([]*redis.Client, len(nodes))
	for i, node := range nodes {
		clients[i] = redis.NewClient(&redis.Options{Addr: node.Addr})
		defer func() { _ = clients[i].Close() }()
		if i >= masters {
			continue
		}
		first, last := i*slots/masters, (i+1)*slots/masters-1
		if err := clients[i].ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(node.Addr)
		busPort, err := clusterBus(ctx, node.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := clients[0].Do(ctx, "cluster", "meet", host, port, busPort).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		waitFor(ctx, t, node.Addr, "the nodes do not become a cluster", func(c *redis.Client) bool { return joined(ctx, c, len(nodes)) })
	}
}

// clusterBus asks a node for the port on which it talks to the others.
func clusterBus(ctx context.Context, addr string) (string, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	config, err := client.ConfigGet(ctx, "cluster-port").Result()
	return config["cluster-port"], err
}

// joined reports whether the node serves all slots, and knows all others.
func joined(ctx context.Context, client *redis.Client, nodes int) bool {
	info, err := client.ClusterInfo(ctx).Result()
	if err != nil {
		return false
	}
	return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(nodes))
}
