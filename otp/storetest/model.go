package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"otpgate/otp"
)

// model is the contract once more, written to be read beside it: no bounds but those of the
// contract, no thought for speed.
type model struct {
	version uint64
	devices map[string]*modelDevice
	known   []otp.Place // the one used longest ago first
	own     map[otp.Place]*modelFailures
	others  *modelFailures

	challenges []modelChallenge // the one that changed longest ago first
	shares     []modelShare     // oldest first
}

type modelDevice struct {
	label   string
	last    int64
	used    time.Time
	drift   int
	claimed []modelClaim
	wrong   map[int64]map[otp.Token]bool
}

type modelClaim struct {
	step  int64
	token otp.Token
	at    time.Time
}

type modelFailures struct {
	count       int
	last, until time.Time
	misses      []otp.Miss
}

type modelChallenge struct {
	id    [8]byte
	wrong int
	spent bool
	token otp.Token
	at    time.Time
}

type modelShare struct {
	device string
	step   int64
	place  otp.Place
	at     time.Time
	uses   int
}

func newModel() *model {
	return &model{devices: map[string]*modelDevice{}, own: map[otp.Place]*modelFailures{}, others: &modelFailures{}}
}

func (m *model) add(id string) {
	m.devices[id] = &modelDevice{label: newDevice("", id).Label, wrong: map[int64]map[otp.Token]bool{}}
}

func (m *model) remove(id string) {
	delete(m.devices, id)
	m.shares = slices.DeleteFunc(m.shares, func(s modelShare) bool { return s.device == id })
}

// preview carries out UseStep on a copy of the model.
func (m *model) preview(c otp.Claim) otp.Receipt {
	c.Kind = otp.UseStep
	r := m.copy().claim(c)
	if r.Answer == otp.Claimed {
		r.Answer = otp.Free
	}
	return r
}

func (m *model) copy() *model {
	c := *m
	c.devices, c.own = map[string]*modelDevice{}, map[otp.Place]*modelFailures{}
	for id, d := range m.devices {
		device := *d
		device.claimed, device.wrong = slices.Clone(d.claimed), maps.Clone(d.wrong)
		c.devices[id] = &device
	}
	for p, f := range m.own {
		failures := *f
		c.own[p] = &failures
	}
	others := *m.others
	c.others, c.known = &others, slices.Clone(m.known)
	c.challenges, c.shares = slices.Clone(m.challenges), slices.Clone(m.shares)
	return &c
}

func (m *model) claim(c otp.Claim) otp.Receipt {
	if c.Kind == otp.Preview {
		return m.preview(c)
	}
	if c.Kind == otp.UseStep {
		for _, d := range m.devices {
			for _, claimed := range d.claimed {
				if claimed.token == c.Token && c.Now.Sub(claimed.at).Abs() <= c.TokenLifetime() {
					return otp.Receipt{Answer: otp.Claimed, Again: true}
				}
			}
		}
	}
	d := m.devices[c.Device]
	place := c.Kind == otp.WrongCode || c.Kind == otp.RightFactor
	if c.Version != m.version && (c.Kind != otp.RightFactor || c.Version != otp.AnyVersion) || !place && d == nil {
		return otp.Receipt{Answer: otp.Stale}
	}
	f := m.others
	if slices.Contains(m.known, c.Place) {
		f = m.own[c.Place]
	}
	if c.Now.Before(f.until) && f.last.Sub(c.Now) <= otp.ClaimLifetime {
		return otp.Receipt{Answer: otp.Throttled, Failures: f.count, Until: f.until}
	}
	switch c.Kind {
	case otp.WrongPassword:
		return d.wrongPassword(c)
	case otp.RightFactor:
		if f != m.others || len(m.devices) == 0 {
			*f = modelFailures{}
		}
		m.welcome(c.Place)
		return otp.Receipt{Answer: otp.Welcomed}
	}
	challenge := m.challenge(c)
	if challenge.spent || challenge.wrong > 0 && challenge.wrong >= c.Challenge.Tries {
		return otp.Receipt{Answer: otp.Spent}
	}
	r := otp.Receipt{Answer: otp.Counted, Failures: f.count}
	switch {
	case c.Kind == otp.WrongCode:
		r = f.wrongCode(c)
		if challenge.wrong == 0 || challenge.token != c.Token {
			challenge.wrong++
			challenge.spent = challenge.wrong >= c.Challenge.Tries
			m.changed(challenge, c)
		}
	case !slices.Contains(f.misses, c.Miss):
		if r = m.use(d, f, c); r.Answer == otp.Claimed {
			challenge.spent = true
			m.changed(challenge, c)
			return r
		}
	}
	if c.Challenge.Given() {
		r.TriesLeft = max(c.Challenge.Tries-challenge.wrong, 0)
	}
	return r
}

