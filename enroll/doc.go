// Package enroll gives accounts devices by e-mail, over HTTP, and shows people the pages they need.
//
//	POST /v1/enrollments ──► 202, always ─ ─ ► FindMail ──► code (HMAC in a ticket) ──► mail
//	POST /v1/devices ──► FindMail ──► code? ──► more needed? ──► take ──► Devices.Add ──► mail
//	                                            (policy)          │ one winner
//	POST /v1/revocations ──► sealed token ──► Devices.Remove      └──► audit
//	GET  /v1/time, /openapi.yaml, /, /app/, /revoke
//
// # Invariants
//
//  1. Whether an address is known shows in no status, body, header or time. A request for a code
//     is answered at a fixed time after its arrival, the work goes on beside it; a refused
//     enrollment is answered at a multiple of that time; 503 depends on whether directories and
//     store are there, never on the address.
//  2. The mail goes to the address that the directory holds, never to the one that was typed.
//  3. Codes and invitations are stored as HMACs bound to the account, with a number of tries and
//     an end. Every try is counted before it is judged.
//  4. A device is added after its code, and its invitation if there is one, were taken from the
//     store: of concurrent requests one wins. What fails after that leaves no device, and costs a
//     code that can be requested again.
//  5. All refusals of an enrollment are the same document. Why is in the audit trail, and, as far
//     as it helps, in the mail.
//  6. GET changes nothing. What a link does, it does after a button was pressed: scanners of mail
//     follow links. Tokens in links are behind the "#", so that they are in no server's log.
//  7. Whatever strangers can fill is bounded: connections, requests in flight, body, header,
//     tables of limits, mails.
//
// # Decisions
//
//   - Limits are per node. What protects a code is its number of tries, and those are in the store.
//   - The limit per mailbox is silent (still 202): it would tell that there is a mailbox. It is
//     applied before the code is made, so that asking too often does not end the last code mailed.
//   - A code that cannot be one (wrong length, wrong characters) spends a try like any other: one
//     path for everybody. The app checks before it sends.
//   - Of two tickets, the enrollment code is taken first: if the second one cannot be taken, the
//     person requests another code, and the invitation is still good.
//   - The revocation token is sealed rather than stored: it lives for 30 days, works once or many
//     times to the same effect, and says nothing to who finds it.
//   - The phone's key is agreed on by [otpgate/enroll/agreement]; with it come SHA1, the configured
//     digits and period. Whoever brings another authenticator gets an otpauth URI, once.
//   - openapi.yaml, the description of the calls, is served as it is; a test holds it against the
//     routes, the members and the statuses.
//   - GET /revoke and GET / are rendered here, in the browser's language; the app is static
//     ([otpgate/enroll/app]) and gets its texts from /app/texts.json.
package enroll
