// Package metrics shows a node to those who watch it: its numbers to Prometheus, its state to load
// balancers and people, its profiles to whoever sits on the machine.
//
//	registry ◄── every package's instruments
//	   └──────► /metrics
//	checks ──► all at once, checkTime each ──► Health, kept for keepTime ──► /readyz, otpgate status
//	                                              draining ────────────────────┘
//
// # Invariants
//
//  1. However many ask, each check runs once in [keepTime] at most, and never twice at a time: a
//     check that hangs holds one goroutine, and probes cannot flood a peer that is in trouble.
//  2. A check that gives no answer within [checkTime] is not ready; so is one that panics.
//  3. Who asks cannot end a check: the answer is for everybody.
//  4. /livez asks nobody. A node that restarts because Redis is down helps nobody.
//  5. Profiles are there only if the listener is bound to a loopback address.
//  6. Draining ends with the process: the node is not ready from then on.
//
// It knows none of the other packages; cmd hands it the checks. There is no authentication and no
// TLS here: bind the listener to an address that only the monitoring reaches.
//
// # Decisions
//
//   - A node that is degraded is ready: 200, with the words. Taking out all nodes because one
//     directory is down would end the logins that still work.
//   - A collector that fails costs its own series, not the whole scrape; it is counted in
//     promhttp_metric_handler_errors_total and logged.
//   - The start counts as a successful load of the configuration: a node that runs has one.
package metrics
