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
	nodes := make([]*Server, 3)
	for i := range nodes {
		_, bus, _ := net.SplitHostPort(FreeAddr(t))
		nodes[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "5000"}, args...)...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	clients := make([]*redis.Client, len(nodes))
	for i, node := range nodes {
		clients[i] = redis.NewClient(&redis.Options{Addr: node.Addr})
		defer func() { _ = clients[i].Close() }()
		first, last := i*slots/len(nodes), (i+1)*slots/len(nodes)-1
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
	return nodes
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
