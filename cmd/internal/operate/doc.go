// Package operate is the commands that talk to a running node: the help desk's, and the operator's.
//
//	otpgate status, explain, account, device, … ──► desk ──► operator.Client ──► data_dir/operator.sock
//
// Of the configuration they need data_dir only, so that a problem elsewhere in the file does not
// keep anybody from revoking a lost phone.
//
// Decisions:
//   - Operators' commands go through the running node, never to its files: a second process must
//     not open the embedded store, and the node writes the audit trail.
package operate
