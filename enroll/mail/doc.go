// Package mail writes and sends the few mails that people get from otpgate.
//
//	Writer.Code, Enrolled, … ──► Message ──► Sender.Send ──► bounded queue ──► SMTP server
//	   (catalogue, templates)                 never blocks       │  ▲
//	                                                             └──┘ a 4xx, or nobody there:
//	                                                                  again, later and later
//
// # Invariants
//
//  1. Send never waits for a server. What does not fit into the queue is refused at once.
//  2. Nothing that comes from outside gets into a header: the address is one bare addr-spec
//     (RFC 5322 section 3.4.1), subjects come from the catalogue.
//  3. With smtp:// and smtps:// neither mail nor password leaves without TLS that verifies.
//  4. A mail is tried until it is out, refused for good (RFC 5321 section 4.2.1: 5yz), or of no
//     use to anybody any more ([Message.Expires]).
//  5. No log line holds a subject, a text, or an address.
//
// # Decisions
//
//   - The queue is in memory: a code or a link ends by itself (a code after code_lifetime, a day at most), and
//     whoever misses it asks for another. So no mail with a code in it is ever on disk. A mail about a device, which
//     is tried for a day, is lost with the process: the trail has what it would have told.
//   - One connection per mail: enrollment is rare, and a connection that idles is one that breaks.
//   - One template for all mails and languages; the words are in the catalogue.
//   - Mails hold no picture and load nothing, so that reading one tells nobody anything.
package mail
