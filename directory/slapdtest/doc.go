// Package slapdtest runs Debian's slapd for tests: a real OpenLDAP server on a free port of
// 127.0.0.1, with a few accounts and groups in it, that a test may stop, start again, freeze and
// change.
//
//	entries.ldif ──► slapadd ──► database in a temporary directory ──► slapd ◄── tests
//
// The server belongs to the test: it is killed at its end, and with the test process if that dies.
// Stop and Start keep port and data. Freeze makes it hang without closing anything, as a server
// does whose disk has gone. [Entries] are used by tests of other directories too, so that all can be
// expected to say the same.
//
// Certificates are made for 127.0.0.1, because libldap turns "localhost" into the machine's name
// before it checks a certificate.
package slapdtest
