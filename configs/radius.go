package configs

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Radius is the section about gateways.
type Radius struct {
	Listen          []string
	Accounting      []string // none: accounting is off
	RadSec          *RadSec  // nil: no RADIUS over TLS
	RejectDelay     time.Duration
	DictionaryFiles []string
	Clients         []Client
}

// RadSec is RADIUS over TLS (RFC 6614), where both sides show a certificate.
type RadSec struct {
	Listen          []string
	CertificateFile string
	KeyFile         string
	ClientCAFile    string
	MaxConnections  int
	IdleTimeout     time.Duration
}

func readRadius(o *object) Radius {
	r := Radius{Listen: o.addresses("listen", ":1812")}
	r.Accounting = o.accounting("accounting")
	if section := o.section("radsec"); o.has("radsec") {
		r.RadSec = readRadSec(section)
	}
	r.RejectDelay = o.duration("reject_delay", time.Second, 0, 5*time.Second)
	r.DictionaryFiles = o.files("dictionary_files")
	o.each("clients", func(c *object) { r.Clients = append(r.Clients, readClient(c)) })
	o.done()
	return r
}

func readRadSec(o *object) *RadSec {
	r := &RadSec{Listen: o.addresses("listen", ":2083")}
	r.CertificateFile, r.KeyFile = o.identity("certificate_file", "key_file")
	r.ClientCAFile = o.clientAuthorities("client_ca_file")
	r.MaxConnections = o.number("max_connections", 1024, 1, 65536)
	r.IdleTimeout = o.duration("idle_timeout", 5*time.Minute, 10*time.Second, aDay)
	if !o.has("certificate_file") && !o.has("key_file") {
		o.lacks("certificate_file", "what is shown to gateways")
		o.lacks("key_file", "the key of certificate_file")
	}
	if !o.has("client_ca_file") {
		o.lacks("client_ca_file", "who vouches for the certificates of gateways; the system's authorities vouch for anybody")
	}
	o.done()
	return r
}

// accounting returns addresses to listen on, none without the key.
func (o *object) accounting(name string) []string {
	list := o.items(name)
	for _, it := range list {
		if !listenable(it.text) {
			it.bad(strings.ReplaceAll(listenHint, "1812", "1813"), "%q is not an address to listen on", withoutLogin(it.text))
		}
	}
	return values(list)
}

// files returns the paths of files that must be there.
func (o *object) files(name string) []string {
	list := o.items(name)
	for i, it := range list {
		path := o.r.path(it.text)
		if info, err := os.Stat(path); err != nil {
			it.bad("paths are relative to the configuration file", "%s: %v", it.text, withoutPath(err))
		} else if !info.Mode().IsRegular() {
			it.bad("", "%s is not a file", it.text)
		}
		list[i].text = path
	}
	return values(list)
}

// relateClients finds what is wrong between clients, and between them and other sections.
func (c *Config) relateClients(r *reader, directories map[string]bool) {
	if len(c.Radius.Clients) == 0 {
		r.problem(r.at("radius.clients"), "radius.clients", "name at least one gateway, with networks and secret", "no client, so no packet is answered")
	}
	names, networks, certificates := map[string]string{}, map[netip.Prefix]string{}, map[string]string{}
	for i, client := range c.Radius.Clients {
		key := clientKey(i)
		if other, taken := names[client.Name]; taken && client.Name != "" {
			r.problem(r.at(key+".name"), key+".name", "give each a name of its own", "%s is called %q too", other, client.Name)
		}
		names[client.Name] = key
		for j, n := range client.Networks {
			if other, taken := networks[n]; taken {
				item := fmt.Sprintf("%s.networks[%d]", key, j)
				r.problem(r.at(item), item, "each network belongs to one client; a longer one wins over a shorter one", "%s belongs to client %q already", n, other)
			}
			networks[n] = client.Name
		}
		for j, n := range client.CertificateNames {
			item := fmt.Sprintf("%s.certificate_names[%d]", key, j)
			if other, taken := certificates[n]; taken {
				r.problem(r.at(item), item, "each name belongs to one client", "%s belongs to client %q already", n, other)
			}
			certificates[n] = client.Name
		}
		if where := key + ".certificate_names"; len(client.CertificateNames) > 0 && c.Radius.RadSec == nil {
			r.problem(r.at(where), where, "add radius.radsec, or networks and a secret instead", "certificates are shown over RadSec, which is off")
		}
		for j, d := range client.Directories {
			if !directories[d] {
				item := fmt.Sprintf("%s.directories[%d]", key, j)
				r.problem(r.at(item), item, known(c.Directories), "there is no directory %q", d)
			}
		}
	}
	c.relateSecrets(r)
}

func clientKey(i int) string { return fmt.Sprintf("radius.clients[%d]", i) }

// relateSecrets finds secrets that are known at two gateways. One that is being replaced counts: it
// still opens.
func (c *Config) relateSecrets(r *reader) {
	owners := map[Secret]int{}
	for i, client := range c.Radius.Clients {
		for _, s := range []struct {
			name  string
			value Secret
		}{{"secret", client.Secret}, {"previous_secret", client.PreviousSecret}} {
			where := clientKey(i) + "." + s.name
			if _, ok := r.where[where+"_file"]; ok {
				where += "_file"
			}
			owner, taken := owners[s.value]
			switch {
			case s.value == "":
				continue
			case taken && owner == i:
				r.problem(r.at(where), where, "the one that secret replaces; without a rotation leave the key out", "it is the same as secret")
			case taken:
				r.problem(r.at(where), where, "whoever knows one of two gateways must not be able to play the other", "client %q has the same secret", c.Radius.Clients[owner].Name)
			}
			owners[s.value] = i
		}
	}
}

func known(ds []Directory) string {
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = d.Name
	}
	return "there is: " + strings.Join(names, ", ")
}
