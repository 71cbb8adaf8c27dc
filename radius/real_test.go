package radius_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
	"otpgate/otp/boltstore"
	"otpgate/otp/keyset"
	"otpgate/radius"
	"otpgate/radius/challenge"
	"otpgate/radius/posture"
	"otpgate/radius/probe"
	"otpgate/radius/radiustest"
)

const (
	realSecret = "a shared secret"
	period     = time.Minute
)

var seed = []byte("12345678901234567890") // of RFC 6238 appendix B

// codeAt is what a device with seed shows: RFC 6238 section 4.2, RFC 4226 section 5.3.
func codeAt(at time.Time) string { return codeOf(seed, at) }

func codeOf(seed []byte, at time.Time) string {
	m := hmac.New(sha1.New, seed)
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(at.Unix())/uint64(period.Seconds()))
	m.Write(step[:])
	sum := m.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// site is a node with nothing fake in it: accounts from an LDIF file, codes in a bbolt store.
type site struct {
	store    *boltstore.Store
	verifier *otp.Verifier
	devices  *otp.Devices
	states   *challenge.Sealer
	posture  *posture.Ledger
	trail    *audit.Log
	accounts *directory.Set
	address  string
	seconds  atomic.Int64 // of the node's clock
}

func (s *site) now() time.Time { return time.Unix(s.seconds.Load(), 0) }