func (m *model) challenge(c otp.Claim) modelChallenge {
	for _, known := range m.challenges {
		if known.id == c.Challenge.ID && c.Now.Sub(known.at) <= otp.ChallengeLifetime {
			return known
		}
	}
	return modelChallenge{id: c.Challenge.ID}
}

func (m *model) changed(challenge modelChallenge, c otp.Claim) {
	if !c.Challenge.Given() {
		return
	}
	challenge.token, challenge.at = c.Token, c.Now
	m.challenges = slices.DeleteFunc(m.challenges, func(known modelChallenge) bool {
		return known.id == challenge.id || c.Now.Sub(known.at) > otp.ChallengeLifetime
	})
	if m.challenges = append(m.challenges, challenge); len(m.challenges) > otp.MaxChallenges {
		m.challenges = m.challenges[1:]
	}
}

// share uses a step once more, if it is shared.
func (m *model) share(d *modelDevice, c otp.Claim) otp.Receipt {
	for i, s := range m.shares {
		if s.device == c.Device && s.step == c.Step && s.place == c.Place && s.uses < c.Share.Times && c.Share.Times >= 2 &&
			c.Share.Within > 0 && c.Now.Sub(s.at).Abs() <= min(c.Share.Within, otp.ShareLifetime) {
			m.shares[i].uses++
			d.used = c.Now
			d.claimed = append(d.claimed, modelClaim{c.Step, c.Token, c.Now})
			return otp.Receipt{Answer: otp.Claimed, Shared: true}
		}
	}
	return otp.Receipt{Answer: otp.Used}
}

func (m *model) use(d *modelDevice, f *modelFailures, c otp.Claim) otp.Receipt {
	if d.usedUp(c) {
		return otp.Receipt{Answer: otp.Used}
	}
	if c.Step-int64(c.Span) <= d.last {
		return m.share(d, c)
	}
	if c.Share.Times >= 2 && c.Share.Within > 0 {
		m.shares = slices.DeleteFunc(m.shares, func(s modelShare) bool { return c.Now.Sub(s.at).Abs() > otp.ShareLifetime })
		if m.shares = append(m.shares, modelShare{c.Device, c.Step, c.Place, c.Now, 1}); len(m.shares) > otp.MaxShares {
			m.shares = m.shares[1:]
		}
	}
	d.last, d.used = c.Step, c.Now
	maps.DeleteFunc(d.wrong, func(step int64, _ map[otp.Token]bool) bool { return step <= c.Step })
	d.claimed = append(d.claimed, modelClaim{c.Step, c.Token, c.Now})
	if d.drift != c.Drift {
		d.drift = c.Drift
		m.version++
	}
	*f = modelFailures{}
	m.welcome(c.Place)
	return otp.Receipt{Answer: otp.Claimed}
}

// welcome makes a place a known one without failures.
func (m *model) welcome(place otp.Place) {
	m.known = append(slices.DeleteFunc(m.known, func(p otp.Place) bool { return p == place }), place)
	if len(m.known) > otp.MaxPlaces {
		m.known = m.known[1:]
	}
	m.own[place] = &modelFailures{}
}

// usedUp reports whether wrong passwords have used up a step that the claim's code belongs to.
func (d *modelDevice) usedUp(c otp.Claim) bool {
	for before := range c.Span + 1 {
		if len(d.wrong[c.Step-int64(before)]) >= otp.MaxWrongPasswords {
			return true
		}
	}
	return false
}

