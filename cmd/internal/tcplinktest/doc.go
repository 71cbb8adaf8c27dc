// Package tcplinktest puts a TCP connection that goes bad between a node and a peer of it.
//
//	node ──► Link.Addr ──[ Fault ]──► peer
//
// The address stays the same whatever happens, and nobody else gets it: a node is configured with it once,
// and its connections break and heal as a network, a firewall or a peer breaks and heals them.
package tcplinktest
