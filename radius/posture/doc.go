// Package posture learns which clients always send Message-Authenticator, over all nodes and restarts, so
// that it can be required of them (CVE-2024-3596) without locking out a gateway that does not send it.
//
//	packet ─► Client.Count ─(atomic)─► Flush, every 10 s ─► note (client, node) ─┐
//	                                     │  ▲                                    ├─► the sum: proven?
//	                                     │  └── the notes of all nodes ◄─────────┘       │
//	                                     └────────────────────────────────► note "proven", a year
//
// A client is proven when since its first packet, or the last one without the attribute,
//
//   - at least [ProvenPackets] came with it,
//   - nodes have been watching for at least [ProvenTime], and
//   - on as many different days of that time as it has, one came.
//
// # Invariants
//
//   - Counting takes no lock and allocates nothing.
//   - One packet without the attribute starts everything anew, on all nodes: it raises the client's epoch, and
//     what was counted in an older epoch proves nothing. What a node counted between two calls of Flush of
//     which one found such a packet counts for nothing either.
//   - What is proven stays proven, whatever packets come: who can forge the sender's address could take it
//     back otherwise. Only Forget does.
//   - Whether it is proven is not known until the store was read once. Until then a client to be learnt
//     is taken for proven. So a node that starts while its store is down does not accept what the
//     cluster has stopped accepting; no login would pass then anyway, since none can be claimed.
//   - A note that cannot be read proves nobody: it might tell of a packet without the attribute.
//
// # Time
//
// Nodes watch while they call Flush: the time from one call to the next counts, if it is not more than
// [MaxStep]. So a clock that jumps, ahead or back, adds at most that once, whatever it says
// afterwards, and time in which nobody watched is no evidence. All nodes share the longest time that one of
// them has watched, as they would share a clock, so that nodes may come and go.
//
// A clock that is a year ahead when a node starts makes its notes expire: what was proven is to be proven
// again. No code would be right at such a time.
//
// # Who can meddle
//
// Whoever can forge the address of a client can send packets without the attribute, and so keep a client
// from ever being proven; that shows in the summary. He can prove nothing: what counts was verified with
// the secret.
//
// # What is lost
//
// A node that crashes loses what it counted since the last Flush: ten seconds, in which there may have
// been a packet without the attribute. So does a node that cannot reach the store for as long as that
// lasts, if the others prove the client meanwhile. A store that lost its notes gets "proven" back from any node
// that runs. Node names should outlive restarts: what a name has counted that never comes back is
// forgotten after 100 days, and a client has room for 63 names.
package posture
