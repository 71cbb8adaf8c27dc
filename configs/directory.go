package configs

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Directory is one directory of accounts: LDAP servers, or a file.
type Directory struct {
	Name              string
	Realms            []string
	URLs              []string
	StartTLS          bool
	InsecurePlaintext bool
	CAFile            string
	BindDN            string
	BindPassword      Secret
	BaseDN            string
	LoginAttributes   []string
	MailAttributes    []string
	Fresh, Stale      time.Duration
	LDIFFile          string
}

func fold(realm string) string { return strings.ToLower(realm) }

func readDirectory(o *object) Directory {
	urls := o.items("urls")
	d := Directory{
		Name:              o.required("name", "a word for logs and for clients' directories, such as corp"),
		Realms:            o.realms("realms"),
		URLs:              values(urls),
		StartTLS:          o.yes("start_tls", false),
		InsecurePlaintext: o.yes("insecure_plaintext", false),
		CAFile:            o.authorities("ca_file"),
		BindDN:            o.text("bind_dn", ""),
		BindPassword:      o.secret("bind_password"),
		BaseDN:            o.text("base_dn", ""),
		LoginAttributes:   o.attributes("login_attributes", "uid"),
		MailAttributes:    o.attributes("mail_attributes", "mail"),
		LDIFFile:          o.people("ldif_file"),
	}
	cache := o.section("cache")
	d.Fresh = cache.duration("fresh", time.Minute, 0, aDay)
	d.Stale = cache.duration("stale", time.Hour, 0, aWeek)
	if d.Stale < d.Fresh {
		cache.bad("stale", "stale is how long an account is trusted while the directory is gone", "it is shorter than fresh (%s)", short(d.Fresh))
	}
	cache.done()
	if d.BaseDN != "" && !distinguished(d.BaseDN) {
		o.bad("base_dn", "such as dc=corp,dc=example (RFC 4514)", "%q is not a distinguished name", d.BaseDN)
	}
	if o.has("ldif_file") {
		d.checkFile(o)
	} else {
		d.checkServers(o, urls)
	}
	o.done()
	return d
}

// checkFile finds keys that have no meaning for a directory from a file.
func (d Directory) checkFile(o *object) {
	for _, name := range []string{"urls", "start_tls", "insecure_plaintext", "ca_file", "bind_dn", "bind_password", "bind_password_file"} {
		if o.has(name) {
			o.bad(name, "leave it out, or leave ldif_file out", "a directory from a file has no servers")
		}
	}
}

func (d Directory) checkServers(o *object, urls []item) {
	if len(urls) == 0 && o.sound("urls") {
		o.lacks("urls", "such as [ldaps://dc1.corp.example], or ldif_file for a directory from a file")
	}
	if d.BaseDN == "" && o.sound("base_dn") {
		o.lacks("base_dn", "what everything is below, such as dc=corp,dc=example")
	}
	switch {
	case d.BindDN != "" && !o.has("bind_password") && !o.has("bind_password_file"):
		o.bad("bind_dn", "give bind_password_file too", "it has no password; an empty one would be an anonymous bind (RFC 4513 section 5.1.2)")
	case d.BindDN == "" && (o.has("bind_password") || o.has("bind_password_file")):
		o.bad("bind_password", "say whose password it is", "there is no bind_dn")
	}
	for _, u := range urls {
		d.checkURL(o, u)
	}
}

func (d Directory) checkURL(o *object, it item) {
	raw := withoutLogin(it.text)
	u, err := url.Parse(it.text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		it.bad("such as ldaps://dc1.corp.example or ldap://dc1.corp.example:389; base_dn is a key of its own", "%q is not the URL of a server", raw)
		return
	}
	switch u.Scheme {
	case "ldaps":
		if d.StartTLS {
			o.bad("start_tls", "leave one of the two out", "%s is encrypted from the start", raw)
		}
	case "ldap":
		if !d.StartTLS && !d.InsecurePlaintext && !loopback(u.Hostname()) {
			it.bad("use ldaps://, or start_tls: true; insecure_plaintext: true if this network may read passwords",
				"passwords would travel to %s in clear text", u.Hostname())
		}
	default:
		it.bad("ldaps:// or ldap://", "%q is not a scheme of directories", u.Scheme)
	}
}

// loopback reports whether a host is this machine by its address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}
