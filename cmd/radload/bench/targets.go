package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// target is something that has to hold, and what was measured of it.
type target struct {
	what, want, got string
	met             bool
	known           bool // it was measured
}

// What has to hold: the first ones against FreeRADIUS in the same bench.
const (
	targetKnown       = 6.0  // times FreeRADIUS with directory and replay check
	targetCPU         = 35.0 // microseconds of node and Redis
	targetSearch      = 1.5  // times the same
	targetEmbedded    = 1.0  // times FreeRADIUS without both
	targetRefused     = 10.0 // times the logins of the first
	targetAllocations = 0.01 // for each refused packet: none, but for what the runtime does meanwhile
	targetP50         = 1e-3 // seconds
	targetP99         = 5e-3
	targetFlat        = 0.10 // how much two figures may differ
	targetRedis       = 600  // octets per device
	targetBusy        = 0.90 // of its core, for the generator
)

// targets judges what there is.
func (r *Report) targets() []target {
	all := []target{
		r.atLeast("Redis, account known: logins/s", "redis", baseline, targetKnown),
		r.cpuTarget(),
		r.atLeast("Redis, directory search for every login: logins/s", "redis-search", baseline, targetSearch),
		r.atLeast("embedded store: logins/s", "embedded", "freeradius-totp", targetEmbedded),
	}
	for _, name := range []string{"stranger", "forged"} {
		all = append(all, r.refusedTargets(name)...)
	}
	open := r.Cases["redis-open"]
	rate := fmt.Sprintf("Redis, account known, at %d logins/s offered", r.Rate)
	all = append(all,
		below(rate+": median", open, func(m Measurement) float64 { return m.P50 }, targetP50, 1e3, "ms"),
		below(rate+": 99th percentile", open, func(m Measurement) float64 { return m.P99 }, targetP99, 1e3, "ms"))
	for _, k := range []kind{inRedis, embedded} {
		all = append(all, r.scaleTarget(k))
	}
	all = append(all, r.redisTarget())
	for _, k := range []kind{inRedis, inCluster} {
		all = append(all, r.flatTarget(k, "otpgate", "node"), r.flatTarget(k, "redis", "Redis"))
	}
	return all
}

func perSecond(m Measurement) float64 { return m.PerSecond }

// sound takes a target for not met where a run of what it compares was not what it should be: the figures of such a run say
// nothing, or too much.
func (t target) sound(runs ...[]Measurement) target {
	unheld, all := 0, 0
	for _, m := range slices.Concat(runs...) {
		if all++; !m.Held {
			unheld++
		}
	}
	if t.known && unheld > 0 {
		t.met = false
		t.got += fmt.Sprintf(", but %d of %d runs did not hold", unheld, all)
	}
	return t
}

// atLeast compares throughput.
func (r *Report) atLeast(what, name, with string, times float64) target {
	t := target{what: what, want: fmt.Sprintf("at least %g times `%s`", times, with)}
	ours, theirs := r.Cases[name], r.Cases[with]
	if len(ours) == 0 || len(theirs) == 0 {
		return t
	}
	ratio := median(ours, perSecond) / median(theirs, perSecond)
	t.known, t.met = true, ratio >= times
	t.got = fmt.Sprintf("%.2f times (%s/s to %s/s)", ratio, thousands(int(median(ours, perSecond))), thousands(int(median(theirs, perSecond))))
	return t.sound(ours, theirs)
}

func (r *Report) cpuTarget() target {
	both := func(m Measurement) float64 { return m.CPU["otpgate"] + m.CPU["redis"] }
	return below("Redis, account known: CPU of node and Redis per login", r.Cases["redis"], both, targetCPU, 1, "µs")
}

// below compares a median with what it may be at most.
func below(what string, ms []Measurement, of func(Measurement) float64, most, unit float64, name string) target {
	t := target{what: what, want: fmt.Sprintf("at most %g %s", most*unit, name)}
	if len(ms) > 0 {
		got := median(ms, of)
		t.known, t.met, t.got = true, got <= most, fmt.Sprintf("%.2f %s", got*unit, name)
	}
	return t.sound(ms)
}

