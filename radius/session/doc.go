// Package session reads RADIUS accounting (RFC 2866) and keeps the sessions that are open, so that any
// node can say which ones an account has.
//
//	Accounting-Request ─► Read ─► Record ─► Book.Record ─┬─ Start, Interim-Update ─► note "session"
//	                                                     ├─ Stop ──────────────────► note "session_end"
//	                                                     └─ Accounting-On, -Off ───► note "session_restart"
//	                              Book.Open ◄── sessions, without those that have ended since
//
// This is a view and no record: the record is the audit trail, which is written before accounting is
// acknowledged. No login depends on it.
//
// # Invariants
//
//   - What a packet says is bounded and printable before it is kept, and a session is known by
//     client, gateway and Acct-Session-Id together: no client can touch what another one said.
//   - Packets are sane in any order, any number of times, on any nodes at once. An end is a note
//     of its own that Open looks at, so that a Start or an Interim-Update which was written at the
//     same time or comes late does not open the session again.
//   - A restart costs one note, however many sessions it ends; they are sorted out when somebody looks.
//   - An account has at most otp.MaxNotes open sessions; the one without a sign of life for longest
//     makes room. After 30 days without one a session is forgotten.
//
// # Decisions
//
// Order is that of Event-Timestamp, or else of arrival minus Acct-Delay-Time. A gateway's clock is
// believed up to 5 minutes ahead of ours and a day behind: one that starts in 1970 would end no
// session by restarting. Packets without a timestamp within a minute after the end of their
// session are taken for late ones.
//
// An Interim-Update more than a minute after a restart shows that its session outlived that: gateways
// that share a name, or that say Accounting-On when they are only configured, lose nothing.
//
// Divergence from RFC 2866 section 5.5: a packet without Acct-Session-Id is read, since the trail wants
// it, but it opens and ends nothing. Class is not looked at: it would be ours only if the gateway is honest.
package session
