// Otpgate checks one-time codes between RADIUS clients and an LDAP directory.
//
//	main ──► root ──► serve ─┐
//	             ├──► demo ──┴► node (wire, start, reload, stop)
//	             ├──► check ──► configs
//	             └──► operate: the commands that talk to a running node
//
// This is the only package that wires, exits, and reads the environment and the real clock.
// [wire] is one straight function: what depends on what can be read from its order.
//
// Decisions:
//   - A reload builds everything fallible first and swaps it in at once. What holds a socket or a
//     store is not reloaded; the log says which changes wait for a restart.
//   - Operators' commands have a package of their own, cmd/internal/operate: they need of this one
//     what it was given, and nothing that it runs.
package main
