package directory

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultTimeout is the longest that one look-up or one password check takes when [Config] does
// not say otherwise. It is shorter than the retransmit timer of the gateways that wait for it.
const DefaultTimeout = 2 * time.Second

// Options are the settings and dependencies of a [Set].
type Options struct {
	// Directories, in order of preference: a name without a known realm belongs to the first one
	// that the client may use.
	Directories []Config
	// Before is the set whose place the new one will take; nil: none. What it remembers is taken over
	// for every directory that is asked in the same way, so that a reload while a directory is
	// unavailable forgets nobody, and needs no memory for a second time. What it remembers of one that is
	// asked in another way is forgotten, with a warning that says why.
	Before *Set
	// CacheSize is how many accounts are remembered per directory, about 500 octets each without
	// groups; 0: 250,000. It may not be negative.
	CacheSize  int
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time      // required
}

// Config describes one directory: LDAP servers with the same content, or an LDIF file.
type Config struct {
	// Name is what clients, logs and [Account] call it.
	Name string
	// Realms are what may follow the @ of a name, or stand before its backslash, to say that the
	// account is in this directory. Compared without regard to case.
	Realms []string
	// URLs of servers with the same content, in order of preference: ldap://host[:port] or
	// ldaps://host[:port].
	URLs []string
	// StartTLS upgrades every ldap:// connection before anything else is sent on it; a server
	// that will not is not used.
	StartTLS bool
	// RootCAs vouch for the servers' certificates; nil: the system's.
	RootCAs *x509.CertPool
	// BindDN and BindPassword are of the entry that searches; both empty: anonymous.
	BindDN, BindPassword string
	// BaseDN is the entry below which accounts and groups are.
	BaseDN string
	// LoginAttributes hold the names that a person may log in with; empty: uid.
	LoginAttributes []string
	// MailAttributes hold mail addresses; empty: mail.
	MailAttributes []string
	// Attributes are read besides, and kept in the account: of each the first 16 values, 16,384 octets
	// at most. One that has a value of more than 4,096 octets is not kept, but told by
	// [Account.Oversized]. Those that hold passwords or keys are refused.
	Attributes []string
	// Groups says whether the groups of an account are looked up, directly and through other
	// groups. It costs a search for each level of nesting. Without it [Account.GroupsCut] is true.
	Groups bool
	// Fresh is how long an answer is used without asking again at most; a quarter less at least, by lot, so that not all are
	// asked for again at once; 0: every look-up asks.
	Fresh time.Duration
	// Stale is how long a known account is trusted while the directory is unavailable; below
	// Fresh it means nothing.
	Stale time.Duration
	// LDIF is the path of a file that is the directory, read once by [New]. Without URLs.
	LDIF string
	// Timeout bounds one look-up, and one password check; 0: [DefaultTimeout].
	Timeout time.Duration
}

// sameAnswers reports whether two configurations ask the same servers the same questions, so that
// what one of them learned is true for the other as well. A file is read anew instead.
func (c Config) sameAnswers(d Config) bool {
	return c.LDIF == "" && d.LDIF == "" && c.Name == d.Name && len(c.asksOtherwise(d)) == 0
}

// asksOtherwise names what differs between two configurations in what is asked, and of whom. Nobody can know
// whether other servers have the same content, or whether another searcher sees it.
func (c Config) asksOtherwise(d Config) (settings []string) {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"ldif_file", c.LDIF == d.LDIF},
		{"urls", slices.Equal(c.URLs, d.URLs)},
		{"start_tls", c.StartTLS == d.StartTLS},
		{"bind_dn", c.BindDN == d.BindDN},
		{"base_dn", c.BaseDN == d.BaseDN},
		{"login_attributes", slices.Equal(c.LoginAttributes, d.LoginAttributes)},
		{"mail_attributes", slices.Equal(c.MailAttributes, d.MailAttributes)},
		{"whether clients need groups", c.Groups == d.Groups},
		{"attributes in replies", slices.Equal(c.Attributes, d.Attributes)},
	} {
		if !s.same {
			settings = append(settings, s.name)
		}
	}
	return settings
}

