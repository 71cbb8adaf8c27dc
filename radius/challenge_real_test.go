package radius_test

import (
	"crypto/md5"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

const accessChallenge = 11

// stateOf is the State of a challenge, "" of anything else.
func stateOf(r probe.Reply) string {
	for _, a := range r.Attributes {
		if a.Type == probe.State && r.Is(accessChallenge) {
			return string(a.Value)
		}
	}
	return ""
}

// TestARealChallenge: two nodes, one store, and a person who mistypes.
func TestARealChallenge(t *testing.T) {
	s := newSite(t, 2)
	one, two := radiustest.DialFrom(t, "127.0.0.4", s.address, realSecret), radiustest.DialFrom(t, "127.0.0.4", s.node(t), realSecret)
	at := "10.9.8.7"
	right := codeAt(s.now())
	asked := one.Exchange(one.Login("user0", "geheim").Add(probe.CallingStationID, at).Octets())
	state := stateOf(asked)
	if state == "" {
		t.Fatalf("code %d", asked.Code)
	}
	again := stateOf(two.Exchange(two.Login("user0", "000000").Add(probe.State, state).Octets()))
	if again == "" || again == state {
		t.Fatalf("a wrong code: State %q", again)
	}
	accept := one.Login("user0", right).Add(probe.State, again).Octets()
	if r := one.Exchange(accept); !r.Is(probe.AccessAccept) {
		t.Fatalf("code %d: %q", r.Code, s.reasons(t))
	}
	if r := two.Exchange(accept); !r.Is(probe.AccessAccept) {
		t.Errorf("the same packet at another node: code %d", r.Code)
	}
	s.seconds.Add(int64(period.Seconds()))
	for _, state := range []string{state, again} { // with the next code
		if r := two.Exchange(two.Login("user0", codeAt(s.now())).Add(probe.State, state).Octets()); !r.Is(probe.AccessReject) {
			t.Errorf("a State that was answered: code %d", r.Code)
		}
	}
	fresh := stateOf(one.Exchange(one.Login("user0", "geheim").Add(probe.CallingStationID, at).Octets()))
	if r := one.Exchange(one.Login("user0", right).Add(probe.State, fresh).Octets()); stateOf(r) == "" {
		t.Errorf("a used code: code %d", r.Code)
	}
	want := []string{
		"challenge code_asked", "challenge code_wrong", "accept ok", "accept ok", "reject challenge_spent", "reject challenge_spent",
		"challenge code_asked", "challenge code_used",
	}
	if got := s.reasons(t); !slices.Equal(got, want) {
		t.Errorf("the trail holds\n%q, want\n%q", got, want)
	}
}

// TestARealChallengeHasItsTries: at two nodes at a time, with one State sent over and over.
func TestARealChallengeHasItsTries(t *testing.T) {
	s := newSite(t, 1)
	addresses := []string{s.address, s.node(t)}
	first := radiustest.DialFrom(t, "127.0.0.4", s.address, realSecret)
	state := stateOf(first.Exchange(first.Login("user0", "geheim").Octets()))
	var asked atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		c := radiustest.DialFrom(t, "127.0.0.4", addresses[i%2], realSecret)
		wg.Go(func() {
			r, err := c.Try(c.Login("user0", fmt.Sprintf("%06d", i)).Add(probe.State, state).Octets(), radiustest.Patience)
			if err != nil {
				t.Error(err)
			} else if stateOf(r) != "" {
				asked.Add(1)
			}
		})
	}
	wg.Wait()
	if asked.Load() > 2 {
		t.Errorf("asked again %d times", asked.Load())
	}
	if r := first.Exchange(first.Login("user0", codeAt(s.now())).Add(probe.State, state).Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("the right code after that: code %d", r.Code)
	}
}

