package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"otpgate/cmd/radload/bench/machine"
)

// directory is a slapd with the accounts of a population.
type directory struct {
	*machine.Process
	port int
}

const directoryRoot = "dn: dc=bench\nobjectClass: dcObject\nobjectClass: organization\ndc: bench\no: bench\n\n" +
	"dn: ou=people,dc=bench\nobjectClass: organizationalUnit\nou: people\n\n"

// startDirectory starts slapd, which has read its accounts before.
func (b *bench) startDirectory(ctx context.Context, p population) (*directory, error) {
	people, err := b.people(ctx, p)
	if err != nil {
		return nil, err
	}
	dir, err := b.made(fmt.Sprintf("directory-%d", p.accounts), func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "ldap"), 0o700); err != nil {
			return err
		}
		if err := b.configure("slapd.conf", filepath.Join(dir, "slapd.conf")); err != nil {
			return err
		}
		entries, err := os.ReadFile(filepath.Join(people, "people.ldif"))
		if err != nil {
			return err
		}
		all := filepath.Join(dir, "all.ldif")
		if err := os.WriteFile(all, append([]byte(directoryRoot), entries...), 0o600); err != nil {
			return err
		}
		if err := b.once(ctx, "slapadd", "-q", "-f", filepath.Join(dir, "slapd.conf"), "-l", all); err != nil {
			return err
		}
		return os.Remove(all)
	})
	if err != nil {
		return nil, err
	}
	d := &directory{}
	if d.port, err = machine.FreePort(); err != nil {
		return nil, err
	}
	if err := b.configure("slapd.conf", filepath.Join(dir, "slapd.conf")); err != nil { // the folder may have been moved
		return nil, err
	}
	d.Process, err = machine.Start("slapd", dir, b.ServerCores, "slapd", "-d", "0", "-f", filepath.Join(dir, "slapd.conf"),
		"-h", fmt.Sprintf("ldap://127.0.0.1:%d", d.port))
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, d.Stop)
	return d, d.Await(ctx, func() bool { return machine.Listens(d.port) })
}

// everywhere lets slapd use all cores while nothing is measured, which makes accounts known sooner.
func (b *bench) everywhere(ctx context.Context, d *directory, work func() error) error {
	if err := d.Confine(ctx, fmt.Sprintf("0-%d", runtime.NumCPU()-1)); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return d.Confine(ctx, b.ServerCores)
}

// redis is one server of Redis.
type redis struct {
	*machine.Process
	port int
}

// startRedis starts a Redis that keeps what it is told as the documentation wants it. Its file is not rewritten
// while something is measured: see tidy.
func (b *bench) startRedis(ctx context.Context, dir string, args ...string) (*redis, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &redis{port: port}
	r.Process, err = machine.Start("redis", dir, b.ServerCores, "redis-server", append([]string{
		"--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
		"--auto-aof-rewrite-percentage", "0", "--daemonize", "no", "--maxmemory-policy", "noeviction",
		"--repl-diskless-sync-delay", "0", "--repl-backlog-ttl", "1", // a replica that has gone costs nothing any more
	}, args...)...)
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, r.Stop)
	return r, r.Await(ctx, func() bool {
		answer, err := b.ask(ctx, r, "ping")
		return err == nil && strings.TrimSpace(answer) == "PONG"
	})
}

// ask has Redis's answer to a command.
func (b *bench) ask(ctx context.Context, r *redis, command ...string) (string, error) {
	return b.output(ctx, "redis-cli", append([]string{"-p", fmt.Sprint(r.port)}, command...)...)
}

// number reads one of the numbers that Redis tells of itself.
func (b *bench) number(ctx context.Context, r *redis, section, name string) (int64, error) {
	answer, err := b.ask(ctx, r, "info", section)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(answer) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("redis: INFO %s has no %s", section, name)
}

// tidy has Redis rewrite its file where that is more than twice as large as it need be, so that this happens
// between measurements.
func (b *bench) tidy(ctx context.Context, r *redis) error {
	size, err := b.number(ctx, r, "persistence", "aof_current_size")
	if err != nil {
		return err
	}
	base, err := b.number(ctx, r, "persistence", "aof_base_size")
	if err != nil || size < 2*base+1<<20 {
		return err
	}
	if _, err := b.ask(ctx, r, "bgrewriteaof"); err != nil {
		return err
	}
	for _, name := range []string{"aof_rewrite_scheduled", "aof_rewrite_in_progress"} {
		if err := r.Await(ctx, func() bool {
			going, err := b.number(ctx, r, "persistence", name)
			return err == nil && going == 0
		}); err != nil {
			return err
		}
	}
	return nil
}

// startReplica starts a replica, and waits until it has all that its master has.
func (b *bench) startReplica(ctx context.Context, master *redis) (*redis, error) {
	if err := os.RemoveAll(b.path("replica")); err != nil {
		return nil, err
	}
	r, err := b.startRedis(ctx, b.path("replica"), "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.port))
	if err != nil {
		return nil, err
	}
	return r, r.Await(ctx, func() bool {
		state, err := b.ask(ctx, r, "info", "replication")
		return err == nil && strings.Contains(state, "master_link_status:up")
	})
}

// clusterMasters is how many masters a cluster of the benchmark has: the least that Redis allows.
const clusterMasters = 3

// clusterSlots is how many slots a cluster has.
const clusterSlots = 16384

// startCluster starts masters that share all slots.
func (b *bench) startCluster(ctx context.Context, dir string) (all []*redis, err error) {
	buses := make([]int, clusterMasters)
	for i := range buses {
		if buses[i], err = machine.FreePort(); err != nil {
			return nil, err
		}
		r, err := b.startRedis(ctx, filepath.Join(dir, fmt.Sprintf("redis-%d", i)), "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(buses[i]))
		if err != nil {
			return nil, err
		}
		all = append(all, r)
		first, last := i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1
		if _, err := b.ask(ctx, r, "cluster", "addslotsrange", fmt.Sprint(first), fmt.Sprint(last)); err != nil {
			return nil, err
		}
	}
	for i, r := range all[1:] {
		if _, err := b.ask(ctx, all[0], "cluster", "meet", "127.0.0.1", fmt.Sprint(r.port), fmt.Sprint(buses[i+1])); err != nil {
			return nil, err
		}
	}
	for _, r := range all {
		if err := r.Await(ctx, func() bool {
			state, err := b.ask(ctx, r, "cluster", "info")
			return err == nil && strings.Contains(state, "cluster_state:ok") &&
				strings.Contains(state, fmt.Sprintf("cluster_known_nodes:%d", clusterMasters))
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}