// check returns the configuration with its defaults filled in, or all that is wrong with it.
func (c Config) check() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		bad("has no name")
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Timeout < 0 || c.Fresh < 0 || c.Stale < 0 {
		bad("a duration is negative")
	}
	c.LoginAttributes = orDefault(c.LoginAttributes, "uid")
	c.MailAttributes = orDefault(c.MailAttributes, "mail")
	attribute := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`) // RFC 4512 section 1.4, keystring
	for _, a := range slices.Concat(c.LoginAttributes, c.MailAttributes, c.Attributes) {
		if !attribute.MatchString(a) {
			bad("%q is not the name of an attribute", a)
		}
	}
	for _, a := range c.Attributes {
		if HoldsSecret(a) {
			bad("attribute %q holds a password or a key: it is not read", a)
		}
	}
	for _, r := range c.Realms {
		if r == "" || strings.ContainsAny(r, `@\`) {
			bad("%q is not a realm", r)
		}
	}
	errs = append(errs, c.checkWhere()...)
	c.Attributes = slices.Clone(c.Attributes)
	for i, a := range c.Attributes {
		c.Attributes[i] = strings.ToLower(a) // once, and not for each account
	}
	return c, errors.Join(errs...)
}

// HoldsSecret reports whether an attribute is known to hold passwords or keys, of which nothing may
// leave the directory, whatever the configuration says.
func HoldsSecret(attribute string) bool {
	switch strings.ToLower(attribute) {
	case "userpassword", "authpassword", "pwdhistory", // RFC 4519, RFC 3112, draft-behera-ldap-password-policy
		"unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", // Active Directory
		"ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword", "msds-managedpassword",
		"sambantpassword", "sambalmpassword", "sambapasswordhistory",
		"krbprincipalkey", "krbmkey", "ipanthash", "ipatokenotpkey", // Kerberos and FreeIPA
		"passwordhistory", "nsds5replicacredentials", "userpkcs12": // 389 Directory Server, RFC 2798
		return true
	}
	return false
}

// checkWhere checks the keys that say where the directory is.
func (c Config) checkWhere() (errs []error) {
	if c.LDIF != "" {
		if len(c.URLs) > 0 || c.BindDN != "" || c.StartTLS {
			return []error{errors.New("is a file: it has no servers, TLS or bind")}
		}
		return nil
	}
	if len(c.URLs) == 0 {
		errs = append(errs, errors.New("has neither servers nor a file"))
	}
	for _, u := range c.URLs {
		if _, err := parseURL(u, c.StartTLS); err != nil {
			errs = append(errs, err)
		}
	}
	if dn, err := ldap.ParseDN(c.BaseDN); err != nil || len(dn.RDNs) == 0 {
		errs = append(errs, fmt.Errorf("base %q is not a distinguished name", c.BaseDN))
	}
	// A bind with a name but no password would be "unauthenticated", and may succeed: RFC 4513
	// section 5.1.2.
	if (c.BindDN == "") != (c.BindPassword == "") {
		errs = append(errs, errors.New("bind name and bind password belong together"))
	}
	return errs
}

// An endpoint is where a server listens.
type endpoint struct {
	url     string // as configured, for people
	host    string // the name that its certificate must be for
	address string // host:port
	tls     bool   // TLS from the first octet
}

func parseURL(raw string, startTLS bool) (endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return endpoint{}, fmt.Errorf("%q is not an LDAP server: want ldaps://host or ldap://host", raw)
	}
	e := endpoint{url: u.Scheme + "://" + u.Host, host: u.Hostname()}
	port := u.Port()
	switch u.Scheme {
	case "ldap":
		port = orPort(port, ldap.DefaultLdapPort)
	case "ldaps":
		e.tls = true
		port = orPort(port, ldap.DefaultLdapsPort)
		if startTLS {
			return endpoint{}, fmt.Errorf("%q has TLS already: StartTLS is for ldap://", raw)
		}
	default:
		return endpoint{}, fmt.Errorf("%q is not an LDAP server: want ldaps://host or ldap://host", raw)
	}
	e.address = net.JoinHostPort(e.host, port)
	return e, nil
}

func orPort(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}

func orDefault(list []string, otherwise string) []string {
	if len(list) == 0 {
		return []string{otherwise}
	}
	return list
}
