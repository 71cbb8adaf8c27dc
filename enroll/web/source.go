package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// Sources tells where requests come from.
type Sources struct {
	Proxies []netip.Prefix // whose X-Forwarded-For is believed
}

// Of returns the address that a request came from: the peer's, or, if that is a trusted proxy,
// the last address in X-Forwarded-For that is not one. A proxy appends the address that it saw,
// so everything before that is the client's own claim.
func (s Sources) Of(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	source := at.Addr().Unmap().WithZone("")
	if !s.trusted(source) {
		return source
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // the proxy wrote nothing that we understand: its own address will do
		}
		if source = hop; !s.trusted(hop) {
			break
		}
	}
	return source
}

// parseHop reads an address with or without a port, as proxies write them.
func parseHop(text string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap().WithZone(""), err
}

func (s Sources) trusted(a netip.Addr) bool {
	for _, p := range s.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Neighbourhood is what one subscriber has at least: the address itself in IPv4, the /64 around
// it in IPv6 (RFC 6177 section 2). Limits count it as one.
func Neighbourhood(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
