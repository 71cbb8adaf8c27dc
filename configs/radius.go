package configs

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Radius is the section about gateways.
type Radius struct {
	Listen      []string
	RejectDelay time.Duration
	Clients     []Client
}

// Client is one gateway, or several that are treated alike.
type Client struct {
	Name                 string
	Networks             []netip.Prefix
	Secret               Secret
	MessageAuthenticator string // required | optional
	Login                string // code | password+code
	Directories          []string
	AllowGroups          []string
}

// minRadiusSecret is the shortest secret that is let through. RFC 2865 section 3 wants 16 octets;
// what is shorter than 8 can be tried out from one captured packet within hours.
const minRadiusSecret = 8

func readRadius(o *object) Radius {
	r := Radius{Listen: o.addresses("listen", ":1812")}
	r.RejectDelay = o.duration("reject_delay", time.Second, 0, 5*time.Second)
	o.each("clients", func(c *object) { r.Clients = append(r.Clients, readClient(c)) })
	o.done()
	return r
}

func readClient(o *object) Client {
	c := Client{
		Name:     o.required("name", "a word for logs and metrics, such as vpn"),
		Networks: o.networks("networks", o.some("networks", "where its packets come from: [10.1.0.0/24]")),
	}
	c.Secret = o.secret("secret")
	switch n := len(c.Secret); {
	case n == 0 && !o.has("secret") && !o.has("secret_file"):
		o.bad("secret", "the same as on the gateway, 16 random characters or more", "it is missing; so is secret_file")
	case n > 0 && n < minRadiusSecret:
		key := "secret"
		if o.has("secret_file") {
			key = "secret_file"
		}
		o.bad(key, "16 random characters or more (RFC 2865 section 3)", "a secret of %d octets can be guessed", n)
	}
	c.MessageAuthenticator = o.choice("message_authenticator", "required", "optional")
	c.Login = o.choice("login", "code", "password+code")
	c.Directories = o.texts("directories")
	c.AllowGroups = o.texts("allow_groups")
	o.done()
	return c
}

// relateClients finds what is wrong between clients, and between them and the directories.
func (c *Config) relateClients(r *reader, directories map[string]bool) {
	if len(c.Radius.Clients) == 0 {
		r.problem(r.at("radius.clients"), "radius.clients", "name at least one gateway, with networks and secret", "no client, so no packet is answered")
	}
	names, secrets, networks := map[string]string{}, map[Secret]string{}, map[netip.Prefix]string{}
	for i, client := range c.Radius.Clients {
		key := fmt.Sprintf("radius.clients[%d]", i)
		if other, taken := names[client.Name]; taken && client.Name != "" {
			r.problem(r.at(key+".name"), key+".name", "give each a name of its own", "%s is called %q too", other, client.Name)
		}
		names[client.Name] = key
		if other, taken := secrets[client.Secret]; taken && client.Secret != "" {
			where := key + ".secret"
			if _, ok := r.where[key+".secret_file"]; ok {
				where += "_file"
			}
			r.problem(r.at(where), where, "whoever knows one of two gateways must not be able to play the other", "client %q has the same secret", other)
		}
		secrets[client.Secret] = client.Name
		for j, n := range client.Networks {
			if other, taken := networks[n]; taken {
				item := fmt.Sprintf("%s.networks[%d]", key, j)
				r.problem(r.at(item), item, "each network belongs to one client; a longer one wins over a shorter one", "%s belongs to client %q already", n, other)
			}
			networks[n] = client.Name
		}
		for j, d := range client.Directories {
			if !directories[d] {
				item := fmt.Sprintf("%s.directories[%d]", key, j)
				r.problem(r.at(item), item, known(c.Directories), "there is no directory %q", d)
			}
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
