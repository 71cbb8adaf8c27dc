package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// An Attempt is one try to prove possession of a device of an account.
type Attempt struct {
	Account string
	Proof   Proof
	Token   Token // what makes it the same attempt: see "What may be relaxed" in the package's comment
	Place   Place

	Challenge Challenged    // which challenge it answers, if any
	Lifetime  time.Duration // see [Claim]; 0: ClaimLifetime
	Share     Share         // whether the step may be shared

	// Alone: the password is all that is asked for. [Verifier.WrongFactor] counts it also for an
	// account without devices, of which the store then keeps a record.
	Alone bool
}

// A Match is the device and step whose code the proof was made from.
type Match struct {
	Device string
	Digits int
	Step   int64
	Span   int   // how many steps before Step another one with this code was looked at: 0, but for a coincidence
	Offset int   // Step minus the step of the node's clock
	Drift  int   // the device's drift after a claim of Step
	known  int   // its drift now, as far as the node knows
	leaves int64 // when Step leaves the window for good, in seconds since 1970
	passes bool  // a step that lets in has the code
}

// Walked is an attempt whose proof was compared with every code that a device may show.
// Matches is empty when none fits; it holds more than one device only by a coincidence of digits. The
// first is the one that is claimed: whose step leaves the window last, or one that was used.
type Walked struct {
	Attempt
	Version uint64
	Devices int // how many devices the account has
	Matches []Match
	Now     time.Time // by the node's clock: it decides what the window was
}

// A Result is the outcome of an attempt as far as codes are concerned.
// The zero value lets nobody in.
type Result struct {
	OK     bool // true in one place only: the store answered Claimed
	Reason Reason
	Match  Match // when OK, or when Reason is ReasonCodeUsed
	// Stale: what the node knew of the account was old, and nothing was changed.
	// [Verifier.Settle] returns it for the caller to walk again; [Verifier.Verify] never does.
	Stale bool
	Until time.Time // with ReasonThrottled: when the place may try again
	Err   error     // with ReasonStoreUnavailable: what the store said

	TriesLeft int  // with ReasonCodeWrong and ReasonCodeUsed: what is left of the attempt's challenge; 0 without one
	Again     bool // the same token was answered before, and this is the same answer
	Shared    bool // the code was used before, from the same place, which may share it
}

