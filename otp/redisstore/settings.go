package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// settings are what a server tells of itself; what it does not tell is empty.
type settings struct {
	maxmemory, policy string
	appendonly, save  string
	told              bool   // whether it tells of its replicas
	replicas          int    // connected to it
	minReplicas       string // how many of them must be there for it to take a write
	coverage          string // whether a cluster stops when it lacks a slot
}

// pipelined is what connections and clients have in common here.
type pipelined interface{ Pipeline() redis.Pipeliner }

// ask asks for all of them with CONFIG GET and with INFO, one of which may be forbidden.
func ask(ctx context.Context, node pipelined) (settings, error) {
	pipe := node.Pipeline()
	names := []string{"maxmemory", "maxmemory-policy", "appendonly", "save", "min-replicas-to-write", "cluster-require-full-coverage"}
	config, info := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.StringCmd, 3)
	for i, name := range names {
		config[i] = pipe.ConfigGet(ctx, name)
	}
	for i, section := range []string{"memory", "persistence", "replication"} {
		info[i] = pipe.Info(ctx, section)
	}
	if err := tell(ctx, pipe); err != nil {
		return settings{}, err
	}
	get := func(n int) string { return config[n].Val()[names[n]] }
	s := settings{maxmemory: get(0), policy: get(1), appendonly: get(2), save: get(3), minReplicas: get(4), coverage: get(5)}
	s.policyFrom(info[0].Val())
	if s.appendonly == "" {
		s.appendonly = map[string]string{"0": "no", "1": "yes"}[infoField(info[1].Val(), "aof_enabled")]
		s.save = "unknown"
	}
	connected := infoField(info[2].Val(), "connected_slaves")
	s.told = connected != ""
	s.replicas, _ = strconv.Atoi(connected)
	if s.minReplicas == "" && s.replicas > 0 && infoField(info[2].Val(), "min_slaves_good_slaves") == "" {
		s.minReplicas = "0" // the field is there when some are required
	}
	return s, nil
}

// policy is the question for what a server is refused for, and no more. That is a fiftieth of the whole: where connections are
// lost because there is too much on the line to Redis, what their successors ask must not be what keeps it full.
type policy struct{ maxmemory, name *redis.MapStringStringCmd }

// askPolicy asks when the pipeline goes.
func askPolicy(ctx context.Context, pipe redis.Pipeliner) policy {
	return policy{pipe.ConfigGet(ctx, "maxmemory"), pipe.ConfigGet(ctx, "maxmemory-policy")}
}

// told is the answer; where CONFIG GET is forbidden, INFO is asked, which is another round trip and tells more than is wanted.
func (p policy) told(ctx context.Context, node pipelined) (settings, error) {
	s := settings{maxmemory: p.maxmemory.Val()["maxmemory"], policy: p.name.Val()["maxmemory-policy"]}
	if s.policy != "" && s.maxmemory != "" {
		return s, nil
	}
	pipe := node.Pipeline()
	info := pipe.Info(ctx, "memory")
	if err := tell(ctx, pipe); err != nil {
		return settings{}, err
	}
	s.policyFrom(info.Val())
	return s, nil
}

// tell asks, and has no error for what the server does not tell.
func tell(ctx context.Context, pipe redis.Pipeliner) error {
	cmds, err := pipe.Exec(ctx)
	if err == nil {
		return nil
	}
	unsent(cmds, err)
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !refused(err) {
			return err
		}
	}
	return nil
}

// policyFrom takes from INFO's answer what CONFIG GET did not tell.
func (s *settings) policyFrom(info string) {
	s.maxmemory, s.policy = cmp.Or(s.maxmemory, infoField(info, "maxmemory")), cmp.Or(s.policy, infoField(info, "maxmemory_policy"))
}

// infoField returns a field of INFO's answer.
func infoField(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return value
		}
	}
	return ""
}

// refused reports whether the server has answered that it does not tell: it can be asked for something
// else. One that cannot answer now has to be asked again.
func refused(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !redis.IsLoadingError(err) && !redis.IsMasterDownError(err) && !redis.IsClusterDownError(err) &&
		!redis.IsAuthError(err) && !redis.IsMaxClientsError(err) && !redis.HasErrorPrefix(err, "BUSY")
}

