// Package bench measures otpgate and FreeRADIUS doing the same job on the same machine, in turn, and what else
// has to be known of otpgate's speed.
//
//	accounts ─► slapd, Redis, users file, import file      (once; with a folder that stays, once for many benches)
//	for each run, for each group of cases, in an order that turns:
//	    start the server ► warm up ► radload ► CPU and memory of every process ► stop
//	one to three nodes on a Redis and on a cluster, and three on a Redis each, in turn
//	a node with few accounts and one with many, side by side, in turn
//	latency over the rate, of the cases that matter
//	medians ─► targets, tables, JSON; curves ─► plot
//
// Servers and their peers have some cores, the generator has others (taskset). Servers are started anew for
// every run, so that none has the caches of another's day. Where an account is to be known it has logged in once
// before, while slapd may use all cores. Every measurement goes to the record at once.
//
// # What is compared
//
// FreeRADIUS's module of codes knows those of 30 seconds only, so its devices have these, from the same
// seeds; otpgate's have 60. Otherwise both get the same: PAP, Message-Authenticator in requests and
// replies, the same accounts, the same directory, the same Redis, the same number outstanding. FreeRADIUS has as many
// threads and pooled connections as are best for it, and writes no line for a login; otpgate is as shipped, so it
// writes one, and a record of audit. It is told how many accounts there are, so that it may know all.
//
// Redis syncs its file once a second, and rewrites it between measurements, not in them.
//
// CPU per login is what the processes used while the generator ran, from just before the first login to some tenths of a
// second after the last answer, divided by the logins that were decided. In bursts that is more than their logins took:
// what a process does beside them is spread over a thousand. Every case expects every login to be accepted: a run in which one was not is
// marked (but for codes that two steps have), because a server that refuses is no match for one that checks.
//
// Packets that are refused get no answer. So the node's own counter says how many there were, and what the
// kernel had no room for is none of them. Where the generator is at its limit before the node is, what the node's
// processor time allows for is printed beside. Allocations are those of the whole process, by the runtime's count.
//
// # Codes
//
// A code is good once, so that each account logs in once per step. The ledger of a store knows which accounts have, and
// waits for the next step only when there is no other way; no measurement goes over the end of a step.
//
// # Scale
//
// A node with 1,000 accounts has no load that lasts: its codes are used up within a fraction of a second, for the rest
// of the step. So the two sizes are compared by bursts: in each step of 15 seconds, the shortest that there is, 1,000 logins
// come at once at each of the nodes, one node after the other, in an order that turns. At the small one these are all its
// accounts, at the large one 1,000 by chance of its 1,000,000, and others in every burst. All are known to the
// node, on both sides, and have logged in since Redis rewrote its file, or those of the large node would be measured at one
// that has just forked. What a burst has that a long load has not, such as a process that has just slept, both
// sizes have alike. Beside that everybody logs in at the large node for the usual time.
//
// Memory of Redis per device is what its use grows by, from before the import until everybody has logged in.
//
// # Several nodes
//
// They share a core, and a store. Each has the usual number of logins outstanding, all the time: with a third of it, or where
// what one has answered begins anew at another, a node would find fewer packets in a batch, and that would be measured
// instead. Three with a Redis each share the core alone: what they take more than one does is not for what they share of
// a store.
//
// # How long it takes
//
// With 300,000 accounts and five runs about an hour, most of which is waiting for new codes and for accounts to be known:
//
//	once       accounts, directory and both imports: 2 to 3 minutes
//	each run   both kinds of FreeRADIUS 1; redis, redis-open, stranger and forged, which share a node, 1.5; redis-search 0.75;
//	           embedded and redis-replica 1 each
//	nodes      8
//	scale      20, of which half makes the 1,000,000 accounts
//	curves     10
//
// What is left is printed with every part, by what it took before.
package bench
