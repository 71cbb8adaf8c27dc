// Package enroll gives accounts devices by e-mail, over HTTP, and shows people the pages they need.
//
//	POST /v1/enrollments ──► 202, always ─ ─ ► FindMail ──► code (HMAC in a ticket) ──► mail
//	POST /v1/devices ──► FindMail ──► code? ──► more needed? ──┬─► take ──► Devices.Add ──► retire ──► mail
//	   with public_key: 201                    (policy)        │    │ one winner
//	   without: 202, token, otpauth                            │    └──► audit
//	POST /v1/confirmations ──► token ──► first code? ──────────┘
//	POST /v1/links ──► 202, always ─ ─ ► FindMail ──► ticket ──► mail
//	POST /v1/sessions ──► link ──► take ──► session (sealed)
//	POST /v1/devices/list, remove, rename ──► session, or (not list) a proof of the device ──► mail
//	POST /v1/revocations ──► sealed token ──► Devices.Remove ──► mail
//	GET  /v1/time, /openapi.yaml, /, /app/, /devices, /revoke
//
// # Invariants
//
//  1. Whether an address is known shows in no status, body, header or time. A request for a mail
//     is answered at a fixed time after its arrival, the work goes on beside it; a refusal is
//     answered at a multiple of that time; 503 depends on whether directories and store are
//     there, never on the address.
//  2. The mail goes to the address that the directory holds, never to the one that was typed.
//  3. Codes, invitations and links are stored as HMACs bound to the account, with a number of tries
//     and an end. Every try of what people type is counted before it is judged.
//  4. A device is added after its code, and its invitation if there is one, were taken from the
//     store: of concurrent requests one wins. What is known to stand in the way (no room, a store or a
//     trail that is not there) is found before, and uses up neither. What fails after that leaves no
//     device, and costs both: a code can be requested again, an invitation is the help desk's to give.
//  5. All refusals of an enrollment are the same document, and so are all of a proof. Why is in the
//     audit trail, and, as far as it helps, in the mail.
//  6. GET changes nothing. What a link does, it does after a button was pressed: scanners of mail
//     follow links. What links and forms are given is behind the "#", so that it is in no server's log.
//  7. Whatever strangers can fill is bounded: connections (of one source, too), calls being worked on,
//     body, header, tables of limits, mails. Who is slow, sending or reading, holds a connection and no
//     more: a place in the work is taken when the body is there, and for no document.
//  8. What a new device takes the place of is removed after that is there and on record, never before.
//     Every device that goes by a link, a session or a proof is mailed about to its owner.
//  9. Each kind of sealed token is sealed for its purpose: none is taken for another.
//
// # What the app does
//
// The phone's key is agreed upon by [otpgate/enroll/agreement], which says in octets how, and holds
// vectors (testdata/vectors.json) to check another app with. In short:
//
//	GET  /v1/time                                   the clock's offset, before anything and at every opening
//	POST /v1/enrollments {email}                    a mail, whose link fills the form in:
//	                                                /app/#code=…&email=…&needs=device|invitation
//	fresh P-256 key pair; lock, if wanted           32 octets of WebAuthn's PRF, or the word webauthn
//	POST /v1/devices {email, code, label, public_key, lock?, confirmation?, retire?}
//	  ◄── device, account, public_key, digits, period, unix_ms
//	seed = HKDF(ECDH, lock or nothing, both keys, account, device, code)     a key that cannot be read
//	code = RFC 6238 by the server's time
//
// From then on the app needs no network. To tell the server that its device is to have another name,
// or to go, it signs with the same key: the proof is HMAC-SHA1 of the UTF-8 octets of
//
//	otpgate device proof v1 ⏎ remove|rename ⏎ account ⏎ device ⏎ at ⏎ detail
//
// without a line feed at the end; at is the server's time in Unix milliseconds, decimal, and the
// detail the new label as it is sent, or empty. Codes are made of messages of 8 octets (RFC 4226
// section 5.2), and this one is longer: no proof is a code, no code a proof, and the server refuses to
// check a shorter message ([otp.Devices.Signed]). A proof is good for two minutes around its time.
// Whoever hears one can make the same change again within them, and no other.
//
// agreement_test.go and removal_test.go are a client in Go; it and the browser do the same.
//
// # What a proxy that ends TLS could still do
//
// Whoever sits between phone and server with a certificate that the phone believes (a proxy of the
// company, a stolen certificate, a reverse proxy in front of us) is not kept out by the agreement: it
// can do whatever a browser can.
//
//   - While a phone enrolls it can take the phone's place: it sees the enrollment code and the lock,
//     agrees with the server by a key pair of its own, and with the phone by another. Then it has a
//     device, and the phone's codes are wrong, at the latest at the first login. That it is bound to
//     both public keys, the account, the device and the code keeps anybody from doing this later, from
//     recorded traffic, or without the code.
//   - It can change the script of the app on its way, and the next opening with a network runs what it
//     likes. That cannot read the key, which WebCrypto keeps, but have codes computed for as long as it
//     runs. With a lock that gives octets it can only while the person has it opened.
//   - With another authenticator it sees the seed itself: the otpauth URI travels. Where that matters,
//     app_lock: required leaves only the app.
//   - It sees mailed links used, and sessions: for fifteen minutes it can rename and remove devices,
//     and never add one.
//
// What stays out of its reach: enrollments that it did not carry, for the seed is in no later message; a
// second device without what the policy asks for; and silence, for the mail about a new device goes
// another way, with a link that removes it. To whom TLS is ended, on this side or on the phone's, is
// therefore part of what has to be trusted.
//
// A lock is the app's word: the server cannot see a phone's authenticator. app_lock: required keeps
// people from enrolling without one, and not who writes an app of their own.
//
// # Decisions
//
//   - Limits are per node. What protects a code is its number of tries, 50, and those are in the store. In front
//     of them each source has five on each node, and another with each fifth of the code's lifetime, so that
//     one stranger cannot end a code; whoever requests another code begins anew, where it was requested from and on the node that got the request. A source that has had them is
//     answered as for a wrong code. 50 against 40 bits: of 20,000 million codes that are tried to their end one is
//     guessed.
//   - The limit per mailbox is silent (still 202): it would tell that there is a mailbox. It is
//     applied before the code is made, so that asking too often does not end the last code mailed.
//     Codes and links have one each, so that a stranger who asks for links does not keep the owner from a
//     code, or the other way round; so has the mail that there is no room for another device, which takes a right
//     code. A mailbox gets twelve of these at once at the most, and then three in ten minutes, from each node; mails
//     about devices that came or went are not among them. Who asks for the same kind all the time takes that kind's:
//     then the last one mailed is there to be used, whoever asked for it.
//   - A code that cannot be one (wrong length, wrong characters) spends a try like any other: one
//     path for everybody. The app checks before it sends.
//   - Of two tickets, the enrollment code is taken first: if the second one cannot be taken, the
//     person requests another code, and the invitation is still good.
//   - Another authenticator is not stored before its first code was seen: many ignore the period in
//     an otpauth URI, and a device whose codes are wrong is worse than none. What was found right
//     waits in a sealed token for ten minutes, and is looked at again with the first code: what a
//     policy asks for, and the device that confirmed it, must still be there. The first code is not
//     claimed: it proves nothing that the token does not, and may be the first to log in with.
//   - Where nothing has to confirm an enrollment, a code is still checked when the device whose code it
//     is shall be retired: it says which one that is.
//   - The limit of devices counts without those that are to be retired. For a moment there are more.
//   - The tokens of revocation, offer and session are sealed rather than stored: they say nothing to
//     who finds them. The link is good once, so its ticket is in the store, and a newer one ends it.
//   - A device is put on record after it was added, and removed again if that fails where the trail is
//     required. When the store fails in the same moment it stays, without a line device_enrolled: of the
//     app's nobody has the key then, and of another authenticator's the offer is on record, with its id.
//   - A session is kept by nobody but the page; it ends by itself after fifteen minutes, and cannot
//     add a device.
//   - Who removes a device by a session twice is told twice that it is gone. A proof cannot be checked
//     any more then, and is refused as any wrong one.
//   - The lock's octets are the salt of the agreement and not stored; 32 zeros would be none, and are
//     refused.
//   - With the agreement come SHA1 and the configured digits and period: it is what WebCrypto, and every
//     authenticator, can do.
//   - A removal by mail (the link about a new device, the page of devices) of a device that was used, or
//     is a day old, is noted: with the policy first_device the account needs an invitation to enroll when
//     it has no other, for a mailbox alone must not replace a device. A newer one leaves no note, so that
//     a lost answer needs no help desk. What the operator removes, or the device itself, leaves none.
//   - openapi.yaml, the description of the calls, is served as it is; a test holds it against the
//     routes, the members and the statuses.
//   - GET /, /devices and /revoke are written when the server starts ([otpgate/enroll/pages]); the app
//     is static ([otpgate/enroll/app]) and gets its texts from /app/texts.json. The language is the one
//     that the address asks for (?lang=pt), or else the browser.
package enroll
