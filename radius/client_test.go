package radius

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"otpgate/otp"
	"otpgate/radius/probe"
	"otpgate/radius/quiet"
)

func TestLongestPrefixFindsTheClient(t *testing.T) {
	secret := []byte("s")
	clients := []Client{
		{Name: "wide", Networks: prefixes("10.0.0.0/8", "2001:db8::/32"), Secret: secret},
		{Name: "narrow", Networks: prefixes("10.1.0.0/16"), Secret: secret},
		{Name: "host", Networks: prefixes("10.1.2.3/32", "2001:db8:1::5/128"), Secret: secret},
		{Name: "site", Networks: prefixes("2001:db8:1::/48", "10.1.3.77/24"), Secret: secret},
		{Name: "mapped", Networks: prefixes("::ffff:172.16.0.0/108"), Secret: secret},
		{Name: "local", Networks: prefixes("fe80::/10"), Secret: secret},
	}
	w := newWorld(t, func(o *Options, _ *world) { o.Clients = clients })
	for _, c := range []struct{ from, want string }{
		{"10.2.0.1", "wide"},
		{"10.1.0.1", "narrow"},
		{"10.1.2.3", "host"},
		{"10.1.2.4", "narrow"},
		{"10.1.3.1", "site"},
		{"::ffff:10.1.2.3", "host"},
		{"172.31.255.255", "mapped"},
		{"172.32.0.0", ""},
		{"11.0.0.1", ""},
		{"2001:db8:1::5", "host"},
		{"2001:db8:1::6", "site"},
		{"2001:db8:2::6", "wide"},
		{"2001:db9::1", ""},
		{"fe80::1%eth0", "local"},
		{"::1", ""},
	} {
		got := ""
		if k := w.table.Load().find(netip.MustParseAddr(c.from)); k != nil {
			got = k.Name
		}
		if got != c.want {
			t.Errorf("%s belongs to %q, want %q", c.from, got, c.want)
		}
	}
	if k := w.table.Load().find(netip.Addr{}); k != nil {
		t.Errorf("the zero address belongs to %q", k.Name)
	}
}

func TestClientsThatCannotBeAreAllReported(t *testing.T) {
	ok := Client{Name: "ok", Networks: prefixes("10.0.0.0/8"), Secret: []byte("s")}
	with := func(f func(*Client)) []Client {
		c := ok
		c.Name, c.Networks = "other", prefixes("11.0.0.0/8")
		f(&c)
		return []Client{ok, c}
	}
	for _, c := range []struct {
		name    string
		clients []Client
		want    string
	}{
		{"same prefix", with(func(c *Client) { c.Networks = prefixes("10.0.0.0/8") }), `network 10.0.0.0/8 belongs to client "ok" already`},
		{"same prefix, other spelling", with(func(c *Client) { c.Networks = prefixes("::ffff:10.9.9.9/104") }), `belongs to client "ok" already`},
		{"same prefix twice", with(func(c *Client) { c.Networks = prefixes("11.0.0.0/8", "11.1.0.0/8") }), `belongs to client "other" already`},
		{"same name", with(func(c *Client) { c.Name = "ok" }), "the name is used twice"},
		{"no name", with(func(c *Client) { c.Name = "" }), "the name is empty"},
		{"no secret", with(func(c *Client) { c.Secret = nil }), "the secret is empty"},
		{"no networks", with(func(c *Client) { c.Networks = nil }), "no networks"},
		{"no prefix", with(func(c *Client) { c.Networks = []netip.Prefix{{}} }), "not valid"},
		{"wide mapped", with(func(c *Client) { c.Networks = prefixes("::ffff:0:0/90") }), "wider than the v4-mapped"},
		{"policy", with(func(c *Client) { c.MessageAuthenticator = 7 }), "unknown message authenticator policy 7"},
		{"login", with(func(c *Client) { c.Login = 7 }), "unknown login 7"},
		{"shared with nobody", with(func(c *Client) { c.Share = otp.Share{Times: 1, Within: time.Minute} }), "a shared code is good for 2 to 50 logins"},
		{"shared less than never", with(func(c *Client) { c.Share = otp.Share{Times: -1, Within: time.Minute} }), "a shared code is good for 2 to 50 logins"},
		{"shared too often", with(func(c *Client) { c.Share = otp.Share{Times: otp.MaxShareTimes + 1, Within: time.Minute} }), "a shared code is good for 2 to 50 logins"},
		{"two at once", with(func(c *Client) { c.Login, c.Secret = 7, nil }), "unknown login 7"},
	} {
		w := newWorld(t)
		before := w.table.Load()
		err := w.SetClients(c.clients)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if w.table.Load() != before {
			t.Errorf("%s: the clients were replaced", c.name)
		}
		if _, err := New(Options{Listen: []string{"127.0.0.1:0"}, Clients: c.clients, Accounts: w.accounts, Codes: w.codes, Previews: w.codes, Factors: w.codes, States: w.states, Posture: w.posture, Audit: w.trail, Now: time.Now}); err == nil {
			t.Errorf("%s: New takes what SetClients refuses", c.name)
		}
	}
}

func TestClientsNeverPrintTheirSecret(t *testing.T) {
	c := Client{Name: "vpn", Networks: prefixes("10.0.0.0/8"), Secret: []byte(testSecret)}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, testSecret) || strings.Contains(text, fmt.Sprint(c.Secret)) {
			t.Errorf("%s prints %s", format, text)
		}
	}
}

func TestSecretsAreCopied(t *testing.T) {
	secret := []byte(testSecret)
	w := newWorld(t, func(o *Options, _ *world) {
		o.Clients = []Client{{Name: "vpn", Networks: prefixes("192.0.2.0/24"), Secret: secret}}
	})
	clear(secret)
	if got := w.feed("192.0.2.1:1000", goodLogin("alice", testCode)); len(got) != 1 {
		t.Errorf("%d replies after the caller's secret was wiped", len(got))
	}
}

// TestAGatewayThatTellsNoPlaceIsNamedOnceADay: whoever guesses through it slows down the person, so
// somebody should know; and a reload of the configuration is no new day.
func TestAGatewayThatTellsNoPlaceIsNamedOnceADay(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	w := newWorld(t, func(o *Options, _ *world) { o.Now = func() time.Time { return now } })
	placeless := func(from string) { w.feed(from, goodLogin("alice", testCode), goodLogin("mallory", testCode)) }
	said := func(what, client string, want int) {
		t.Helper()
		if n := strings.Count(w.logged.String(), `msg="attempts carry no Calling-Station-Id" component=radius client=`+client+" "); n != want {
			t.Errorf("%s: %s was named %d times, want %d", what, client, n, want)
		}
	}
	w.feed(fromVPN, probe.Login(testSecret, "alice", testCode).Add(probe.CallingStationID, "203.0.113.5").Octets())
	said("with a place", "vpn", 0)
	w.feed(fromVPN, probe.Flip(goodLogin("alice", testCode), 40*8), probe.NewRequest(probe.StatusServer, testSecret).Signed().Octets())
	said("not authentic, and no attempt", "vpn", 0)
	placeless(fromVPN)
	said("without a place", "vpn", 1)
	placeless(fromOld)
	said("another client", "old", 1)
	now = now.Add(quiet.Reminder - 1)
	if err := w.SetClients(testClients()); err != nil {
		t.Fatal(err)
	}
	placeless(fromVPN)
	said("within a day, after a reload", "vpn", 1)
	now = now.Add(1)
	placeless(fromVPN)
	said("after a day", "vpn", 2)
	said("the other one", "old", 1)
}
