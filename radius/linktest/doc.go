// Package linktest is a bad link for tests: a UDP path between gateways and a server that loses
// datagrams, brings some twice, lets some wait so that others overtake them, and brings copies long after
// everybody has forgotten them.
//
//	gateways ──► front ──► fate ──► queue by time ──► a port for each gateway ──► server
//	    ▲                                                        │
//	    └──── queue by time ◄──── fate ◄──────────────────────────┘
//
// What becomes of a datagram is decided by the seed, the gateway's place among all, the direction, and how
// many went that way before: the same traffic suffers the same faults. Each gateway's port has one of its
// own towards the server, so a server sees as many sources as there are.
//
// It is bounded: so many ports, so many datagrams under way. What is too much is lost, and counted. It
// knows nothing of RADIUS.
package linktest