// accountID is the immutable id of useri.
func accountID(i int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", i) }

// newSite makes a site with accounts user0, user1, … whose password is "geheim", one device each.
func newSite(t testing.TB, accounts int) *site {
	t.Helper()
	s := &site{}
	s.seconds.Store(1_700_000_010)
	dir := t.TempDir()
	var ldif strings.Builder
	devices := make([]otp.NewDevice, accounts)
	for i := range accounts {
		fmt.Fprintf(&ldif, "dn: uid=user%[1]d,dc=corp\nobjectClass: inetOrgPerson\nuid: user%[1]d\ncn: User %[1]d\nsn: %[1]d\nentryUUID: %[2]s\nuserPassword: geheim\n\n", i, accountID(i))
		devices[i] = otp.NewDevice{Account: accountID(i), Seed: seed}
	}
	file := filepath.Join(dir, "corp.ldif")
	must(t, os.WriteFile(file, []byte(ldif.String()), 0o600))
	var err error
	s.accounts, err = directory.New(directory.Options{
		Directories: []directory.Config{{Name: "corp", LDIF: file, Fresh: 24 * time.Hour}}, Now: s.now,
	})
	must(t, err)
	keys, _, err := keyset.Open(filepath.Join(dir, "keys"))
	must(t, err)
	s.store, err = boltstore.Open(boltstore.Options{Path: filepath.Join(dir, "store.db"), Now: s.now})
	must(t, err)
	t.Cleanup(func() { must(t, s.store.Close()) })
	s.states, err = challenge.New(challenge.Options{Keys: keys, Now: s.now})
	must(t, err)
	s.posture, err = posture.New(posture.Options{Notes: s.store, Node: "one", Now: s.now})
	must(t, err)
	_, benchmark := t.(*testing.B)
	// Required: a test reads the trail as soon as it has its reply.
	s.trail, err = audit.Open(audit.Options{Dir: dir, Required: !benchmark, Now: s.now})
	must(t, err)
	t.Cleanup(func() { must(t, s.trail.Close(context.Background())) })
	s.verifier, err = otp.New(otp.Options{Store: s.store, Keys: keys, Window: 1, MaxDrift: 2, Now: s.now})
	must(t, err)
	s.devices, err = otp.NewDevices(otp.DevicesOptions{
		Store: s.store, Keys: keys, Issuer: "Example", Algorithm: otp.SHA1, Digits: 6, Period: period, Now: s.now,
	})
	must(t, err)
	s.add(t, devices...)
	s.address = s.node(t)
	return s
}

// add imports devices.
func (s *site) add(t testing.TB, devices ...otp.NewDevice) {
	t.Helper()
	errs, err := s.devices.Import(context.Background(), devices)
	must(t, err)
	for _, err := range errs {
		must(t, err)
	}
}

// node starts a server of the site; several share everything but the socket.
func (s *site) node(t testing.TB) string {
	t.Helper()
	server, err := radius.New(radius.Options{
		Listen: []string{"127.0.0.1:0"},
		Clients: []radius.Client{
			{Name: "vpn", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Secret: []byte(realSecret)},
			{Name: "concat", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, Secret: []byte(realSecret), Login: radius.LoginPasswordCode},
			{Name: "then", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.4/32")}, Secret: []byte(realSecret), Login: radius.LoginPasswordThenCode},
			{Name: "grace", Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.6/32")}, Secret: []byte(realSecret), Login: radius.LoginPasswordCode, FailoverGrace: 20 * time.Second},
		},
		Accounts: s.accounts, Codes: s.verifier, Previews: s.verifier, Factors: s.verifier, States: s.states, Posture: s.posture, Audit: s.trail, Now: s.now,
	})
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	t.Cleanup(func() {
		must(t, server.Shutdown(context.Background()))
		must(t, <-served)
	})
	return server.Addrs()[0].String()
}

// reasons are decision and reason of every attempt so far, from the file of the trail.
func (s *site) reasons(t testing.TB) (all []string) {
	t.Helper()
	must(t, s.trail.Read(context.Background(), audit.Filter{}, false, nil, func(e audit.Event) error {
		all = append(all, e.Decision+" "+string(e.Reason))
		return nil
	}))
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestARealLogin is the ordinary path with nothing fake: a code passes once, and once only.
func TestARealLogin(t *testing.T) {
	s := newSite(t, 2)
	c := radiustest.Dial(t, s.address, realSecret)
	code := codeAt(s.now())
	login := c.Login("user0", code).Add(probe.ProxyState, "p").Octets()
	first := c.Exchange(login)
	if !first.Is(probe.AccessAccept) {
		t.Fatalf("code %d", first.Code)
	}
	if r := c.Exchange(login); !slices.Equal(r.Octets, first.Octets) {
		t.Error("the same packet got other octets")
	}
	other := radiustest.Dial(t, s.node(t), realSecret)
	if r := other.Exchange(login); !r.Is(probe.AccessAccept) {
		t.Errorf("the same packet at another node: code %d", r.Code)
	}
	for _, q := range []*probe.Request{
		c.Login("user0", code), c.Login("USER0", code), c.Login("user0", "000000"), c.Login("user0", codeAt(s.now().Add(-period))), c.Login("nobody", code),
	} {
		if r := c.Exchange(q.Octets()); !r.Is(probe.AccessReject) {
			t.Errorf("code %d", r.Code)
		}
	}
	s.seconds.Add(int64(period.Seconds()))
	if r := c.Exchange(c.Login("user0", codeAt(s.now())).Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("the next code: code %d", r.Code)
	}
	if r := c.Exchange(c.Login("user1", codeAt(s.now())).Octets()); !r.Is(probe.AccessAccept) {
		t.Errorf("another account with the same seed: code %d", r.Code)
	}
	want := []string{"accept ok", "accept ok", "reject code_used", "reject code_used", "reject code_wrong", "reject code_used", "reject account_unknown", "accept ok", "accept ok"}
	if got := s.reasons(t); !slices.Equal(got, want) {
		t.Errorf("the trail holds\n%q, want\n%q", got, want)
	}
}

func TestARealPasswordAndCode(t *testing.T) {
	s := newSite(t, 3)
	c := radiustest.DialFrom(t, "127.0.0.2", s.address, realSecret)
	ask := func(name, typed string) byte { return c.Exchange(c.Login(name, typed).Octets()).Code }
	code := codeAt(s.now())
	for typed, want := range map[string]byte{
		code: probe.AccessReject, "geheim000000": probe.AccessReject, "falsch" + code: probe.AccessReject,
	} {
		if got := ask("user0", typed); got != want {
			t.Errorf("%q: code %d", typed, got)
		}
	}
	if got := ask("user0", "geheim"+code); got != probe.AccessAccept {
		t.Errorf("right: code %d", got)
	}
	if got := ask("user0", "geheim"+code); got != probe.AccessReject {
		t.Errorf("again: code %d", got)
	}
	for range otp.MaxWrongPasswords {
		ask("user1", "falsch"+code)
	}
	if got := ask("user1", "geheim"+code); got != probe.AccessReject {
		t.Errorf("a step that wrong passwords have used up: code %d", got)
	}
	got := s.reasons(t)
	if want := append(slices.Repeat([]string{"reject password_wrong"}, otp.MaxWrongPasswords), "reject code_used"); !slices.Equal(got[len(got)-len(want):], want) {
		t.Errorf("the trail holds %q", got)
	}
	for _, want := range []string{"reject password_empty", "reject code_wrong", "reject password_wrong", "accept ok"} {
		if !slices.Contains(got[:4], want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// TestAWrongPasswordCountsByItsPacketInGrace: one that is sent to another node is counted once, and any other again, though
// with the right password it would be the same attempt.
func TestAWrongPasswordCountsByItsPacketInGrace(t *testing.T) {
	s := newSite(t, 2)
	nodes := []*radiustest.Client{
		radiustest.DialFrom(t, "127.0.0.6", s.address, realSecret), radiustest.DialFrom(t, "127.0.0.6", s.node(t), realSecret),
	}
	wrong, code := "falsch"+codeAt(s.now()), codeAt(s.now())
	again := nodes[0].Login("user0", wrong).Octets()
	for _, c := range nodes {
		c.Exchange(again)
	}
	for range otp.MaxWrongPasswords {
		nodes[0].Exchange(nodes[0].Login("user0", wrong).Octets())
	}
	for _, c := range nodes {
		c.Exchange(c.Login("user1", "geheim"+code).Octets())
	}
	want := slices.Concat(slices.Repeat([]string{"reject password_wrong"}, 1+otp.MaxWrongPasswords), []string{"reject code_used", "accept ok", "accept ok"})
	if got := s.reasons(t); !slices.Equal(got, want) {
		t.Errorf("the trail holds\n%q, want\n%q", got, want)
	}
}

// TestOneSeedOnTwoDevicesPassesOnce: whoever imports a list twice gives a person two devices that
// show the same codes. What was typed passes once all the same, whatever the client asks for.
func TestOneSeedOnTwoDevicesPassesOnce(t *testing.T) {
	s := newSite(t, 2)
	for i := range 2 {
		s.add(t, otp.NewDevice{Account: accountID(i), Seed: seed}, otp.NewDevice{Account: accountID(i), Seed: seed})
	}
	for i, c := range []struct{ from, password string }{{"127.0.0.1", ""}, {"127.0.0.2", "geheim"}} {
		gateway := radiustest.DialFrom(t, c.from, s.address, realSecret)
		name, typed := fmt.Sprintf("user%d", i), c.password+codeAt(s.now())
		for range 5 { // more often than there are devices
			gateway.Exchange(gateway.Login(name, typed).Octets())
		}
		want := append([]string{"accept ok"}, slices.Repeat([]string{"reject code_used"}, 4)...)
		if got := s.reasons(t)[5*i:]; !slices.Equal(got, want) {
			t.Errorf("%s with %q: %q", name, typed, got)
		}
	}
}

// TestOneCodeFromManyGatewaysHasOneWinner: all of them send the right code at the same time, each
// in a packet of its own, to two nodes.
func TestOneCodeFromManyGatewaysHasOneWinner(t *testing.T) {
	s := newSite(t, 1)
	addresses := []string{s.address, s.node(t)}
	var accepted atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		c := radiustest.Dial(t, addresses[i%2], realSecret)
		wg.Go(func() {
			r, err := c.Try(c.Login("user0", codeAt(s.now())).Octets(), radiustest.Patience)
			if err != nil {
				t.Error(err)
			} else if r.Is(probe.AccessAccept) {
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	if accepted.Load() != 1 {
		t.Errorf("%d logins with one code", accepted.Load())
	}
}

// BenchmarkRealLogin is the ordinary path with nothing fake, over loopback: accounts and devices
// known, claims on disk, 64 logins under way at a time. The generator runs on the same cores.
func BenchmarkRealLogin(b *testing.B) {
	const accounts, gateways = 2000, 64
	s := newSite(b, accounts)
	var clients []*radiustest.Client
	for range gateways {
		clients = append(clients, radiustest.Dial(b, s.address, realSecret))
	}
	refused := 0
	round := func(n int) { // every account logs in once with the code of this step
		var wg sync.WaitGroup
		var mu sync.Mutex
		var next atomic.Int64
		code := codeAt(s.now())
		for _, c := range clients {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					r, err := c.Try(c.Login(fmt.Sprintf("user%d", i-1), code).Octets(), radiustest.Patience)
					if err != nil || !r.Is(probe.AccessAccept) {
						mu.Lock()
						refused++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		s.seconds.Add(int64(period.Seconds()))
	}
	round(accounts)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= accounts {
		round(min(left, accounts))
	}
	if refused > 0 {
		b.Errorf("%d logins were refused", refused)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}
