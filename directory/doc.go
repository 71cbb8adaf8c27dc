// Package directory finds accounts in the directories that an organisation already runs, and asks
// them whether a password is right.
//
//	name ──► route ──────► cache ─── fresh ──────────────────────────► Account
//	         realm,          │ not fresh: one question for all who wait
//	         RFC 8265        ▼
//	                       source ── LDAP servers: filter ► shared connections ► entry ► groups
//	                         │       LDIF file: index ► entry ► groups
//	                         └─ unavailable: the old account, within Stale
//
//	Account and password ──► a connection of its own ──► bind ──► nil, or why not
//
// # Invariants
//
//  1. Nobody is let in on a guess: two entries for one name are [ErrAmbiguous], an entry without an
//     immutable id is no account, and a server that cannot tell is [ErrUnavailable], never
//     [ErrNotFound].
//  2. Filters are made in one function, which escapes each value once ([anyOf]).
//  3. Everything that waits ends with its context: connecting, TLS, binding, searching, waiting for
//     somebody else to connect. go-ldap has no such deadlines of its own; see [await].
//  4. A password is sent to a server that the configuration's certificates vouch for, if TLS is
//     configured at all, and never when it is empty. StartTLS that is refused is a failure.
//  5. One directory that hangs holds up nobody who wants another.
//  6. Nothing about passwords is remembered, and none is in an error or in the log. An attribute that
//     holds passwords or keys is not read, even if the configuration asks for it ([HoldsSecret]).
//  7. What is not known is never taken for what is not there: an account of which not all groups are
//     known says so ([Account.GroupsCut]).
//
// # Servers
//
// The servers of one directory are taken to have the same content, and are tried in the order of
// the configuration; one that failed comes last for [penalty]. The time of a request is divided
// between the attempts that are left, so that a server that hangs costs a part of it. All look-ups
// of a directory share [searchConnections] connections, because one carries many searches at once. One that has lived for
// [connectionLife] goes when there is another, and whoever connects holds up nobody who can have the other one;
// a bind changes whose connection it is, so passwords are checked on others, [maxBinders] at most.
// Referrals and continuations are not followed.
//
// An account without groups is one search. While [ownSearches] are under way, lookups by name wait and
// go together in one, [sharedLookups] at most ([gatherer]): which entry is whose is told from its values,
// for names for which servers have no looser idea than we of what is equal. An entry that may fit other names
// than it seems to, more entries than a server tells, or an error of one that was reached, unless it is busy or
// unavailable, has each asked for alone, and all for [apartFor]. [Set.FindAll] does the same for many at once, and tells together what came together ([crowd]); of each
// directory [searchesAtOnce] such searches are under way. [Set.IDs] asks for [idsAtOnce] names in one search.
//
// # What is remembered
//
// An account is used without asking for Fresh, or up to a quarter less, and trusted for Stale while its directory is
// unavailable; one look-up every [probeEvery] then waits for the directory, and the others do not. The first after
// a failure waits as well: it may have been that one account, of which the directory cannot tell.
// That nobody has a name is remembered for [missingLife] at most, or Fresh if it is shorter, apart
// from the accounts and for [missingSize] names, so that guessing pushes nobody out. Accounts are
// [Options.CacheSize] at most; texts and lists of groups that they have in common are there once
// ([memory]). [Set.FindAllKnown] looks many up together, because what that costs among many accounts is how often it
// waits for memory ([otpgate/otp/recall]). A new set takes the memory of the one before over, of every directory that is
// asked the same of the same servers. [Set.FindMail] and [Set.Authenticate] always ask.
//
// # Files
//
// A directory from a file behaves as a server with the same entries would: directorytest holds
// both to it. It is read once. An entry without entryUUID gets an id made of the directory's name
// and its own, which lasts until either is renamed. It holds passwords in plain text or as {SSHA},
// {SSHA256}, {SSHA384} and {SSHA512}; others are an error, rather than accounts that cannot log in.
//
// # Divergences
//
//   - RFC 8265 section 3.1: leading, trailing and repeated spaces between the parts of a name are
//     left out, as LDAP does (RFC 4518 section 2.6.1), rather than refused.
//   - RFC 7542 section 2.2: what follows an @ is a realm only if it is configured; otherwise it is
//     part of the name, which may be a mail address. Of DOMAIN\name@realm, the realm counts.
//   - RFC 4513 section 5.1.2 lets an empty password succeed: refused before the bind, as is one that
//     begins with NUL, which some servers take for empty.
//   - RFC 4511 section 4.1.10: referrals are ignored.
//
// # Decisions
//
//   - An account is told apart by entryUUID (RFC 4530), and is disabled by pwdAccountLockedTime 000001010000Z, as
//     OpenLDAP has both: that is the server that the tests have. An entry without the first is no account, on Active
//     Directory every one; and whoever is disabled by another attribute (nsAccountLock, userAccountControl,
//     accountExpires, shadowExpire) is kept out by the bind alone, where there is one.
//   - Groups are walked upward from the account, a search for each level, rather than by memberOf:
//     OpenLDAP has no memberOf unless an overlay keeps it, and then only for the direct groups.
//   - [Set.FindMail] is unavailable when any directory is: the address might belong to somebody
//     in that one, too.
//   - Constraint violation and unwilling-to-perform count as a refused password: it is how 389
//     Directory Server answers for accounts that are locked.
//   - LDIF is read by a reader of our own: go-ldap/ldif does not say on which line something is
//     wrong, refuses empty values, and reads any file that an LDIF names.
package directory
