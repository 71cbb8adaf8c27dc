package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"slices"
	"sync"

	"otpgate/radius/quiet"
)

// Login says which factors a client asks for.
type Login uint8

// The kinds of login.
const (
	// LoginCode: User-Password is the code and nothing else.
	LoginCode Login = iota
	// LoginPasswordCode: User-Password is the directory's password with the code right after it.
	LoginPasswordCode
)

// MessageAuthenticator says what a client must do about the attribute of that name.
type MessageAuthenticator uint8

// The policies. A Message-Authenticator that is there is always verified.
const (
	// Required: an Access-Request without it is discarded (CVE-2024-3596).
	Required MessageAuthenticator = iota
	// Optional: it may be missing, unless the packet carries Proxy-State or EAP-Message.
	Optional
)

// A Client is a gateway, switch or proxy that may ask, known by the address it asks from.
type Client struct {
	Name     string         // unique; used in logs, metrics and audit
	Networks []netip.Prefix // the longest prefix over all clients wins; host bits are ignored
	Secret   []byte         // the shared secret, not empty

	MessageAuthenticator MessageAuthenticator
	Login                Login
	Directories          []string // names of the directories that may be asked; empty: all
	AllowGroups          []string // cn or DN; empty: everybody
}

// String keeps the secret out of anything that is printed.
func (c Client) String() string { return fmt.Sprintf("client %q %v", c.Name, c.Networks) }

// GoString keeps the secret out of anything that is printed.
func (c Client) GoString() string { return c.String() }

// check returns everything that is wrong with one client by itself.
func (c Client) check() []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("client %q: "+format, append([]any{c.Name}, args...)...))
	}
	if c.Name == "" {
		wrong("the name is empty")
	}
	if len(c.Secret) == 0 {
		wrong("the secret is empty")
	}
	if len(c.Networks) == 0 {
		wrong("no networks")
	}
	if c.MessageAuthenticator > Optional {
		wrong("unknown message authenticator policy %d", c.MessageAuthenticator)
	}
	if c.Login > LoginPasswordCode {
		wrong("unknown login %d", c.Login)
	}
	return errs
}

// client is a Client at work: with its keyed hashes, metrics and log limits.
type client struct {
	Client
	macs       sync.Pool // of *mac
	metrics    *clientMetrics
	unsigned   quiet.Limit // "the gateway sends no Message-Authenticator"
	discarding quiet.Limit // any other discarded packet
	placeless  quiet.Limit // "the gateway sends no Calling-Station-Id"
}

// succeed makes k the client that old was: what has been said of it need not be said again.
func (k *client) succeed(old *client) { k.placeless.Succeed(&old.placeless) }

func newClient(c Client, m *metrics) *client {
	c.Secret = slices.Clone(c.Secret)
	k := &client{Client: c, metrics: m.forClient(c.Name)}
	k.macs.New = func() any { return &mac{hash: hmac.New(md5.New, k.Secret)} }
	return k
}

// mac is a keyed HMAC-MD5 with the buffers that it needs, so that using it allocates nothing.
type mac struct {
	hash hash.Hash
	sum  [md5.Size]byte
	zero [md5.Size]byte
}

// table finds a client by address. It is never changed: SetClients makes a new one.
type table struct {
	clients []*client
	nets    map[netip.Prefix]*client
	bits4   []int // the prefix lengths that occur, longest first
	bits6   []int
}

// checkClients returns everything that is wrong with clients, or nil.
func checkClients(clients []Client) error {
	var errs []error
	names := make(map[string]bool)
	owners := make(map[netip.Prefix]string)
	for _, c := range clients {
		errs = append(errs, c.check()...)
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("client %q: the name is used twice", c.Name))
		}
		names[c.Name] = true
		for _, p := range c.Networks {
			p, err := unmapPrefix(p)
			if err != nil {
				errs = append(errs, fmt.Errorf("client %q: %w", c.Name, err))
				continue
			}
			if owner, ok := owners[p]; ok {
				errs = append(errs, fmt.Errorf("client %q: network %v belongs to client %q already", c.Name, p, owner))
			}
			owners[p] = c.Name
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("radius: %w", errors.Join(errs...))
	}
	return nil
}

// newTable compiles clients that checkClients finds nothing wrong with.
func newTable(clients []Client, m *metrics) *table {
	t := &table{nets: make(map[netip.Prefix]*client)}
	for _, c := range clients {
		t.add(newClient(c, m))
	}
	return t
}

func (t *table) add(k *client) {
	t.clients = append(t.clients, k)
	for _, p := range k.Networks {
		p, _ = unmapPrefix(p) // checkClients has seen its error
		t.nets[p] = k
		bits := &t.bits6
		if p.Addr().Is4() {
			bits = &t.bits4
		}
		if !slices.Contains(*bits, p.Bits()) {
			*bits = append(*bits, p.Bits())
			slices.SortFunc(*bits, func(a, b int) int { return b - a })
		}
	}
}

// find returns the client whose network holds addr with the longest prefix, or nil.
// It allocates nothing: this is all the work that an unknown sender can cause.
func (t *table) find(addr netip.Addr) *client {
	addr = addr.Unmap().WithZone("")
	bits := t.bits6
	if addr.Is4() {
		bits = t.bits4
	}
	for _, n := range bits {
		p, err := addr.Prefix(n)
		if err != nil {
			return nil
		}
		if k := t.nets[p]; k != nil {
			return k
		}
	}
	return nil
}

// unmapPrefix gives a network its one spelling: masked, and as IPv4 when it is v4-mapped
// (RFC 4291 section 2.5.5.2), because that is how addresses of senders are looked up.
func unmapPrefix(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, errors.New("a network is not valid")
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("network %v is wider than the v4-mapped addresses", p)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
