package otp

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"otpgate/otp/recall"
)

// known is what the node remembers of an account: the snapshot's version, and what its devices need to
// show their codes. It is replaced, never changed.
type known struct {
	version uint64
	devices int         // how many there are
	first   knownDevice // of most accounts the only one, which is why it is here, and not somewhere else in memory
	others  []knownDevice
}

// device is one of them.
func (k *known) device(i int) *knownDevice {
	if i == 0 {
		return &k.first
	}
	return &k.others[i-1]
}

// knownDevice is small, and one string, because there are as many of them as people.
type knownDevice struct {
	text      string // the id, and the keyed HMAC behind it
	drift     int32
	id        uint16 // how long the id is
	seconds   uint16 // of the period
	digits    uint8
	algorithm algorithm
}

// algorithm is an Algorithm in one octet.
type algorithm uint8

func algorithms() [3]Algorithm { return [...]Algorithm{SHA1, SHA256, SHA512} }

func newKnown(version uint64, devices []knownDevice) *known {
	k := &known{version: version, devices: len(devices)}
	if len(devices) > 0 {
		k.first = devices[0]
	}
	if len(devices) > 1 {
		k.others = devices[1:]
	}
	return k
}

// near is what a walk reads of it.
func (k *known) near() recall.Near { return recall.Near{k.first.text} }

// newKnownDevice keys the HMAC of a device whose parameters were checked. The seed is not kept.
func newKnownDevice(d *Device, seed []byte) (knownDevice, error) {
	if len(d.ID) > math.MaxUint16 || d.Drift != int(int32(d.Drift)) {
		return knownDevice{}, fmt.Errorf("%w: device %.16s: its id or its drift is out of range", ErrUnavailable, d.ID)
	}
	all := algorithms()
	return knownDevice{
		text:  d.ID + string(newKeyed(d.Algorithm, seed)),
		drift: int32(learnedDrift(d.Drift, MaxDrift)), // more was never learned, and walk looks at as many codes
		id:    uint16(len(d.ID)), seconds: uint16(d.Period / time.Second), digits: uint8(d.Digits),
		algorithm: algorithm(slices.Index(all[:], d.Algorithm)),
	}, nil
}

func (d *knownDevice) key() keyed            { return keyed(d.text[d.id:]) }
func (d *knownDevice) period() time.Duration { return time.Duration(d.seconds) * time.Second }

// devicesPerPlace is how many devices an account may have before it takes the place of two in the
// cache. An import knows no limit per account, and the cache must not grow by one that is abused.
const devicesPerPlace = 8

func (k *known) places() int32 { return int32(max(k.devices-1, 0)/devicesPerPlace + 1) }

// memory remembers accounts, a bounded number of them.
type memory struct {
	store Store
	keys  Keys
	log   *slog.Logger
	cache *recall.Cache[known]
	loads singleflight.Group
}

func newMemory(store Store, keys Keys, size int, log *slog.Logger, pushedOut func()) *memory {
	return &memory{store: store, keys: keys, log: log, cache: recall.New(size, (*known).near, func(*known) { pushedOut() })}
}

// size is how many accounts are remembered.
func (m *memory) size() int { return m.cache.Len() }

// loadTime is how long a load may take when nobody waits for it any more.
const loadTime = 5 * time.Second

// load asks the store about an account. Those who ask at the same time share one answer; whoever
// gives up does not take it from the others.
func (m *memory) load(ctx context.Context, account string) (*known, error) {
	ch := m.loads.DoChan(account, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime)
		defer cancel()
		return m.ask(ctx, account)
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*known), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// ask has the store's answer, and remembers it. It runs in a goroutine of singleflight's, where a
// panic would end the process: it ends this load instead, and loudly.
func (m *memory) ask(ctx context.Context, account string) (k *known, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error("panic while an account's devices were loaded", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			k, err = nil, unavailable(errors.New("panic"))
		}
	}()
	snapshot, err := m.store.Devices(ctx, account)
	return m.keep(account, snapshot, err)
}

// keep remembers what the store has answered.
func (m *memory) keep(account string, snapshot Snapshot, err error) (k *known, _ error) {
	if err != nil {
		return nil, unavailable(err)
	}
	if k, err = m.open(snapshot); err != nil {
		return nil, err
	}
	if k.devices == 0 { // its first device must count at once, on every node
		return k, nil
	}
	// The name, which may be a part of something longer, and what its first device needs are one piece of memory.
	text := account + k.first.text
	k.first.text = text[len(account):]
	return m.cache.Put(text[:len(account)], k.places(), *k, nil), nil
}

// forget drops an account. A load that is under way may bring back what it was, which does no harm:
// the store tells from the version. Whoever asks from now on does not wait for that one, though.
func (m *memory) forget(account string) {
	m.loads.Forget(account)
	m.cache.Delete(account)
}

// unavailable makes sure that err says what it means: nobody can tell.
func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// open unseals the seeds of a snapshot. A seed that does not open means that the store was
// tampered with or that the keyset is not the one it was sealed with: nobody can tell then.
//
// Of devices with one seed, as an import beside an enrollment may make them, only the one that was
// there first is known: they show the same codes, and each would let every one of them pass once.
func (m *memory) open(s Snapshot) (*known, error) {
	var devices []knownDevice
	var seeds [][]byte // of devices
	defer func() {
		for _, seed := range seeds {
			clear(seed)
		}
	}()
	for _, d := range slices.SortedFunc(slices.Values(s.Devices), firstThere) {
		if err := check(d.Algorithm, d.Digits, d.Period); err != nil {
			return nil, fmt.Errorf("%w: device %s: %w", ErrUnavailable, d.ID, err)
		}
		seed, err := m.keys.Open(d.Sealed, boundTo(s.Account, d.ID))
		if err != nil {
			return nil, fmt.Errorf("%w: the seed of device %s does not open: %w", ErrUnavailable, d.ID, err)
		}
		if slices.ContainsFunc(seeds, func(other []byte) bool { return subtle.ConstantTimeCompare(seed, other) == 1 }) {
			m.log.Warn("device is not used, because another one of the account has the same seed",
				"account", s.Account, "device", d.ID, "hint", "revoke it")
			clear(seed)
			continue
		}
		seeds = append(seeds, seed)
		device, err := newKnownDevice(&d, seed)
		if err != nil {
			return nil, err
		}
		devices = append(devices, device)
	}
	return newKnown(s.Version, devices), nil
}