func (d *modelDevice) wrongPassword(c otp.Claim) otp.Receipt {
	tokens := d.wrong[c.Step]
	used := d.usedUp(c)
	if c.Step-int64(c.Span) <= d.last { // claimed by another token?
		last := d.claimed[len(d.claimed)-1]
		used = used || last.token != c.Token || c.Now.Sub(last.at) > otp.ClaimLifetime
	}
	if used {
		return otp.Receipt{Answer: otp.Used}
	}
	if tokens == nil {
		tokens = map[otp.Token]bool{}
		d.wrong[c.Step] = tokens
	}
	tokens[c.Token] = true
	return otp.Receipt{Answer: otp.Counted, Failures: len(tokens)}
}

func (f *modelFailures) wrongCode(c otp.Claim) otp.Receipt {
	if f.count > 0 && c.Now.Sub(f.last) > c.Forget {
		*f = modelFailures{}
	}
	if !slices.Contains(f.misses, c.Miss) {
		f.count++
		f.last, f.until = c.Now, time.Time{}
		if wait := c.Backoff[min(f.count, len(c.Backoff))-1]; wait > 0 {
			f.until = c.Now.Add(wait)
		}
		if f.misses = append(f.misses, c.Miss); len(f.misses) > otp.MaxMisses {
			f.misses = f.misses[1:]
		}
	}
	r := otp.Receipt{Answer: otp.Counted, Failures: f.count}
	if f.until.After(c.Now) && f.last.Sub(c.Now) <= otp.ClaimLifetime {
		r.Until = f.until
	}
	return r
}

// trial runs the same random claims through a store and through models of its accounts.
type trial struct {
	*exam
	rnd    *rand.Rand
	names  *rand.Rand // says what is renamed: the claims are those that there would be without it
	models map[string]*model
	now    time.Duration
	count  int
}

// runModel compares a store with the model, claim by claim.
func runModel(t *testing.T, open Open) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			x := &trial{exam: newExam(t, open), models: map[string]*model{}}
			x.rnd, x.names = rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
			for range 250 {
				x.round()
			}
		})
	}
}

// round changes something about the devices now and then, claims a batch, and looks at the result.
func (x *trial) round() {
	x.now += time.Duration(x.rnd.IntN(12_000)) * time.Millisecond
	account := fmt.Sprint("account-", x.rnd.IntN(3))
	m := x.models[account]
	if m == nil {
		m = newModel()
		x.models[account] = m
	}
	switch id := deviceID(x.rnd.IntN(3)); {
	case m.devices[id] == nil && x.rnd.IntN(3) == 0:
		x.add(account, id)
		m.add(id)
		x.raised(account, m)
	case m.devices[id] != nil && x.rnd.IntN(40) == 0:
		if err := x.store.RemoveDevice(x.context(), account, id); err != nil {
			x.Fatal(err)
		}
		m.remove(id)
		x.raised(account, m)
	}
	if id := deviceID(x.names.IntN(3)); m.devices[id] != nil && x.names.IntN(5) == 0 {
		x.rename(account, id, m)
	}
	batch := make([]otp.Claim, 1+x.rnd.IntN(12))
	want := make([]otp.Receipt, len(batch))
	for i := range batch {
		batch[i] = x.random(account, m)
		want[i] = m.claim(batch[i])
	}
	for i, got := range x.store.Claim(x.context(), batch) {
		x.count++
		if !got.Until.Equal(want[i].Until) {
			x.Fatalf("claim %d\n%+v\nuntil %v, want %v", x.count, batch[i], got.Until, want[i].Until)
		}
		if got.Until = want[i].Until; got != want[i] {
			x.Fatalf("claim %d\n%+v\ngot  %s %+v\nwant %s %+v", x.count, batch[i], name(got.Answer), got, name(want[i].Answer), want[i])
		}
	}
	x.compare(account, m)
}

