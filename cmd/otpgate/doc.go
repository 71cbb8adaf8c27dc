// Otpgate checks one-time codes between RADIUS clients and an LDAP directory.
//
//	main ──► root ──► serve ─┐
//	             ├──► demo ──┴► node (wire, start, reload, stop)
//	             ├──► check ──► configs
//	             └──► invite, device, audit ──► the operator socket of a running node
//
// This is the only package that wires, exits, and reads the environment and the real clock.
// [wire] is one straight function: what depends on what can be read from its order.
//
// Decisions:
//   - A reload builds everything fallible first and swaps it in at once. What holds a socket or a
//     store is not reloaded; the log says which changes wait for a restart.
//   - Operators' commands go through the running node, never to its files: a second process must
//     not open the embedded store, and the node writes the audit trail.
package main