// refusedTargets are of packets that are thrown away. Where the generator is at its limit before the server is, the server's
// rate is what its processor time allows for.
func (r *Report) refusedTargets(name string) []target {
	c, _ := caseOf(name)
	rate := target{what: c.what + ": packets/s", want: fmt.Sprintf("at least %g times the logins/s of `redis`", targetRefused)}
	ms, logins := r.Cases[name], r.Cases["redis"]
	if len(ms) > 0 && len(logins) > 0 {
		got := median(ms, perSecond)
		possible := 1e6 / max(median(ms, func(m Measurement) float64 { return m.CPU["otpgate"] }), 1e-9)
		times := max(got, possible) / median(logins, perSecond)
		rate.known, rate.met = true, times >= targetRefused
		rate.got = fmt.Sprintf("%.1f times (%s/s measured, %s/s by its processor time)", times, thousands(int(got)), thousands(int(possible)))
		rate = rate.sound(ms, logins)
	}
	none := below(c.what+": allocations per packet", ms, func(m Measurement) float64 { return m.Figures[figureAllocations] }, targetAllocations, 1, "")
	if none.known {
		none.got = fmt.Sprintf("%.5f", median(ms, func(m Measurement) float64 { return m.Figures[figureAllocations] }))
	}
	none.want = "none (below 0.01, with what the runtime does by itself)"
	return []target{rate, none.sound(ms)}
}

// scaleTarget compares bursts of the two sizes.
func (r *Report) scaleTarget(k kind) target {
	t := target{
		what: fmt.Sprintf("%s accounts instead of %s, %s: logins/s", thousands(r.Scale), thousands(r.Small), storeName(k)),
		want: fmt.Sprintf("within %.0f %%", 100*targetFlat),
	}
	small, large := r.Cases[scaleCase(k, false)], r.Cases[scaleCase(k, true)]
	if len(small) == 0 || len(large) == 0 {
		return t
	}
	change := median(large, perSecond)/median(small, perSecond) - 1
	t.known, t.met = true, change >= -targetFlat
	t.got = fmt.Sprintf("%+.1f %%; CPU of the node %+.1f %%", 100*change, 100*(median(large, cpuOf("otpgate"))/median(small, cpuOf("otpgate"))-1))
	return t.sound(small, large)
}

func (r *Report) redisTarget() target {
	used := func(m Measurement) float64 { return cmp.Or(m.Figures[figureRedisUsed], math.Inf(1)) }
	ms := r.Cases[scaleCase(inRedis, true)]
	if len(ms) > 0 && math.IsInf(used(ms[0]), 1) {
		ms = nil // the data were used again, and made by a bench that did not say
	}
	t := below("memory of Redis per device, after its first login", ms, used, targetRedis, 1, "octets")
	if t.known {
		t.got = fmt.Sprintf("%.0f octets", used(ms[0]))
	}
	return t.sound(ms)
}

// flatTarget compares what a login costs with several nodes and with one.
func (r *Report) flatTarget(k kind, process, name string) target {
	t := target{
		what: fmt.Sprintf("%d nodes instead of one on %s: CPU of %s per login", maxNodes, storeName(k), name),
		want: fmt.Sprintf("at most %.0f %% more", 100*targetFlat),
	}
	one, many := r.Cases[nodesCase(k, 1)], r.Cases[nodesCase(k, maxNodes)]
	if len(one) == 0 || len(many) == 0 {
		return t
	}
	a, b := median(one, cpuOf(process)), median(many, cpuOf(process))
	t.known, t.met = true, b <= a*(1+targetFlat)
	t.got = fmt.Sprintf("%+.1f %% (%.1f to %.1f µs)", 100*(b/a-1), a, b)
	return t.sound(one, many)
}

func cpuOf(process string) func(Measurement) float64 {
	return func(m Measurement) float64 { return m.CPU[process] }
}

func storeName(k kind) string {
	return map[kind]string{inRedis: "Redis", inCluster: "a Redis Cluster", embedded: "the embedded store"}[k]
}