// rename gives a device another label. The account stays as it is otherwise, and its version too.
func (x *trial) rename(account, id string, m *model) {
	x.Helper()
	label := fmt.Sprint("renamed after claim ", x.count)
	if err := x.store.RenameDevice(x.context(), account, id, label); err != nil {
		x.Fatal(err)
	}
	m.devices[id].label = label
}

// raised takes over the version of an account whose devices were changed: by how much it is raised is the store's affair.
func (x *trial) raised(account string, m *model) {
	x.Helper()
	version := x.snapshot(account).Version
	if version <= m.version {
		x.Fatalf("after %d claims: version %d (was %d) when a device was added or removed", x.count, version, m.version)
	}
	m.version = version
}

func (x *trial) random(account string, m *model) otp.Claim {
	kind := []otp.ClaimKind{otp.UseStep, otp.UseStep, otp.WrongCode, otp.WrongPassword, otp.Preview, otp.RightFactor}[x.rnd.IntN(6)]
	c := otp.Claim{
		Kind: kind, Account: account, Version: m.version, Place: place(x.rnd.IntN(20)),
		Token: token(x.count/40 + x.rnd.IntN(60)),
		Now:   start.Add(x.now + time.Duration(x.rnd.IntN(500))*time.Millisecond), Device: deviceID(x.rnd.IntN(3)),
		Step: 100 + int64(x.now/(15*time.Second)) + int64(x.rnd.IntN(4)),
		Miss: miss(x.rnd.IntN(12)), Backoff: []time.Duration{0, 0, time.Second, 5 * time.Second}, Forget: time.Minute,
	}
	if (kind == otp.UseStep || kind == otp.Preview) && x.rnd.IntN(8) > 0 { // else a code that may have been wrong before
		c.Miss = miss(100 + x.rnd.IntN(1000))
	}
	x.relax(&c)
	if d := m.devices[c.Device]; d != nil {
		c.Drift = d.drift
	}
	if x.rnd.IntN(15) == 0 {
		c.Drift = x.rnd.IntN(5) - 2
	}
	if x.rnd.IntN(8) == 0 {
		c.Span = x.rnd.IntN(otp.MaxSpan + 1)
	}
	if kind == otp.WrongCode && x.rnd.IntN(6) == 0 { // of a node whose clock is wrong
		c.Now = c.Now.Add(time.Duration(x.rnd.IntN(100_000)-50_000) * time.Millisecond)
	}
	if kind == otp.RightFactor && x.rnd.IntN(2) == 0 {
		c.Version = otp.AnyVersion
	}
	if x.rnd.IntN(20) == 0 {
		c.Version--
	}
	return c
}

// relax has a claim answer a challenge, share its step, and give its token another lifetime, now and then.
func (x *trial) relax(c *otp.Claim) {
	if x.rnd.IntN(3) == 0 {
		c.Challenge = otp.Challenged{ID: [8]byte{3: 1 + byte((x.count/50+x.rnd.IntN(20))%250)}, Tries: x.rnd.IntN(5)}
	}
	if x.rnd.IntN(3) == 0 { // few places, devices and steps, so that they meet
		c.Share = otp.Share{Times: x.rnd.IntN(5), Within: time.Duration(x.rnd.IntN(90)) * time.Second}
		c.Place, c.Device, c.Step = place(x.rnd.IntN(2)), deviceID(x.rnd.IntN(2)), 103+int64(x.now/(15*time.Second))
	}
	if x.rnd.IntN(3) == 0 {
		c.Lifetime = time.Duration(x.rnd.IntN(50)-5) * time.Second
	}
}

// compare looks at the devices that the store has.
func (x *trial) compare(account string, m *model) {
	s := x.snapshot(account)
	if s.Version != m.version || len(s.Devices) != len(m.devices) {
		x.Fatalf("after %d claims: version %d, %d devices; want %d, %d", x.count, s.Version, len(s.Devices), m.version, len(m.devices))
	}
	for _, d := range s.Devices {
		w := m.devices[d.ID]
		if w == nil || d.Label != w.label || d.LastStep != w.last || !d.LastUsed.Equal(w.used) || d.Drift != w.drift {
			x.Fatalf("after %d claims: %+v, want %+v", x.count, d, w)
		}
	}
}
