// Package bench measures otpgate and FreeRADIUS doing the same job on the same machine, in turn.
//
//	accounts ─► slapd, Redis, users file, import file      (once)
//	for each run, for each case:
//	    start the server ► warm up ► radload ► CPU and memory of every process ► stop
//	latency over the rate, of the cases that matter      (once, if asked for)
//	medians ─► table, JSON; curves ─► plot
//
// Servers and their peers have some cores, the generator has others (taskset). Servers are started anew for
// every measurement, so that none has the caches of another's day.
//
// # What is compared
//
// FreeRADIUS's module of codes knows those of 30 seconds only, so its devices have these, from the same
// seeds; otpgate's have 60. Otherwise both get the same: PAP, Message-Authenticator in requests and
// replies, the same accounts, the same number outstanding.
//
// CPU per login is what the processes used from the first login to the last answer, divided by the
// logins that were decided. Every case expects every login to be accepted: a run in which one was not is
// marked, because a server that refuses is no match for one that checks.
package bench
