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

// ownNamespace reports whether the process is in another network namespace than one of those that it
// comes from, up to the first process. When it cannot tell, it is not.
func ownNamespace() bool {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	for process, generations := "self", 0; process != "0" && generations < 100; generations++ {
		if theirs, err := os.Readlink("/proc/" + process + "/ns/net"); err == nil && theirs != ours {
			return true
		}
		process = parent(process)
	}
	return false
}

// parent is the number of the process that a process comes from; "0" when there is none.
func parent(process string) string {
	status, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return "0"
	}
	for line := range strings.Lines(string(status)) {
		if number, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strings.TrimSpace(number)
		}
	}
	return "0"
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
