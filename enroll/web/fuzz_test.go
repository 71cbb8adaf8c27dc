package web

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

// FuzzSource: whatever a header says, a request of a peer that is no proxy comes from that peer, and one of a proxy
// from an address without a zone.
func FuzzSource(f *testing.F) {
	f.Add("192.0.2.1:1", "10.0.0.1, 192.0.2.9")
	f.Add("10.0.0.1:1", "198.51.100.7, 10.0.0.2")
	f.Add("[fd00::1%eth0]:1", "[2001:db8::1]:443,for=x,,")
	f.Add("", "\x00")
	s := Sources{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header["X-Forwarded-For"] = []string{forwarded}
		got := s.Of(r)
		at, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got.IsValid() {
				t.Fatalf("%v of nobody", got)
			}
			return
		}
		own := at.Addr().Unmap().WithZone("")
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() || !s.trusted(own) && got != own {
			t.Fatalf("%v of %v", got, own)
		}
		if n := Neighbourhood(got); !n.Contains(got) {
			t.Fatalf("%v is not in %v", got, n)
		}
	})
}
