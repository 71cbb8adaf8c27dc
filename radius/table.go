package radius

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/x509"
	"hash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"otpgate/radius/overload"
	"otpgate/radius/posture"
	"otpgate/radius/quiet"
	"otpgate/radius/radsec"
)

// radsecSecret is the shared secret of every client over TLS, which is what protects the packets
// there (RFC 6614 section 2.3, item 4).
const radsecSecret = "radsec"

// client is a Client at work: with its keyed hashes, metrics and log limits.
type client struct {
	Client
	octets  []byte // of its name
	keys    []*key // of its shared secrets, the current one first; over UDP
	tls     []*key // over RadSec: the one that all have
	only    *[256]bool
	metrics *clientMetrics
	posture *posture.Client
	quick   overload.Share // of the attempts that need no peer but the store
	waits   overload.Share // of those that wait for one

	unsigned    quiet.Limit // "the gateway sends no Message-Authenticator"
	discarding  quiet.Limit // any other discarded packet
	placeless   quiet.Limit // "the gateway sends no Calling-Station-Id"
	garbled     quiet.Limit // "what decrypts is not what people type"
	unsupported quiet.Limit // "a method that is not answered"
}

// succeed makes k the client that old was: what has been said of it need not be said again, and what
// was counted of a secret goes on. It begins anew where the current secret has become the previous one: what came
// with it before says nothing of whether it can go.
func (k *client) succeed(old *client) {
	k.placeless.Succeed(&old.placeless)
	for i, now := range k.keys {
		if i < len(old.keys) && bytes.Equal(now.secret, old.keys[i].secret) {
			now.used.Store(old.keys[i].used.Load())
			now.lastUsed.Store(old.keys[i].lastUsed.Load())
		}
	}
}

// Standing is what a server knows of one client.
type Standing struct {
	Name                 string
	MessageAuthenticator MessageAuthenticator
	// Packets that were made with each of its secrets, since the node is there or the secret is the current or previous one.
	CurrentSecret, PreviousSecret uint64
	PreviousSecretUsed            time.Time // when the last of those with the previous one came; zero: none has
}

// Clients returns what is known of each, in the order of the configuration.
func (s *Server) Clients() []Standing {
	clients := s.table.Load().clients
	out := make([]Standing, len(clients))
	for i, k := range clients {
		out[i] = Standing{Name: k.Name, MessageAuthenticator: k.MessageAuthenticator}
		if len(k.keys) > 0 {
			out[i].CurrentSecret = k.keys[0].used.Load()
		}
		if len(k.keys) > 1 {
			out[i].PreviousSecret = k.keys[1].used.Load()
			if at := k.keys[1].lastUsed.Load(); at != 0 {
				out[i].PreviousSecretUsed = time.Unix(0, at)
			}
		}
	}
	return out
}

func (s *Server) newClient(c Client) *client {
	k := &client{Client: c, octets: []byte(c.Name), metrics: s.metrics.forClient(c.Name), posture: s.posture.Client(c.Name)}
	if len(c.Secret) > 0 {
		k.keys = append(k.keys, newKey(c.Secret, k.metrics.current))
	}
	if len(c.PreviousSecret) > 0 {
		previous := newKey(c.PreviousSecret, k.metrics.previous)
		previous.now = s.now
		k.keys = append(k.keys, previous)
	}
	k.tls = []*key{newKey([]byte(radsecSecret), nil)}
	if len(c.ReplyOnly) > 0 {
		k.only = new([256]bool)
		for _, kind := range c.ReplyOnly {
			k.only[kind] = true
		}
	}
	return k
}

// demandsSigned reports whether a packet without Message-Authenticator is discarded.
func (k *client) demandsSigned() bool {
	return k.MessageAuthenticator == Required || k.MessageAuthenticator == Learn && k.posture.Proven()
}

// key is a shared secret with what it is used for, ready to use.
type key struct {
	secret  []byte
	macs    sync.Pool          // of *mac
	matched prometheus.Counter // packets that were made with it; nil: nobody counts
	used    atomic.Uint64      // the same, for whoever asks

	now      func() time.Time // nil: nobody asks when it was used
	lastUsed atomic.Int64     // unix nanoseconds; 0: never
}

func newKey(secret []byte, matched prometheus.Counter) *key {
	k := &key{secret: slices.Clone(secret), matched: matched}
	k.macs.New = func() any { return &mac{hash: hmac.New(md5.New, k.secret), plain: md5.New()} }
	return k
}

// count notes that a packet turned out to be made with this secret.
func (k *key) count() {
	k.used.Add(1)
	if k.now != nil {
		k.lastUsed.Store(k.now().UnixNano())
	}
	if k.matched != nil {
		k.matched.Inc()
	}
}

// mac is a keyed HMAC-MD5 and an MD5 without key, with the buffers that they need, so that using them
// allocates nothing.
type mac struct {
	hash  hash.Hash
	plain hash.Hash
	sum   [md5.Size]byte
	zero  [md5.Size]byte
}

// table finds a client by address or certificate. It is never changed: SetClients makes a new one.
type table struct {
	clients []*client
	nets    map[netip.Prefix]*client
	names   map[string]*client // by certificate name, in lower case
	bits4   []int              // the prefix lengths that occur, longest first
	bits6   []int
}

// newTable compiles clients that CheckClients finds nothing wrong with.
func (s *Server) newTable(clients []Client) *table {
	t := &table{nets: make(map[netip.Prefix]*client), names: make(map[string]*client)}
	for _, c := range clients {
		t.add(s.newClient(c))
	}
	return t
}

func (t *table) add(k *client) {
	t.clients = append(t.clients, k)
	for _, name := range k.CertificateNames {
		t.names[strings.ToLower(name)] = k
	}
	for _, p := range k.Networks {
		p, _ = unmapPrefix(p) // CheckClients has seen its error
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

// certified returns the client that a certificate names, or nil: also when it names two, because
// then it says of neither that it is the one.
func (t *table) certified(c *x509.Certificate) *client {
	var found *client
	for _, name := range radsec.Names(c) {
		k := t.names[name]
		if k == nil {
			continue
		}
		if found != nil && found != k {
			return nil
		}
		found = k
	}
	return found
}

// named returns the client of a configured name, or nil.
func (t *table) named(name string) *client {
	for _, k := range t.clients {
		if k.Name == name {
			return k
		}
	}
	return nil
}
