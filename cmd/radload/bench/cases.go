package bench

import (
	"fmt"
	"slices"
	"strings"
)

// benchCase is one row of a table.
type benchCase struct {
	name   string
	group  string
	what   string
	server string // freeradius or otpgate
	config string // of FreeRADIUS
	kind   kind   // of otpgate's store
	search bool   // the directory is asked for every login
	copied bool   // a replica has to confirm every claim
	load   load
	nodes  int  // how many nodes there are
	large  bool // of two sizes
}

// load is what a case does to its server.
type load uint8

const (
	closed   load = iota // so many outstanding
	open                 // so many a second
	stranger             // packets from an address of no client
	forged               // packets of a client, wrongly signed
)

// logs reports whether people log in, rather than that packets are refused.
func (l load) logs() bool { return l == closed || l == open }

// kind is where otpgate keeps its devices.
type kind string

const (
	inRedis   kind = "redis"
	inCluster kind = "cluster"
	apart     kind = "apart" // a Redis for each node
	embedded  kind = "embedded"
)

// baseline is the case that others are compared with.
const baseline = "freeradius"

// The groups that are measured once, after the others.
const (
	groupNodes  = "nodes"
	groupScale  = "scale"
	groupCurves = "curves"
)

// cases are the rows, in the order in which they are measured.
func cases() []benchCase {
	all := []benchCase{
		{name: baseline, what: "FreeRADIUS: codes, directory, replay check in Redis", server: "freeradius", config: "freeradius-full.conf"},
		{name: "freeradius-totp", what: "FreeRADIUS: codes only, no directory, no replay check", server: "freeradius", config: "freeradius-totp.conf"},
		{name: "stranger", group: "redis", what: "otpgate refusing packets of unknown clients", server: "otpgate", kind: inRedis, load: stranger},
		{name: "forged", group: "redis", what: "otpgate refusing packets with a wrong Message-Authenticator", server: "otpgate", kind: inRedis, load: forged},
		{name: "redis-open", group: "redis", what: "otpgate, Redis, account known, at a rate", server: "otpgate", kind: inRedis, load: open},
		{name: "redis", group: "redis", what: "otpgate, Redis, account known", server: "otpgate", kind: inRedis},
		{name: "redis-search", what: "otpgate, Redis, directory search for every login", server: "otpgate", kind: inRedis, search: true},
		{name: "redis-replica", what: "otpgate, Redis with a replica that confirms every claim, account known", server: "otpgate", kind: inRedis, copied: true},
		{name: "embedded", what: "otpgate, embedded store, account known", server: "otpgate", kind: embedded},
	}
	for _, k := range []kind{inRedis, inCluster} {
		for n := range maxNodes {
			what := map[kind]string{inRedis: "one Redis", inCluster: "a Redis Cluster of three masters"}[k]
			all = append(all, benchCase{
				name: nodesCase(k, n+1), group: groupNodes, what: fmt.Sprintf("%d of otpgate on %s", n+1, what), server: "otpgate", kind: k, nodes: n + 1,
			})
		}
	}
	all = append(all, benchCase{
		name: nodesCase(apart, maxNodes), group: groupNodes, what: fmt.Sprintf("%d of otpgate on a Redis each", maxNodes), server: "otpgate", kind: apart, nodes: maxNodes,
	})
	for _, k := range []kind{inRedis, embedded} {
		for _, large := range []bool{false, true} {
			all = append(all, benchCase{name: scaleCase(k, large), group: groupScale, server: "otpgate", kind: k, large: large})
		}
		all = append(all, benchCase{name: sustainedCase(k), group: groupScale, server: "otpgate", kind: k, large: true})
	}
	all = append(all, benchCase{name: groupCurves, group: groupCurves})
	for i := range all {
		if all[i].group == "" {
			all[i].group = all[i].name
		}
	}
	return all
}

func nodesCase(k kind, nodes int) string { return fmt.Sprintf("nodes-%s-%d", k, nodes) }

func scaleCase(k kind, large bool) string {
	return fmt.Sprintf("scale-%s-%s", k, map[bool]string{false: "small", true: "large"}[large])
}

func sustainedCase(k kind) string { return fmt.Sprintf("scale-%s-sustained", k) }

// caseOf returns the case with a name.
func caseOf(name string) (benchCase, bool) {
	all := cases()
	i := slices.IndexFunc(all, func(c benchCase) bool { return c.name == name })
	if i < 0 {
		return benchCase{}, false
	}
	return all[i], true
}

// chosen returns the cases with these names, or of the groups with these names, or all.
func chosen(names []string) ([]benchCase, error) {
	if len(names) == 0 {
		return cases(), nil
	}
	var some []benchCase
	for _, name := range names {
		if c, ok := caseOf(name); ok {
			some = append(some, c)
			continue
		}
		before := len(some)
		var known []string
		for _, c := range cases() {
			known = append(known, c.name)
			if c.group == name {
				some = append(some, c)
			}
		}
		if len(some) == before {
			return nil, fmt.Errorf("there is no case %q: they are %s; and the groups %s, %s", name, strings.Join(known, ", "), groupNodes, groupScale)
		}
	}
	// In the order in which they are measured: the floods come while codes are waited for.
	place := func(c benchCase) int {
		return slices.IndexFunc(cases(), func(o benchCase) bool { return o.name == c.name })
	}
	slices.SortStableFunc(some, func(a, b benchCase) int { return place(a) - place(b) })
	return slices.CompactFunc(some, func(a, b benchCase) bool { return a.name == b.name }), nil
}