// Options are what a Verifier needs. Store, Keys and Now must be given.
type Options struct {
	Store     Store
	Keys      Keys
	Window    int             // steps either side of a device's expected step, 0 to MaxWindow
	MaxDrift  int             // steps that a device's clock may be learned to be off, 0 to MaxDrift
	CacheSize int             // accounts remembered, of up to 8 devices each; 0: 100,000, about 250 octets each with one device
	Backoff   []time.Duration // nil: DefaultBackoff

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// A Verifier checks proofs. It is safe for concurrent use.
type Verifier struct {
	store      Store
	keys       Keys
	memory     *memory
	generators *generators
	marks      sync.Pool // of *mark
	rounds     sync.Pool // of *round
	window     int
	drift      int
	backoff    []time.Duration
	metrics    *metrics
	now        func() time.Time
}

const (
	// MaxWindow is the widest [Options.Window], in steps either side.
	MaxWindow = 5
	// MaxDrift is the largest [Options.MaxDrift], in steps either way.
	MaxDrift = 10
)

const defaultCacheSize = 100_000

// New returns a Verifier.
func New(o Options) (*Verifier, error) {
	switch {
	case o.Store == nil || o.Keys == nil || o.Now == nil:
		return nil, errors.New("otp: Store, Keys and Now must be given")
	case o.Window < 0 || o.Window > MaxWindow:
		return nil, fmt.Errorf("otp: window: 0 to %d steps", MaxWindow)
	case o.MaxDrift < 0 || o.MaxDrift > MaxDrift:
		return nil, fmt.Errorf("otp: max drift: 0 to %d steps", MaxDrift)
	case o.CacheSize < 0:
		return nil, errors.New("otp: cache size: 0 or more accounts")
	}
	if o.CacheSize == 0 {
		o.CacheSize = defaultCacheSize
	}
	if o.Backoff == nil {
		o.Backoff = DefaultBackoff()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	log := o.Logger.With("component", "otp")
	v := &Verifier{
		store: o.Store, keys: o.Keys, generators: newGenerators(),
		window: o.Window, drift: o.MaxDrift, backoff: o.Backoff, now: o.Now,
	}
	v.metrics = newMetrics(v, o.Registerer)
	v.memory = newMemory(o.Store, o.Keys, o.CacheSize, log, v.metrics.pushedOut.Inc)
	return v, nil
}

// mark is room for the parts that a mark is made of, so that it allocates nothing.
type mark struct {
	parts  [][]byte
	octets []byte
}

// markOf lends one, empty.
func (v *Verifier) markOf() *mark {
	m, _ := v.marks.Get().(*mark)
	if m == nil {
		m = new(mark)
	}
	return m
}

// done takes it back, without what was in it: a part may be a code.
func (v *Verifier) done(m *mark) {
	clear(m.parts)
	clear(m.octets)
	m.parts, m.octets = m.parts[:0], m.octets[:0]
	v.marks.Put(m)
}

// text adds a copy of a part.
func (m *mark) text(part string) {
	at := len(m.octets)
	m.octets = append(m.octets, part...)
	m.parts = append(m.parts, m.octets[at:])
}

// Place returns the place that parts describe, such as a client's name and a Calling-Station-Id.
func (v *Verifier) Place(parts ...string) Place {
	m := v.markOf()
	for _, part := range parts {
		m.text(part)
	}
	sum := v.keys.MAC("place", m.parts...)
	v.done(m)
	return Place(sum[:8])
}

// Token returns the token of the attempt that parts identify. They include the whole proof.
func (v *Verifier) Token(parts ...[]byte) Token {
	m := v.markOf()
	m.parts = append(m.parts, parts...)
	sum := v.keys.MAC("token", m.parts...)
	v.done(m)
	return Token(sum[:16])
}

// missed is the mark of a proof that may be wrong.
func (v *Verifier) missed(account string, proof []byte) Miss {
	m := v.markOf()
	m.text(account)
	m.parts = append(m.parts, proof)
	sum := v.keys.MAC("miss", m.parts...)
	v.done(m)
	return Miss(sum[:4])
}

// Expect is told of accounts that WalkKnown will be called for soon, so that what is remembered of all of them comes into the
// processor's cache at once.
func (v *Verifier) Expect(accounts []string) { v.memory.cache.Expect(accounts) }

// WalkKnown walks with what the node remembers of the account, and never blocks. It is false when
// the node remembers nothing: then Walk asks the store.
func (v *Verifier) WalkKnown(a Attempt) (Walked, bool) {
	k := v.memory.cache.Get(a.Account)
	if k == nil {
		return Walked{}, false
	}
	return v.walk(a, k), true
}

// Walk compares the proof with every code that the account's devices may show now. It asks the
// store for the devices unless the node remembers them; its error wraps [ErrUnavailable].
func (v *Verifier) Walk(ctx context.Context, a Attempt) (Walked, error) {
	w, err := v.Look(ctx, a)
	if err != nil {
		v.metrics.observe(&Result{Reason: ReasonStoreUnavailable}) // there will be nothing to settle
	}
	return w, err
}

// known is what the node remembers of the account, or what the store answers.
func (v *Verifier) known(ctx context.Context, account string) (*known, error) {
	if k := v.memory.cache.Get(account); k != nil {
		return k, nil
	}
	return v.memory.load(ctx, account)
}

func (v *Verifier) walk(a Attempt, k *known) Walked {
	w := Walked{Attempt: a, Version: k.version, Devices: k.devices, Now: v.now()}
	all := algorithms()
	for i := range k.devices {
		d := k.device(i)
		pool := v.generators.of(all[d.algorithm])
		g := pool.Get().(*generator)
		w.Matches = d.walk(g, a.Proof, w.Now, v.window, v.drift, w.Matches)
		g.forget()
		pool.Put(g)
	}
	w.Matches = passing(w.Matches)
	order(w.Matches)
	return w
}

// Forget drops what the node remembers of an account. Whoever changes its devices on this node
// calls it; on other nodes the next claim finds out.
func (v *Verifier) Forget(account string) { v.memory.forget(account) }
