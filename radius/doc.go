// Package radius answers RADIUS logins and accounting over UDP and TLS: it decides who is asked about a
// login, in which order, and what the gateway is told. What a code is worth it leaves to package
// otp, who somebody is to package directory.
//
//	socket ─batch─┐                                                      (one goroutine a socket)
//	radsec ─reads─┴► reader: client ► age ► admission ► duplicates ► slot (one a connection)
//	                   │ discard        │ resend, drop, Status-Server
//	                   ▼                ├──────────► reports: keep ► acknowledge ► note the session
//	login ◄─batch── attempts ◄──────────┘                                (one goroutine a batch)
//	  recall: FindAllKnown, Codes.Expect, for all at once              (what comes meanwhile it gets from the reader)
//	  prepare ─┬─ decided ──────────────────────────────┐
//	           ├─ walked ──► Codes.Settle, all at once ─┤
//	           ├─ to be sought ► FindAll ► found: decided, walked, or to be loaded (one a search)
//	           ├─ to be loaded ► WalkAll, Settle ───────┤                (one goroutine a batch)
//	           └─ must wait ► loginAlone ───────────────┤                (one goroutine each)
//	                  code:             devices, walk, claim: what could not be done with others
//	                  password+code:    walk, bind, claim
//	                  password, code:   devices, turn, back-off, bind ► challenge
//	                  password:         turn, back-off, bind, place
//	  finish ◄──────────────────────────────────────────┘
//	  record ► count ► log ► seal ─┬─ accept, challenge ─► transport
//	                               └─ refusal, wrong code ─► delay, until due ─► transport
//
// What surrounds the server has packages of its own: [otpgate/radius/radsec] carries packets over TLS,
// [otpgate/radius/proof] knows PAP, CHAP and MS-CHAPv2, [otpgate/radius/challenge] seals State,
// [otpgate/radius/reply] and [otpgate/radius/dictionary] make attributes of groups,
// [otpgate/radius/session] reads accounting, [otpgate/radius/posture] learns who signs,
// [otpgate/radius/overload] says who is turned away, [otpgate/radius/postmark] when a datagram came in,
// [otpgate/radius/pace] holds a reader back for less than a millisecond,
// [otpgate/radius/duplicates], [otpgate/radius/delay], [otpgate/radius/hours], [otpgate/radius/turns]
// and [otpgate/radius/quiet] are what they are called.
//
// # Invariants
//
//  1. The zero decision is no reply. One statement lets somebody in (decide), and the trail is
//     written before the reply is.
//  2. Every packet ends in exactly one counter: discarded, duplicates, Status-Server, attempts,
//     accounting. A panic ends one attempt, as a drop, or one packet, as discarded.
//  3. Nothing in a packet is believed or remembered before its sender is a client and its
//     Message-Authenticator is right. Until then nothing is answered or started, and nothing allocated but for
//     the name of a login through a client whose logins are mostly in vain.
//  4. Nobody waits for somebody else's directory: what is claimed together needs no peer but the
//     store, or was found by one search of one directory, or loaded by one call of the store. Attempts that wait for a peer take at most half of the slots. The last eighth of the
//     slots is for those who answer a challenge (RFC 5080 section 2.2.3). Accounting has slots of its own.
//     One client's attempts leave a quarter to others, and those of one that are in vain nearly all: see package overload.
//  5. All refusals by one method look the same: the same attributes, the same time after arrival, or, when
//     a peer took longer than that to say no, the next multiple of it. The wait is spent in a timer, not
//     in a slot. Another challenge after a wrong code waits as long.
//  6. A reply leaves from the address that the request came to, and is not sent once its
//     Identifier was given to another request.
//  7. What is kept for strangers is of fixed size (log limits); what is kept for clients is bounded:
//     slots, remembered requests, waiting refusals, connections and what each has under way.
//  8. What nobody waits for any more uses up nobody's step: a datagram that has been in the kernel for longer
//     than its gateway waits is discarded before anything is done about it, an attempt that has become as
//     old is dropped before its claim, and one that would become as old at the pace at which peers answer is
//     turned away when it comes.
//  9. Everything that can block has an end: an attempt its budget (less where a gateway gives up
//     sooner), the trail half a second, a write to a full send buffer 127 ms (one more for what a batch has left), the
//     shutdown its context.
//  10. The attributes that an accept grants are made before the code is claimed, and an attempt whose
//     attributes cannot be made is refused: a right must not get lost on the way, nor a code.
//  11. Where groups decide against somebody (deny_groups, attributes by group), one whose groups are not all
//     known is refused.
//  12. An Accounting-Request is answered when it is on disk, and not before.
//
// # A challenge
//
// After a right password the gateway gets a State that any node can open: it names the challenge, when and
// where the password was right, and is bound to client and account. No node remembers it. What was
// answered to it the store counts, by the number of the challenge: three wrong codes spend it, a right one
// does, and an old State that is sent again does not bring it back. Each State lives two minutes, the
// challenge six. The place of the password counts, so that Calling-Station-Id need not come again.
//
// # Without Message-Authenticator
//
// Most gateways in the field send none with a password. From such a client anybody who can forge its
// address can send logins, so what they say is worth less:
//
//   - a User-Password that does not decrypt to what people type for this kind of login is refused as
//     proof_garbled: it counts against the client, in the metrics, and not against the account. (Of random
//     octets none looks like a code, one in a hundred like a password.)
//   - CHAP and MS-CHAPv2 responses are not encrypted, so they cannot be told from made-up ones: an
//     attacker who can forge the address can make an account's place wait. It gets nobody in.
//   - Proxy-State is what CVE-2024-3596 needs, and is let in by accept_unsigned_proxy_state only.
//
// # Places
//
// Wrong codes slow down the place that they come from, which is the client's name and the
// Calling-Station-Id as the gateway sends it (otp.Place). The person at the place where she logged in
// before does not wait for a stranger elsewhere, as long as the gateway tells them apart:
//
//   - without Calling-Station-Id all attempts through the gateway are one place, and a stranger's
//     guesses make the account's owner wait there. A log line says so, once a day for each client;
//   - with a port or a session number in it every attempt is a new place, and shares its wait
//     with all places that are new to the account.
//
// # What shows while a peer is down
//
// Who cannot tell does not say no, and what needs no peer is decided as ever.
// So silence beside refusals tells something during an outage:
//
//   - of the directory, with password+code: a wrong code is refused, and one that was used; a right one gets no reply;
//   - of the directory: accounts that the node knows are answered, others are not;
//   - of the store: an account that is unknown, disabled, not in the group or known to have no
//     device is refused, any other gets no reply.
//
// The first could be hidden only by asking the directory about wrong codes too, and then strangers
// could load it all day. Remembering that it failed hides nothing: only a right code asks it, so the
// first failure tells. What it tells is a code that ends within minutes, at the pace of the back-off,
// which goes on counting; and while the directory is down it opens
// nothing that asks for a password.
//
// # Divergences
//
//   - RFC 2865 section 3: a packet with an invalid Response or Request Authenticator cannot be told
//     from a good one without Message-Authenticator, so that is required unless a client is
//     configured otherwise (CVE-2024-3596; draft-ietf-radext-deprecating-radius section 5.2).
//   - RFC 2865 section 4.1: a packet with more than one of User-Password, CHAP-Password and
//     MS-CHAP responses is refused; a repeated User-Name, User-Password or State is discarded
//     (section 5.44 allows one of each).
//   - RFC 2865 section 5.2: a password with a NUL inside is refused. The padding cannot be told from
//     NULs at the end, so these are never part of a password.
//   - RFC 2865 section 5.24, RFC 5080 section 2.1.1: a State that we did not give out is refused, also
//     where nothing is ever asked: it belongs to another server's conversation.
//   - RFC 2548: MS-CHAPv1 is refused: what a code proves by it can be found out by anybody. A refusal of
//     MS-CHAPv2 carries MS-CHAP-Error 691 whatever the reason.
//   - RFC 3579: EAP is refused, not discarded, so that a gateway does not take us for dead. The refusal
//     carries no EAP-Message.
//   - RFC 2866 section 4.1: an Acct-Status-Type that we do not know is recorded and acknowledged.
//   - RFC 2869 section 5.14: an Accounting-Response carries no Message-Authenticator. One in an
//     Accounting-Request is verified over a zero Request Authenticator, as FreeRADIUS makes it.
//   - RFC 5080 section 2.2.2: requests are remembered for 30 s from their arrival, not from their
//     reply. The same authenticator with other octets is another request, not a duplicate. A copy that
//     comes when those 30 s are over, to this node or another, carries a code that was used: it is
//     refused, and nobody is let in by it. The known gateways send for the last time within 15 s.
//   - RFC 5997 section 4.2: Status-Server is answered anew each time; it changes nothing.
//   - RFC 6614 section 2.3: over TLS a packet without Message-Authenticator is taken; one that is
//     there is verified, with the secret "radsec".
//   - RFC 6929: extended attributes are passed over.
//
// # Decisions
//
//   - 2026-11: packets are read and made from octets. layeh.com/radius is what tests hold that against, and
//     has MS-CHAP: its server has no reply cache, no Message-Authenticator, no bound on goroutines, and
//     answers from the wrong address; its codec makes an object of each attribute.
//   - 2026-11: User-Password is revealed here, because layeh.UserPassword cuts at the first NUL:
//     many passwords would be taken for one.
//   - 2026-11: a batch stays together from recvmmsg to sendmmsg. Measured on two cores, one pipelined
//     store call a batch costs 40 % less CPU than a call a packet. What comes while a batch
//     is being claimed waits in the kernel, for 8 ms at most, and is the next batch; after a small one, whose few logins
//     pay for all that a batch costs, it waits for up to 0.7 ms first. A store that is slower than that holds nobody
//     up for longer: who comes later is claimed beside. What comes while the first of a batch are looked at belongs to
//     it too, and replies leave 16 at a time, so that there is something to come: with 64 outstanding, a batch is some
//     60 logins and not 30. The reader itself looks at nothing: that takes milliseconds where accounts have many
//     devices, and others would wait for it.
//   - 2026-11: what one search of a directory has answered goes on as a batch, devices loaded in one round trip.
//     One by one, a login that needs a search took 2.5 times the node's CPU, and Redis' as well. Each attempt keeps
//     its own patience; what cannot go on with the others goes alone.
//   - 2026-11: attempts, and all that a batch is made into, are used again, so that a login allocates 14 times
//     and 1.3 KB instead of 50 times and 4.4 KB (BenchmarkWhole). An attempt goes back in one place only, the
//     end of finish or abandon, and is cleared there: with it goes the password.
//   - 2026-11: recvmmsg without golang.org/x/net, which makes an address of each sender before anybody knows
//     whether it is a client's. Its ReadBatch stays for other systems.
//   - 2026-11: the line of a login goes to the log's handler without its place in the source, which costs as
//     much as half of the line.
//   - 2026-11: one mutex for remembered requests: the time goes into the memory, not into the lock. They are in
//     a slab without pointers, because the collector followed a list of a quarter of a million.
//   - 2026-11: refusals that do not fit the queue are not answered. Sending them early would be
//     an oracle and lift the brake on guessing; keeping good logins out would be worse.
//   - 2026-11: wrong codes are refused while the directory is down, rather than dropped: see above.
//   - 2026-11: writes do not wait in the kernel: asking it not to costs nothing where there is room, a
//     deadline for each write would cost a timer.
//   - 2026-11: what cannot be a packet is not filtered in the kernel (SO_ATTACH_FILTER): discarding it costs 3 us,
//     its reading included; who is misconfigured would see nothing, and what comes in well-formed costs as much.
//   - 2026-11: a client whose logins are in vain is held back before anything is computed. Of a flood of unknown
//     names in authentic packets each had cost 14 us and a search; logins beside it waited for 3 s.
//   - 2026-11: under overload the newest are turned away, and not the oldest: a gateway that has waited for a while
//     has got further up the queue than one that asks again.
//   - 2026-11: what a relaxation lets in is said in log, trail and metrics by the relaxation's key. With
//     failover_grace the claim's token is made of account, proof, client and Calling-Station-Id instead
//     of the packet, so that the store needs to know nothing of it. A wrong password is counted by its packet.
//     The price: at another node a retransmission is the same attempt for as long as the grace, not for 30 s.
//   - 2026-11: where the password comes first, the back-off of the place is asked before the directory
//     is, and passwords of one account are checked one after the other, each packet with a wrong one
//     counts as a wrong code, and accounts without devices are not asked about: a stranger's guesses
//     must not lock accounts in the directory, nor fill its connections. One node's turns do not hold for
//     another, so a burst at n nodes may try n times as many.
//   - 2026-11: with password+code the store is asked before the directory whether it would take the code: one round trip
//     more beside a bind. Else whoever has a code of the last minutes, used or not, could try as many passwords with
//     it as the directory takes. Two of an account are checked at a time, so that one that hangs does not keep
//     its owner's next try waiting: a burst tries one more than a step allows.
//   - 2026-11: accounts that need no code are asked for their password by the same path. A right one makes
//     its place known, as a code does; it does not end the wait that unknown places share when the
//     account has a device, because that wait guards codes too.
package radius
