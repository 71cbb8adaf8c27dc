package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// benchCase is one row of the table.
type benchCase struct {
	name   string
	what   string
	server string // freeradius or otpgate
	config string // of FreeRADIUS
	store  string // of otpgate: redis or embedded
	search bool   // the directory is asked for every login
	load   load
}

// load is what a case does to its server.
type load uint8

const (
	closed   load = iota // so many outstanding
	open                 // so many a second
	stranger             // packets from an address of no client
	forged               // packets of a client, wrongly signed
)

// baseline is the case that others are compared with.
const baseline = "freeradius"

// cases are the rows, in the order in which they are measured.
func cases() []benchCase {
	return []benchCase{
		{name: baseline, what: "FreeRADIUS: codes, directory, replay check in Redis", server: "freeradius", config: "freeradius-full.conf"},
		{name: "freeradius-totp", what: "FreeRADIUS: codes only, no directory, no replay check", server: "freeradius", config: "freeradius-totp.conf"},
		{name: "redis", what: "otpgate, Redis, account known", server: "otpgate", store: "redis"},
		{name: "redis-search", what: "otpgate, Redis, directory search for every login", server: "otpgate", store: "redis", search: true},
		{name: "embedded", what: "otpgate, embedded store, account known", server: "otpgate", store: "embedded"},
		{name: "redis-open", what: "otpgate, Redis, account known, at a rate", server: "otpgate", store: "redis", load: open},
		{name: "stranger", what: "otpgate refusing packets of unknown clients", server: "otpgate", store: "redis", load: stranger},
		{name: "forged", what: "otpgate refusing packets with a wrong Message-Authenticator", server: "otpgate", store: "redis", load: forged},
	}
}

// chosen returns the cases with these names, or all.
func chosen(names []string) ([]benchCase, error) {
	all := cases()
	if len(names) == 0 {
		return all, nil
	}
	var some []benchCase
	for _, name := range names {
		i := slices.IndexFunc(all, func(c benchCase) bool { return c.name == name })
		if i < 0 {
			var known []string
			for _, c := range all {
				known = append(known, c.name)
			}
			return nil, fmt.Errorf("there is no case %q: they are %s", name, strings.Join(known, ", "))
		}
		some = append(some, all[i])
	}
	return some, nil
}

// period is that of the devices' codes, as the server knows them.
func (c benchCase) period() string {
	if c.server == "freeradius" {
		return "30s"
	}
	return "60s"
}

// known reports whether accounts have to be known before.
func (c benchCase) known() bool {
	return c.server == "otpgate" && !c.search && (c.load == closed || c.load == open)
}

// peers are the processes whose work belongs to a login of this case.
func (b *bench) peers(c benchCase) (all []*process) {
	if c.config != "freeradius-totp.conf" {
		all = append(all, b.slapd)
	}
	if c.store == "redis" || c.config == "freeradius-full.conf" {
		all = append(all, b.redis)
	}
	return all
}

// begin starts the server of a case.
func (b *bench) begin(ctx context.Context, c benchCase) (*server, error) {
	switch {
	case c.server == "otpgate":
		return b.startOtpgate(ctx, c)
	case c.config == "freeradius-totp.conf":
		return b.startFreeRADIUS(ctx, c.config, b.Workers/2)
	}
	return b.startFreeRADIUS(ctx, c.config, b.Workers)
}
