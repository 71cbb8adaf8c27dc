package posture

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"otpgate/otp"
)

// What proves that a client always sends Message-Authenticator.
const (
	// ProvenPackets is how many Access-Requests in a row have to come with it.
	ProvenPackets = 1000
	// ProvenTime is for how long nodes have to watch, from the first packet or the last one without it; on
	// each of so many different days of that time one has to come.
	ProvenTime = 7 * 24 * time.Hour
	// MaxStep is the longest time between two calls of Flush that is taken for time in which the node
	// watched. A longer one was a jump of the clock, or the node was not there.
	MaxStep = 10 * time.Minute
)

// How long notes are kept.
const (
	provenKept = 365 * 24 * time.Hour
	tallyKept  = 100 * 24 * time.Hour
)

// Options are what a Ledger needs. Notes, Node and Now must be given.
type Options struct {
	Notes  otp.Notes
	Node   string // this node's name: no other node's, and the same after a restart; 1 to 64 octets
	Now    func() time.Time
	Logger *slog.Logger // nil: nothing is logged
}

// A Ledger counts for one node which clients send Message-Authenticator, and knows what all nodes have
// counted. It is safe for concurrent use.
type Ledger struct {
	notes otp.Notes
	node  string
	now   func() time.Time
	log   *slog.Logger

	flushing sync.Mutex // held over a Flush
	watch    watch

	mu      sync.Mutex
	clients map[string]*Client
}

// New makes a Ledger, which knows nothing until Flush.
func New(o Options) (*Ledger, error) {
	switch {
	case o.Notes == nil || o.Now == nil:
		return nil, errors.New("posture: Notes and Now must be given")
	case o.Node == "" || len(o.Node) > 64 || o.Node == fieldProven:
		return nil, fmt.Errorf("posture: %q is not a node's name: it has 1 to 64 octets", o.Node)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ledger{
		notes: o.Notes, node: o.Node, now: o.Now, log: o.Logger.With("component", "posture"), clients: map[string]*Client{},
	}, nil
}

// Client returns what counts the packets of the client with this configured name: the same one at every
// call. It is to be learnt until Forget.
func (l *Ledger) Client(name string) *Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[name]
	if c == nil {
		c = &Client{name: name, key: keyOf(name)}
		c.learning.Store(true)
		l.clients[name] = c
	}
	return c
}

// Learn has a client be learnt, after a Forget. What has been counted meanwhile counts.
func (l *Ledger) Learn(name string) { l.Client(name).learning.Store(true) }

// Forget has a client not be learnt any more, as when the configuration says "optional": it is not
// proven from now on, and from the next Flush on for no node that learns it; what it had proven, it has to
// prove again. It goes on being counted.
func (l *Ledger) Forget(name string) { l.Client(name).learning.Store(false) }

// Retain drops the clients with other names, which are not configured any more. What the store has
// about them stays for as long as notes are kept.
func (l *Ledger) Retain(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.clients {
		if !slices.Contains(names, name) {
			delete(l.clients, name)
		}
	}
}

// all returns all clients by name.
func (l *Ledger) all() []*Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*Client, 0, len(l.clients))
	for _, c := range l.clients {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Client) int { return strings.Compare(a.name, b.name) })
	return list
}

// keyOf is the key of a client's notes: its name, when that is not too long.
func keyOf(name string) string {
	if len(name) <= otp.MaxNoteName {
		return name
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
}

// watch tells for how long a node has been watching, by a clock that may jump. It belongs to Flush.
type watch struct{ mark time.Time }

// step is the time since the last call in which the node watched. A clock that goes back a little has
// to pass again where it was before anything counts, so that going to and fro adds nothing.
func (w *watch) step(now time.Time) time.Duration {
	d := now.Sub(w.mark)
	switch {
	case w.mark.IsZero() || d > MaxStep || d < -2*MaxStep:
		w.mark = now
		return 0
	case d <= 0:
		return 0
	}
	w.mark = now
	return d
}