// refusal is why the server must not be used; nil when it may. A limit that it does not tell may be one.
func (s *settings) refusal(address string) *refusal {
	if s.maxmemory == "0" || s.policy == "" || s.policy == "noeviction" {
		return nil
	}
	return &refusal{setting: "maxmemory-policy", value: s.policy, address: address}
}

// A concern is something about a server that keeps nobody out, but must not stay as it is.
type concern struct{ fact, hint string }

var (
	untold = concern{
		"Redis does not tell whether it may evict keys, or what it keeps on disk",
		"allow CONFIG GET or INFO to this user, and see that maxmemory-policy is noeviction and appendonly is yes",
	}
	unsaved = concern{
		"Redis keeps nothing on disk: after its restart all devices are gone, and what was used or revoked is forgotten",
		"set appendonly yes, and appendfsync always if the disk allows it",
	}
	snapshots = concern{
		"Redis has no append-only file: after a crash it accepts codes again that were used since its last snapshot, and revoked devices",
		"set appendonly yes, and appendfsync always if the disk allows it",
	}
	unreplicated = concern{
		"Redis takes writes that no replica has: after a failover codes may be accepted again, and revoked devices",
		"set min-replicas-to-write 1, and min-replicas-max-lag to a few seconds; store.redis.min_replicas closes it",
	}
	uncovered = concern{
		"Redis Cluster stops altogether while one master is replaced: nobody gets in, not even those whom another one keeps",
		"set cluster-require-full-coverage no",
	}
)

// waits is that logins wait in vain for replicas which Redis does not insist on.
func waits(want int, set string) concern {
	return concern{
		fmt.Sprintf("Redis takes writes that fewer replicas have than min_replicas wants (min-replicas-to-write is %s): such logins wait in vain, and get no reply", set),
		fmt.Sprintf("set min-replicas-to-write %d, and min-replicas-max-lag to a few seconds", want),
	}
}

// lacks is that there are not as many replicas as have to confirm.
func lacks(want, have int) concern {
	return concern{
		fmt.Sprintf("Redis has %d replicas, and min_replicas wants %d to confirm: nobody gets in", have, want),
		"start the replicas, or lower store.redis.min_replicas",
	}
}

// hastySentinel is that a sentinel takes a server for gone so many milliseconds after its last answer.
func hastySentinel(soonest int) concern {
	return concern{
		fmt.Sprintf("Redis Sentinel takes a server for gone after %d ms, perhaps before it has asked the one that it has just made the master: now and then a second failover follows the first, and where the master needs a replica nobody gets in for ten seconds", soonest),
		"set down-after-milliseconds to more than 1000 at every sentinel (SENTINEL SET)",
	}
}

// atVariance is that sentinels tell of an older configuration than others, or than they did before.
func atVariance(told, master string) concern {
	return concern{
		fmt.Sprintf("Redis Sentinel tells of %s as the master, in an older configuration than the one that made it %s, and not all sentinels that are listed say so: this node uses %[2]s, and does not follow that configuration", told, master),
		"find out which of them is the master (SENTINEL MASTER, and ROLE there), have all sentinels that are listed answer and say so; one that is gone for good is taken out of store.redis.addresses, and the node restarted",
	}
}

// concerns are what an operator has to hear. minReplicas is how many replicas have to confirm.
func (s *settings) concerns(minReplicas int, cluster bool) []concern {
	var list []concern
	switch {
	case s.policy == "" || s.appendonly == "":
		list = append(list, untold)
	case s.appendonly != "yes" && s.save == "":
		list = append(list, unsaved)
	case s.appendonly != "yes":
		list = append(list, snapshots)
	}
	insists, err := strconv.Atoi(s.minReplicas)
	switch {
	case minReplicas > 0 && s.told && s.replicas < minReplicas:
		list = append(list, lacks(minReplicas, s.replicas))
	case minReplicas > 0 && err == nil && insists < minReplicas:
		list = append(list, waits(minReplicas, s.minReplicas))
	case minReplicas == 0 && s.replicas > 0 && s.minReplicas == "0":
		list = append(list, unreplicated)
	}
	if cluster && s.coverage == "yes" {
		list = append(list, uncovered)
	}
	return list
}
