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
}

type modelDevice struct {
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

func newModel() *model {
	return &model{devices: map[string]*modelDevice{}, own: map[otp.Place]*modelFailures{}, others: &modelFailures{}}
}

func (m *model) add(id string) {
	m.devices[id] = &modelDevice{wrong: map[int64]map[otp.Token]bool{}}
	m.version++
}

func (m *model) remove(id string) {
	delete(m.devices, id)
	m.version++
}

func (m *model) claim(c otp.Claim) otp.Receipt {
	if c.Kind == otp.UseStep {
		for _, d := range m.devices {
			for _, claimed := range d.claimed {
				if claimed.token == c.Token && c.Now.Sub(claimed.at) <= otp.ClaimLifetime {
					return otp.Receipt{Answer: otp.Claimed}
				}
			}
		}
	}
	d := m.devices[c.Device]
	if c.Version != m.version || c.Kind != otp.WrongCode && d == nil {
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
	case otp.UseStep:
		if slices.Contains(f.misses, c.Miss) {
			return otp.Receipt{Answer: otp.Counted, Failures: f.count}
		}
		return m.use(d, f, c)
	case otp.WrongPassword:
		return d.wrongPassword(c)
	}
	return f.wrongCode(c)
}

func (m *model) use(d *modelDevice, f *modelFailures, c otp.Claim) otp.Receipt {
	if c.Step <= d.last || len(d.wrong[c.Step]) >= otp.MaxWrongPasswords {
		return otp.Receipt{Answer: otp.Used}
	}
	d.last, d.used = c.Step, c.Now
	maps.DeleteFunc(d.wrong, func(step int64, _ map[otp.Token]bool) bool { return step <= c.Step })
	maps.DeleteFunc(d.wrong, func(step int64, _ map[otp.Token]bool) bool { return step <= c.Step })
	d.claimed = append(d.claimed, modelClaim{c.Step, c.Token, c.Now})
	if d.drift != c.Drift {
		d.drift = c.Drift
		m.version++
	}
	*f = modelFailures{}
	m.known = append(slices.DeleteFunc(m.known, func(p otp.Place) bool { return p == c.Place }), c.Place)
	if len(m.known) > otp.MaxPlaces {
		m.known = m.known[1:]
	}
	m.own[c.Place] = &modelFailures{}
	return otp.Receipt{Answer: otp.Claimed}
}

func (d *modelDevice) wrongPassword(c otp.Claim) otp.Receipt {
	tokens := d.wrong[c.Step]
	used := len(tokens) >= otp.MaxWrongPasswords
	if c.Step <= d.last { // claimed by another token?
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
	models map[string]*model
	now    time.Duration
	count  int
}

// runModel compares a store with the model, claim by claim.
func runModel(t *testing.T, open Open) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			x := &trial{exam: newExam(t, open), rnd: rand.New(rand.NewPCG(seed, 0)), models: map[string]*model{}}
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
	case m.devices[id] != nil && x.rnd.IntN(40) == 0:
		if err := x.store.RemoveDevice(x.context(), account, id); err != nil {
			x.Fatal(err)
		}
		m.remove(id)
	}
	batch := make([]otp.Claim, 1+x.rnd.IntN(12))
	want := make([]otp.Receipt, len(batch))
	for i := range batch {
		batch[i] = x.random(account, m)
		want[i] = m.claim(batch[i])
	}
	for i, got := range x.store.Claim(x.context(), batch) {
		x.count++
		if got.Err != nil || got.Answer != want[i].Answer || got.Failures != want[i].Failures || !got.Until.Equal(want[i].Until) {
			x.Fatalf("claim %d\n%+v\ngot  %s %+v\nwant %s %+v", x.count, batch[i], name(got.Answer), got, name(want[i].Answer), want[i])
		}
	}
	x.compare(account, m)
}

func (x *trial) random(account string, m *model) otp.Claim {
	kind := []otp.ClaimKind{otp.UseStep, otp.UseStep, otp.WrongCode, otp.WrongPassword}[x.rnd.IntN(4)]
	c := otp.Claim{
		Kind: kind, Account: account, Version: m.version, Place: place(x.rnd.IntN(20)),
		Token: token(x.count/40 + x.rnd.IntN(60)),
		Now:   start.Add(x.now + time.Duration(x.rnd.IntN(500))*time.Millisecond), Device: deviceID(x.rnd.IntN(3)),
		Step: 100 + int64(x.now/(15*time.Second)) + int64(x.rnd.IntN(4)),
		Miss: miss(x.rnd.IntN(12)), Backoff: []time.Duration{0, 0, time.Second, 5 * time.Second}, Forget: time.Minute,
	}
	if kind == otp.UseStep && x.rnd.IntN(8) > 0 { // else a code that may have been wrong before
		c.Miss = miss(100 + x.rnd.IntN(1000))
	}
	if d := m.devices[c.Device]; d != nil {
		c.Drift = d.drift
	}
	if x.rnd.IntN(15) == 0 {
		c.Drift = x.rnd.IntN(5) - 2
	}
	if kind == otp.WrongCode && x.rnd.IntN(6) == 0 { // of a node whose clock is wrong
		c.Now = c.Now.Add(time.Duration(x.rnd.IntN(100_000)-50_000) * time.Millisecond)
	}
	if x.rnd.IntN(20) == 0 {
		c.Version--
	}
	return c
}

// compare looks at the devices that the store has.
func (x *trial) compare(account string, m *model) {
	s := x.snapshot(account)
	if s.Version != m.version || len(s.Devices) != len(m.devices) {
		x.Fatalf("after %d claims: version %d, %d devices; want %d, %d", x.count, s.Version, len(s.Devices), m.version, len(m.devices))
	}
	for _, d := range s.Devices {
		w := m.devices[d.ID]
		if w == nil || d.LastStep != w.last || !d.LastUsed.Equal(w.used) || d.Drift != w.drift {
			x.Fatalf("after %d claims: %+v, want %+v", x.count, d, w)
		}
	}
}