// TestARealWrongPasswordSlowsDown: after wrong ones from a place the directory is not asked any more.
func TestARealWrongPasswordSlowsDown(t *testing.T) {
	s := newSite(t, 1)
	c := radiustest.DialFrom(t, "127.0.0.4", s.address, realSecret)
	for i := range 12 {
		c.Exchange(c.Login("user0", fmt.Sprint("falsch", i)).Octets())
	}
	got := s.reasons(t)
	if got[0] != "reject password_wrong" || got[11] != "reject throttled" {
		t.Errorf("the trail holds %q", got)
	}
	if r := c.Exchange(c.Login("user0", "geheim").Octets()); !r.Is(probe.AccessReject) {
		t.Errorf("the right password from there: code %d", r.Code)
	}
	if r := c.Exchange(c.Login("user0", "geheim").Add(probe.CallingStationID, "elsewhere").Octets()); r.Is(probe.AccessAccept) {
		t.Errorf("from elsewhere: code %d", r.Code)
	}
}

// TestCHAPByEveryCode of every device's window, once each.
func TestCHAPByEveryCode(t *testing.T) {
	s := newSite(t, 1)
	seeds := [][]byte{seed, []byte("another seed, of 20 o"), []byte("the third seed of 20o")}
	for _, other := range seeds[1:] {
		s.add(t, otp.NewDevice{Account: accountID(0), Seed: other})
	}
	c := radiustest.Dial(t, s.address, realSecret)
	ask := func(code string, challenge []byte) byte {
		q := c.Login("user0", "").Without(probe.UserPassword)
		of := q.Authenticator[:]
		if challenge != nil {
			of = challenge
			q.Add(60, string(challenge))
		}
		sum := md5.Sum(slices.Concat([]byte{7}, []byte(code), of))
		return c.Exchange(q.Add(probe.CHAPPassword, "\x07"+string(sum[:])).Octets()).Code
	}
	for i, of := range seeds {
		for step := -1; step <= 1; step++ { // in rising order: a step below a used one is used
			code := codeOf(of, s.now().Add(time.Duration(step)*period))
			for _, challenge := range [][]byte{nil, []byte("a challenge of the gateway")} {
				want := byte(probe.AccessAccept)
				if challenge != nil {
					want = probe.AccessReject // it was used a moment ago
				}
				if got := ask(code, challenge); got != want {
					t.Errorf("device %d, step %+d, challenge %q: code %d, want %d: %q", i, step, challenge, got, want, s.reasons(t))
				}
			}
		}
	}
	if got := ask(codeAt(s.now().Add(10*period)), nil); got != probe.AccessReject {
		t.Errorf("a code of later: code %d", got)
	}
}

// BenchmarkChallenge is a login by password and then code with nothing fake, over loopback: both
// packets, the password checked against the LDIF directory, the claim on disk. Eight people log in at a
// time; p50 and p99 are of the whole, from the first packet to the accept.
func BenchmarkChallenge(b *testing.B) {
	const accounts, gateways = 500, 8
	s := newSite(b, accounts)
	var clients []*radiustest.Client
	for range gateways {
		clients = append(clients, radiustest.DialFrom(b, "127.0.0.4", s.address, realSecret))
	}
	var mu sync.Mutex
	var took []time.Duration
	refused := 0
	login := func(c *radiustest.Client, name, code string) {
		start := time.Now()
		r, err := c.Try(c.Login(name, "geheim").Octets(), radiustest.Patience)
		if err == nil {
			r, err = c.Try(c.Login(name, code).Add(probe.State, stateOf(r)).Octets(), radiustest.Patience)
		}
		spent := time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		if took = append(took, spent); err != nil || !r.Is(probe.AccessAccept) {
			refused++
		}
	}
	round := func(n int) { // every account logs in once with the code of this step
		var wg sync.WaitGroup
		var next atomic.Int64
		code := codeAt(s.now())
		for _, c := range clients {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					login(c, fmt.Sprintf("user%d", i-1), code)
				}
			})
		}
		wg.Wait()
		s.seconds.Add(int64(period.Seconds()))
	}
	round(accounts)
	took = nil
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= accounts {
		round(min(left, accounts))
	}
	b.StopTimer()
	if refused > 0 {
		b.Errorf("%d logins were refused", refused)
	}
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