// firstThere orders devices by when they were enrolled, the same on every node.
func firstThere(a, b Device) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// walk compares proof with every code of the window and with that of now, and appends the device's match, if there is
// one: the latest step that has the code. It looks at all of them, whichever matches.
//
// Where the window lies so far off that there are steps between it and now, they are looked at as well, and let nobody
// in: a step that was used in the window comes back as that of now, and must be seen until then. So nothing is gone
// before it has left for good.
func (d *knownDevice) walk(g *generator, proof Proof, now time.Time, window, maxDrift int, matches []Match) []Match {
	here, drift := stepAt(now, d.period()), int(d.drift)
	low, high := drift-window, drift+window
	found, passes, first, last := false, false, 0, 0 // offsets
	for offset := min(low, 0); offset <= max(high, 0); offset++ {
		if !proof.Match(g.code(d.key(), int(d.digits), here+int64(offset))) {
			continue
		}
		if !found {
			found, first = true, offset
		}
		last = offset
		passes = passes || offset == 0 || low <= offset && offset <= high
	}
	if !found {
		return matches
	}
	learned := drift // nobody knows which of several steps was typed
	if first == last {
		learned = learnedDrift(last, maxDrift)
	}
	// A step leaves the window behind the drift, or after it was that of now, whichever is later: it can be accepted once
	// more as that.
	leaves := here + int64(last+max(window-drift, 0)) + 1
	return append(matches, Match{
		Device: d.text[:d.id], Digits: int(d.digits), Step: here + int64(last), Span: last - first, Offset: last,
		Drift: learned, known: drift, leaves: leaves * int64(d.seconds), passes: passes,
	})
}

// passing leaves out devices that have the code at no step that lets anybody in. Where another device with as many digits
// lets it in, they stay: what they have was typed as well.
func passing(matches []Match) []Match {
	return slices.DeleteFunc(matches, func(m Match) bool {
		return !slices.ContainsFunc(matches, func(o Match) bool { return o.passes && o.Digits == m.Digits })
	})
}

// order puts the match of several devices first whose step leaves the window last: it is the one that is claimed, and
// must not be gone while another is there that would let the same code in. Of those that leave together the
// device that was there first is the first. None of them learns, because nobody knows which of them was typed from.
func order(matches []Match) {
	if len(matches) < 2 {
		return
	}
	for i := range matches {
		matches[i].Drift = matches[i].known
	}
	slices.SortStableFunc(matches, func(a, b Match) int { return cmp.Compare(b.leaves, a.leaves) })
}

// Snapshots is a store that tells of several accounts in one round trip.
type Snapshots interface {
	// AllDevices is Devices of each of the accounts, in their order.
	AllDevices(ctx context.Context, accounts []string) ([]Snapshot, []error)
}

func oneAtATime(ctx context.Context, s Store, accounts []string) ([]Snapshot, []error) {
	snapshots, errs := make([]Snapshot, len(accounts)), make([]error, len(accounts))
	for i, account := range accounts {
		snapshots[i], errs[i] = s.Devices(ctx, account)
	}
	return snapshots, errs
}

// WalkAll is [Verifier.Walk] for many, whose devices are asked for in one round trip. An error is no outcome: it
// is counted by whoever walks again.
func (v *Verifier) WalkAll(ctx context.Context, as []Attempt) ([]Walked, []error) {
	walked, errs := make([]Walked, len(as)), make([]error, len(as))
	var accounts []string
	of := make(map[string][]int, len(as))
	for i, a := range as {
		if k := v.memory.cache.Get(a.Account); k != nil {
			walked[i] = v.walk(a, k)
			continue
		}
		if of[a.Account] == nil {
			accounts = append(accounts, a.Account)
		}
		of[a.Account] = append(of[a.Account], i)
	}
	if len(accounts) == 0 {
		return walked, errs
	}
	snapshots, failed := v.memory.snapshots(ctx, accounts)
	for n, account := range accounts {
		k, err := v.memory.contained(account, snapshots[n], failed[n])
		for _, i := range of[account] {
			if errs[i] = err; err == nil {
				walked[i] = v.walk(as[i], k)
			}
		}
	}
	return walked, errs
}

// snapshots asks the store about accounts, as many as it can tell of at once.
func (m *memory) snapshots(ctx context.Context, accounts []string) ([]Snapshot, []error) {
	many, ok := m.store.(Snapshots)
	if !ok {
		return oneAtATime(ctx, m.store, accounts)
	}
	snapshots, errs := many.AllDevices(ctx, accounts)
	if len(snapshots) == len(accounts) && len(errs) == len(accounts) {
		return snapshots, errs
	}
	snapshots, errs = make([]Snapshot, len(accounts)), make([]error, len(accounts))
	for i := range errs {
		errs[i] = errNoAnswer
	}
	return snapshots, errs
}

// contained is keep, and a panic about one account is that one's error.
func (m *memory) contained(account string, s Snapshot, failed error) (k *known, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error("panic while an account's devices were loaded", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			k, err = nil, unavailable(errors.New("panic"))
		}
	}()
	return m.keep(account, s, failed)
}
