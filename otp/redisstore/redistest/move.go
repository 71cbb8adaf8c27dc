package redistest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// StartGrowingCluster runs a cluster of three masters that share the slots, and a fourth that has none yet.
func StartGrowingCluster(t testing.TB, args ...string) (masters []*Server, empty *Server) {
	t.Helper()
	nodes := startNodes(t, 4, "5000", args)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	meet(ctx, t, nodes, 3)
	return nodes[:3], nodes[3]
}

// A Move takes the slot of a key from one master of a cluster to another, as `redis-cli --cluster reshard` does, in
// steps: [BeginMove], [Move.Keys], [Move.End].
type Move struct {
	t        testing.TB
	slot     int64
	from, to *redis.Client
	name     string // the id of the one that it goes to
}

// BeginMove says to both that the slot is on its way. All keys are at the first still.
func BeginMove(t testing.TB, key string, from, to *Server) *Move {
	t.Helper()
	m := &Move{t: t, from: redis.NewClient(&redis.Options{Addr: from.Addr}), to: redis.NewClient(&redis.Options{Addr: to.Addr})}
	t.Cleanup(func() { _, _ = m.from.Close(), m.to.Close() })
	ctx := t.Context()
	var err error
	if m.slot, err = m.from.ClusterKeySlot(ctx, key).Result(); err != nil {
		t.Fatal(err)
	}
	source, err := m.from.ClusterMyID(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	if m.name, err = m.to.ClusterMyID(ctx).Result(); err != nil {
		t.Fatal(err)
	}
	m.set(m.to, "importing", source)
	m.set(m.from, "migrating", m.name)
	return m
}

// Keys takes all keys along. The first master has to send whoever asks for them to the second.
func (m *Move) Keys() {
	m.t.Helper()
	ctx := m.t.Context()
	host, port, _ := net.SplitHostPort(m.to.Options().Addr)
	for {
		keys, err := m.from.ClusterGetKeysInSlot(ctx, int(m.slot), 100).Result()
		if err != nil {
			m.t.Fatal(err)
		}
		if len(keys) == 0 {
			return
		}
		for _, key := range keys {
			if err := m.from.Migrate(ctx, host, port, key, 0, time.Minute).Err(); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// End says to both that the slot is the second one's. Other masters hear of it from these.
func (m *Move) End() {
	m.t.Helper()
	m.set(m.to, "node", m.name)
	m.set(m.from, "node", m.name)
}

func (m *Move) set(at *redis.Client, state, id string) {
	m.t.Helper()
	if err := at.Do(m.t.Context(), "cluster", "setslot", m.slot, state, id).Err(); err != nil {
		m.t.Fatal(err)
	}
}
