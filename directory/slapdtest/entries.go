package slapdtest

import _ "embed"

// Entries is the LDIF text of what a server holds unless the test says otherwise: people alice
// (English, in vpn-users), bob (Chinese, in netadmins, which is in vpn-users), carol (Portuguese,
// in auditors, wheel, which is called roots as well, and thereby wheel-holders, and in a group whose
// cn reads as the DN of vpn-users), müller, one with the uid we(ird)*\,n, dave and erin who share
// a mail address, frank who is locked, grace who has neither mail nor password, two with the uid
// twin, and one with the uid heidi@corp.example. Alice and bob have attributes besides: several
// employeeType, 20 carLicense, a description of 4,096 octets, a roomNumber of 4,097 octets beside a
// short one. See [Password].
//
//go:embed entries.ldif
var Entries string

// BaseDN is the entry that everything is below.
const BaseDN = "dc=corp,dc=example"

// Whoever searches, and whoever may do everything.
const (
	ServiceDN       = "cn=otpgate,ou=services," + BaseDN
	ServicePassword = "otpgate-secret"
	RootDN          = "cn=root," + BaseDN
	RootPassword    = "root-secret"
)

// Password returns the password of one of the people.
func Password(uid string) string { return uid + "-secret" }

// PersonDN returns the distinguished name of one of the people whose uid needs no escapes.
func PersonDN(uid string) string { return "uid=" + uid + ",ou=people," + BaseDN }

// GroupDN returns the distinguished name of one of the groups.
func GroupDN(cn string) string { return "cn=" + cn + ",ou=groups," + BaseDN }
