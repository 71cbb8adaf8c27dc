package main

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

// reachable reports whether an address may be loaded without --i-own-this-network: it is of this machine's
// loopback, or on the link of a network namespace from which nothing gets out.
func reachable(a netip.Addr) bool {
	if a.Unmap().IsLoopback() {
		return true
	}
	return ownNamespace() && !hasDefaultRoute() && onLink(a)
}

// ownNamespace reports whether the process is in another network namespace than the first process. When it
// cannot tell, it is not.
func ownNamespace() bool {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	first, err := os.Readlink("/proc/1/ns/net")
	return err == nil && ours != first
}

// hasDefaultRoute reports whether packets can leave by a gateway. When it cannot tell, they can.
func hasDefaultRoute() bool {
	four, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(four)) {
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" {
			return true
		}
	}
	six, err := os.ReadFile("/proc/net/ipv6_route")
	if err != nil {
		return !os.IsNotExist(err)
	}
	for line := range strings.Lines(string(six)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[0] == strings.Repeat("0", 32) && f[1] == "00" && f[9] != "lo" {
			return true
		}
	}
	return false
}

// onLink reports whether an address is in a network of an interface.
func onLink(a netip.Addr) bool {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, n := range networks {
		p, err := netip.ParsePrefix(n.String())
		if err == nil && p.Masked().Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
