// Package redisstore keeps devices, claims, tickets and notes in Redis, which any number of nodes share:
// standalone, Sentinel or Cluster.
//
//	Claim(batch) ─► one pipeline ─► script calls ─► WAIT, if wanted ─► receipts in order
//	                    │               │
//	                    │               └─ one for many plain claims, one for each other: see bundle
//	                    │                  a claim reads and writes one hash, atomically
//	                    └─ no answer, or one that is no answer: ErrUnavailable, nobody gets in
//
//	which server     standalone: the address    Sentinel: sentinels.ask    Cluster: one pipeline for each master
//
// # Keys
//
//	<prefix>{<account>}:a      hash: all there is about an account
//	<prefix>{<account>}:t<n>   string: the ticket of kind n; expires by itself 30 days after its expiry
//	<prefix>{<key>}:n:<kind>   hash: the notes of a key and kind; expires by itself 30 days after the
//	                           latest of their expiries
//	<prefix>keyset             string: fingerprint of the keyset
//	<prefix>ping               string: written by Ping
//
// <account> is the id with every octet but letters, digits, "-", "_" and "." written as %XX, so
// that it cannot leave its hash tag; ids whose text would be longer than 200 octets become
// ~ and their SHA-256. The key and the kind of notes are written the same way. All keys of an account
// are in one slot. Fields of the hash:
//
//	v          version: no less than the time of the last enrollment or removal in seconds, so that a Redis that was
//	           lost, or has old accounts back, tells none again that a node may remember with other devices; a
//	           login that changes the drift adds one
//	d<device>  what enrollment fixed, then the label
//	s<device>  sealed seed, its first 64 octets
//	S<device>  the others, if any
//	u<device>  last step, last use, drift, floor of wrong steps
//	w<device>  steps with wrong passwords, and the tokens that were counted
//	t          tokens answered Claimed, with time and device
//	p          known places, the one used longest ago first
//	x, x<place> wrong codes: of all others; of a known place
//	c          challenges: wrong codes, whether it is spent, the last token, when; there once one was used
//	m          steps that may be shared: place, when, how often, device; there once one was
//
// While every value has at most 64 octets, Redis keeps the hash as one list: 338 to 424 octets for
// an account with one device. Two logins within half a minute make one value longer, and the hash a table for good:
// 863 octets, or some 490 with hash-max-listpack-value 128.
//
// # The least that a Redis user needs
//
//	user otpgate on >PASSWORD ~otpgate:* resetchannels -@all +evalsha +script|load +hgetall
//	     +hmget +hget +hset +hdel +hkeys +hexists +hincrby +hlen +pttl +pexpire +get +set +setnx
//	     +del +time +config|get +info +role
//
// with [Options.MinReplicas] +wait besides, and in a cluster +cluster|slots +command +asking.
//
// # Invariants
//
//  1. A script decides by its arguments and its keys alone; its clock serves to throw away tickets and
//     notes that nobody asks for any more, and nothing else.
//  2. Only calls that may run twice are repeated by the library after a lost reply, and only when the connection
//     broke: a server that is slow would have twice as much to do.
//  3. A server that may evict keys is refused, at every new connection and at every Ping: an
//     evicted account would accept its used steps again.
//  4. No call outlives its context, nor three times [Options.Timeout].
//  5. With [Options.MinReplicas] nothing is reported that so many replicas have not confirmed, neither by
//     the call that wrote it nor by one that finds it written: a claim that is Claimed again is written again, and so
//     is the version of an account whose device is there already, or is gone.
//  6. A batch does not wait for a master of a cluster that did not answer the last time, nor for longer than
//     half of [Options.Timeout] when another has answered.
//
// # When a master is gone
//
// All sentinels are asked, and listened to, at once: one that is gone with its machine is not waited for, unless the
// others know less than was told before. The highest configuration epoch counts, and every connection to another server is closed at once, so that what
// waits there for an answer asks the new master, and a master that comes back is not asked any more. A server
// that was said to be the master and calls itself a replica is not used.
//
// Sentinels that tell of an older configuration have missed a failover, or were told anew (SENTINEL REMOVE and
// MONITOR). Those that have not answered yet are waited for then, once, and a lower epoch counts only when all that are
// listed tell one. While they are at variance for longer, that is a concern of [Store.Concerns].
//
// In a cluster, a master that does not answer has the others asked for who is in its place. Only the accounts
// that it keeps go without an answer meanwhile, provided that Redis has cluster-require-full-coverage no.
//
// While a slot is on its way from one master to another (redis-cli --cluster reshard), what servers say about it (MOVED,
// ASK) is followed at once, also to a master that had no slot before.
//
// # What Redis cannot promise
//
// A claim is as durable as Redis makes it, and so are the removal of a device and the end of a ticket:
// what Redis forgets is a used code, a revoked device or a spent invitation that is good again.
//
//	appendonly no           everything since the last snapshot is forgotten by a crash: minutes, as
//	                        Redis is shipped; all of it when there are no snapshots either
//	appendfsync everysec    a power failure takes the last second; a killed server nothing
//	appendfsync always      nothing that was answered
//	a failover              what the new master had not been told: replication is asynchronous
//	a master cut off        what it takes while its replica is the master already, from nodes that it is
//	                        not cut off from
//
// So: appendonly yes on every server, appendfsync always if the disk allows it, and where there are
// replicas min-replicas-to-write 1 with min-replicas-max-lag of a few seconds, which bounds what a
// failover takes along to that lag. [Options.MinReplicas] (store.redis.min_replicas) makes it nothing when the
// master is gone, unless all that have confirmed are gone with it: of those that are left, Sentinel (of one
// replica-priority) and Cluster take the one that has most. A master that lives on, cut off or taken for gone, is another thing: until the sentinels
// have told its nodes, a replica that was not moved to the new one yet may confirm what it takes. As many as there
// are replicas leaves none that could: at the price that nobody gets in while one is away. While fewer
// replicas are there, nobody gets in: so 1 goes with two replicas, or a failover is over only when a second server is
// back. And it goes with sentinels whose down-after-milliseconds is more than
// 1000, which is how often they ask a server: with less they may take the master that they have just made for gone
// too, and the only replica in its place, which nobody copies until they look again, ten seconds later. It is a
// concern of [Store.Concerns] while one has less; one that does not answer any more counts with what it said last, until
// the node is restarted without it.
//
// Each pipeline ends with a WAIT; what is not confirmed within four fifths of the timeout is not reported, and the
// gateway's next try finds out what became of it.
// WAIT says that replicas have it in memory; all of them with the master at once lose what their disks lack.
//
// A server that is configured otherwise is used all the same, with a warning in the log and in
// [Store.Concerns], so that a trial starts on Redis as it is shipped, and nobody is shut out because an
// append-only file was switched off. Only eviction is refused: it takes accounts while all is well.
//
// # Decisions
//
//   - A new connection asks once, for half a kilobyte of answers: whether the server may evict, with sentinels whether it is
//     a replica, and that it has the scripts, which are 19 KB the other way. Where CONFIG GET is forbidden it asks once more,
//     for a section of INFO. All else is asked at a Ping. With three kilobytes, as many connections as are closed when answers come too late kept a narrow line full by
//     themselves, and nobody got in until people stopped trying.
//   - Scripts are loaded with every connection, so that a batch does not meet NOSCRIPT halfway. One that
//     does (SCRIPT FLUSH) runs the refused calls again, after those that were not refused.
//   - Plain claims, of a code and nothing besides, share a call, which spares Redis and the node what a call costs
//     by itself. One that fails there fails alone, and as text: the library leaves a list where it finds an error in
//     it that has a type of its own, and takes what is left of it for the replies to the next commands. In a cluster no
//     call may concern accounts of two slots; a server of a cluster that is addressed as if it were none refuses the
//     first such call (CROSSSLOT), and gets no other. A proxy that spreads keys over servers is none of ours.
//   - Digests of tickets are compared in the script, not in constant time: whoever could measure that
//     talks to Redis already, and they are HMACs.
package redisstore
