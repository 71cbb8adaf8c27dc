// Package directorytest holds what every kind of directory must do, as tests: the same names, the
// same accounts, the same refusals, whether LDAP servers answer or a file.
//
//	slapdtest.Entries ──► slapd ──► directory.Set ──┐
//	        │                                       ├──► Run
//	        └───────────► LDIF file ─► directory.Set ┘
//
// Each sentence of the contract of [directory.Set] is a subtest, the refusals above all. What only
// servers can do, such as hang, is tested next to the code.
package directorytest
