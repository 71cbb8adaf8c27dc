package configs

import "net"

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
	r := &Redis{
		Addresses:  section.texts("addresses"),
		MasterName: section.text("master_name", ""),
		Username:   section.text("username", ""),
		Password:   section.secret("password"),
		KeyPrefix:  section.text("key_prefix", "otpgate:"),

		InsecurePlaintext: section.yes("insecure_plaintext", false),
	}
	if len(r.Addresses) == 0 {
		section.bad("addresses", `one: ["redis-1:6379"]; several: a cluster; with master_name: its sentinels`, "it is missing")
	}
	for _, a := range r.Addresses {
		section.peer("addresses", a)
	}
	if r.Username != "" && r.Password == "" {
		section.bad("username", "give password_file too", "it has no password")
	}
	if tls := section.section("tls"); section.has("tls") {
		r.TLS = &RedisTLS{CAFile: tls.existing("ca_file")}
		tls.done()
	}
	for _, a := range r.Addresses {
		host, _, err := net.SplitHostPort(a)
		if err == nil && r.TLS == nil && !r.InsecurePlaintext && !loopback(host) {
			section.bad("addresses", "give tls: {} or tls: {ca_file: …}; insecure_plaintext: true if nobody else is on this network",
				"claims would travel to %s in clear text", host)
		}
	}
	section.done()
	return Store{Redis: r}
}
