package configs

import "strings"

// Store says where devices are kept.
type Store struct {
	Redis *Redis // nil: in data_dir
}

// Redis is a store that several nodes share.
type Redis struct {
	Addresses  []string
	MasterName string
	Username   string
	Password   Secret
	TLS        *RedisTLS // nil: in clear text
	KeyPrefix  string
	// MinReplicas is how many replicas must have confirmed what was written before anybody is told; 0: none.
	MinReplicas int
	// InsecurePlaintext allows a server elsewhere without TLS: whoever can change what travels
	// there decides which codes pass.
	InsecurePlaintext bool
}

// RedisTLS says how the server proves who it is.
type RedisTLS struct {
	CAFile string // "": the system's
}

func readStore(o *object) Store {
	section := o.section("redis")
	o.done()
	if !o.has("redis") {
		return Store{}
	}
	addresses := section.some("addresses", `one: ["redis-1:6379"]; several: a cluster; with master_name: its sentinels`)
	r := &Redis{
		Addresses:   values(addresses),
		MasterName:  section.text("master_name", ""),
		Username:    section.text("username", ""),
		Password:    section.secret("password"),
		KeyPrefix:   section.filled("key_prefix", "otpgate:", "what the names of all keys begin with, or leave the key out"),
		MinReplicas: section.number("min_replicas", 0, 0, 10),

		InsecurePlaintext: section.yes("insecure_plaintext", false),
	}
	if strings.ContainsAny(r.KeyPrefix, "{}") {
		section.bad("key_prefix", "braces decide in which slot of a cluster a key is, and are the program's", "%q has a brace", r.KeyPrefix)
	}
	hosts := make([]string, len(addresses))
	for i, a := range addresses {
		hosts[i] = a.peer()
	}
	if r.Username != "" && r.Password == "" {
		section.bad("username", "give password_file too", "it has no password")
	}
	if tls := section.section("tls"); section.has("tls") {
		r.TLS = &RedisTLS{CAFile: tls.authorities("ca_file")}
		tls.done()
	}
	for i, a := range addresses {
		if host := hosts[i]; host != "" && r.TLS == nil && !r.InsecurePlaintext && !loopback(host) {
			a.bad("give tls: {} or tls: {ca_file: …}; insecure_plaintext: true if nobody else is on this network",
				"claims would travel to %s in clear text", host)
		}
	}
	section.done()
	return Store{Redis: r}
}
